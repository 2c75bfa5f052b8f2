"""Parallel plans: how a model is spread over a package, and what each rank then holds, sends and computes."""

from noptoolkit.plans.activations import gpt_layer_activations, gpt_stage_activations
from noptoolkit.plans.checks import check_plan, faults_of, micro_batch_size, micro_batches_of, nearest_plan
from noptoolkit.plans.constants import StepConstants
from noptoolkit.plans.dispatching import dispatched_bytes
from noptoolkit.plans.exchanges import Exchange, exchange_table, exchanges_of
from noptoolkit.plans.groups import DIMENSIONS, coordinates, groups
from noptoolkit.plans.in_flight import in_flight
from noptoolkit.plans.memory import PlanMemory, Room, StageMemory, plan_memory, rooms_of
from noptoolkit.plans.network_times import ExchangeTime, PlanNetwork
from noptoolkit.plans.pipeline_orders import ORDERS, Order, Pass, PipelineShape
from noptoolkit.plans.pipeline_run import PipelineRun
from noptoolkit.plans.pipeline_stage import Stage
from noptoolkit.plans.pipelines import pipeline
from noptoolkit.plans.place_search import communication_time, place
from noptoolkit.plans.placing import Placement, nested_order, placed
from noptoolkit.plans.plan import RECOMPUTES, ParallelPlan
from noptoolkit.plans.plan_result import PlanStep
from noptoolkit.plans.plan_step import plan_step
from noptoolkit.plans.planner import best_plans
from noptoolkit.plans.planning import Planning
from noptoolkit.plans.stages import Chunk, chunks_of, stage_layers

__all__ = [
    "DIMENSIONS",
    "ORDERS",
    "RECOMPUTES",
    "Chunk",
    "Exchange",
    "ExchangeTime",
    "Order",
    "ParallelPlan",
    "Pass",
    "PipelineRun",
    "PipelineShape",
    "Placement",
    "PlanMemory",
    "PlanNetwork",
    "PlanStep",
    "Planning",
    "Room",
    "Stage",
    "StageMemory",
    "StepConstants",
    "best_plans",
    "check_plan",
    "chunks_of",
    "communication_time",
    "coordinates",
    "dispatched_bytes",
    "exchange_table",
    "exchanges_of",
    "faults_of",
    "gpt_layer_activations",
    "gpt_stage_activations",
    "groups",
    "in_flight",
    "micro_batch_size",
    "micro_batches_of",
    "nearest_plan",
    "nested_order",
    "pipeline",
    "place",
    "placed",
    "plan_memory",
    "plan_step",
    "rooms_of",
    "stage_layers",
]
