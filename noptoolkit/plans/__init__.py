"""Parallel plans: how a model is spread over a package, and what each rank then holds, sends and computes."""

from noptoolkit.plans.pipeline_orders import ORDERS, Order, Pass, PipelineShape
from noptoolkit.plans.pipelines import PipelineRun, Stage, pipeline

__all__ = [
    "ORDERS",
    "Order",
    "Pass",
    "PipelineRun",
    "PipelineShape",
    "Stage",
    "pipeline",
]
