"""What no plan of a family, of an expert mapping or of a variant can beat, in microseconds of arithmetic.

The same terms as `noptoolkit.plans.step_costs`, as few as a node of the search has decided: a family knows
attention, arithmetic of experts, overhead and TP; a mapping adds bytes of expert weights, all-to-alls and
ETP; a variant adds its bubble and recomputation. With t the time of one micro-batch in all layers (forward
and backward), h that in the head, p stages and m micro-batches,

* some device has the mean at least, so that a pipeline takes m (t + h) / p;
* without splitting the backward, the last device starts after the forwards of the first chunks of all others
  and ends before their backwards; with equal layers, v chunks each, m (t / p + h) + (p - 1) t / (v p); with
  layers that p does not divide, of which the last device has the floor, t + h + (m - 1) (its part).

Schedules that hide communication behind another micro-batch count the longer of computation and each
dimension's communication.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from noptoolkit.plans.constants import Rates, StepConstants
from noptoolkit.plans.group_times import Family
from noptoolkit.plans.memory import GRADIENT_BYTES, OPTIMISER_BYTES
from noptoolkit.plans.pipeline_orders import ORDERS
from noptoolkit.plans.routed_experts import RoutedTimes
from noptoolkit.plans.space import PlanFamily, PlanSpace
from noptoolkit.plans.step_costs import UPDATE_BYTES, VALUE, Times

__all__ = ["Bounds", "Pass"]


class Pass(NamedTuple):
    """Seconds of one micro-batch in all layers and the head, and of a step's end.

    Parameters
    ----------
    forward, work, talk
        Computation of all layers forward, and forward and backward; their communication forward and backward.
    head
        Of the head, forward and backward.
    end
        Exposed exchange among replicas and update.
    """

    forward: float
    work: float
    talk: float
    head: float
    end: float


@dataclass(frozen=True)
class Bounds:
    """Bounds of the nodes of a search.

    Parameters
    ----------
    space, rates, constants
        What is searched, and what a step is made of.
    times
        Seconds per byte of groups that no schedule beats.
    routed
        What a trace makes of the experts; tokens are dealt evenly where None. A family knows no experts'
        mapping: for it the busiest member has the mean, which no routing undercuts.
    """

    space: PlanSpace
    rates: Rates
    constants: StepConstants
    times: Times
    routed: RoutedTimes | None = None

    @property
    def _speeds(self) -> tuple[float, float, float]:
        reached = self.constants.efficiency
        return self.rates.flops * reached.compute, self.rates.memory * reached.memory, reached.network

    def family(self, family: PlanFamily) -> Pass:
        """Return what every plan of a family spends at least."""
        model, batch = self.space.model, self.space.batch
        peak, memory, share = self._speeds
        tp, cp, pp, dp, m = family
        training = batch.mode == "training"
        rows = batch.sequences / dp / m * batch.sequence_length / cp
        own, hidden = rows / tp, model.hidden
        width = model.heads * model.head_dim / tp
        linear = 2.0 * rows * model.attention_parameters / tp
        if model.latent_attention is None:
            linear = 4.0 * rows * hidden * (width + max(model.kv_heads / tp, 1.0) * model.head_dim)
        scores = 2.0 * rows * batch.sequence_length * width / peak
        plain = linear / peak + 24.0 * own * hidden / memory
        talk = 0.0
        if tp > 1:
            both = self.times(Family("all-gather", tp, 1)) + self.times(Family("reduce-scatter", tp, 1))
            talk = (2.0 if training else 1.0) * own * hidden * VALUE * both / share  # around attention
        shared = model.shared_experts * (model.shared_width or model.expert_width)
        expert = 6.0 * own * hidden * (model.expert_width * model.top_k + shared) / peak
        dense = 6.0 * own * hidden * model.dense_width / peak
        every = model.layers * plain + model.moe_layers * expert + model.dense_layers * dense
        again, scored = (3.0, 3.5) if training else (1.0, 1.0)
        forward = every + model.layers * scores
        work = again * every + model.layers * (scored * scores + self.constants.layer_overhead)
        last = own if training else batch.sequences / dp / m / tp  # prefill: the last token of a sequence
        head = again * 2.0 * last * hidden * model.vocab / peak
        end = 0.0
        if training:
            held = model.layers // pp * model.attention_parameters / tp
            n = dp * cp
            end = UPDATE_BYTES * held / n / memory
            if n > 1:
                per = self.times(Family("reduce-scatter", n, tp)) * GRADIENT_BYTES
                per += self.times(Family("all-gather", n, tp)) * VALUE
                end += self.constants.exposed_gradients * held / n * per / share
        return Pass(forward, work, model.layers * talk, head, end)

    def mapping(self, family: PlanFamily, passed: Pass, ep: int, etp: int) -> Pass:
        """Return what every plan of a family with an expert mapping spends at least."""
        model, batch = self.space.model, self.space.batch
        if not model.moe_layers:
            return passed
        peak, memory, share = self._speeds
        tp, cp, pp, dp, m = family
        training = batch.mode == "training"
        own = batch.sequences / dp / m * batch.sequence_length / cp / tp
        copies, hidden = own * model.top_k, model.hidden
        gathered, inner, local = copies * etp, model.expert_width / etp, model.experts / ep
        values = gathered * (2.0 * hidden + 3.0 * inner) + 3.0 * local * hidden * inner
        values += copies * 8.0 * hidden + gathered * 3.0 * inner
        moved = 2.0 * values / memory
        talk = 0.0
        size = copies * hidden * VALUE
        stride = etp if self.space.folded else tp * cp
        waited = 0.0  # for the busiest member's products
        if self.routed is not None:
            each = own * hidden * batch.bytes_per_value
            talk += each * self.routed.bound(ep, stride)
            size *= self.routed.gathered(ep)
            more = self.routed.busiest(ep) - 1.0
            waited = more * 6.0 * own * hidden * model.expert_width * model.top_k / peak
        elif ep > 1:
            talk += 2.0 * size * self.times(Family("all-to-all", ep, stride))
        if etp > 1:
            talk += size * self.times(Family("all-gather", etp, 1))
            talk += size * self.times(Family("reduce-scatter", etp, 1))
        passes = 3.0 if training else 1.0
        extra = model.moe_layers * (moved + waited)
        talk *= model.moe_layers * (2.0 if training else 1.0) / share
        end = passed.end
        edp = self.space.world // (pp * ep * etp)
        if training and self.space.folded:
            held = max(model.layers // pp - model.dense_layers, 0) * local * 3.0 * hidden * inner
            end += UPDATE_BYTES * held / edp / memory
            if edp > 1:
                per = self.times(Family("reduce-scatter", edp, ep * etp)) * GRADIENT_BYTES
                per += self.times(Family("all-gather", edp, ep * etp)) * VALUE
                end += self.constants.exposed_gradients * held / edp * per / share
        return Pass(
            passed.forward + extra, passed.work + passes * extra, passed.talk + talk, passed.head, end
        )

    def memory(self, family: PlanFamily, ep: int | None = None, etp: int | None = None) -> float:
        """Return the bytes of states that some rank of a family, or of its mapping, holds at least.

        The mean over the stages of weights, gradients and the optimiser's state, by the ZeRO stage that holds
        least; without a mapping, experts divided over all ranks of a stage.
        """
        model, batch = self.space.model, self.space.batch
        tp, cp, pp, dp, _ = family
        stage = self.space.world // pp
        spread = stage if ep is None or etp is None else ep * etp
        zero = max(self.space.zeros)
        dense = model.layers * model.attention_parameters + model.embedding_parameters
        dense += model.moe_layers * model.shared_parameters + model.dense_layers * model.dense_parameters
        experts = model.moe_layers * model.experts * model.expert_parameters
        held = 0.0
        for count, ways, replicas in ((dense, tp, dp * cp), (experts, spread, stage / spread)):
            each = float(batch.bytes_per_value) / (replicas if zero >= 3 else 1)
            if batch.mode == "training":
                each += GRADIENT_BYTES / (replicas if zero >= 2 else 1)
                each += OPTIMISER_BYTES / (replicas if zero >= 1 else 1)
            held += count / ways / pp * each
        return held

    def step(self, family: PlanFamily, passed: Pass, schedules: tuple[str, ...], chunks: int | None) -> float:
        """Return what no step beats, with any of some schedules and at most so many chunks, in s."""
        pp, m, model = family.pp, family.micro_batches, self.space.model
        if any(ORDERS[name].pairs for name in schedules):
            return m * max(passed.work + passed.head, 0.0) / pp + passed.end
        layers = passed.work + passed.talk
        plain = m * (layers + passed.head) / pp
        if any(ORDERS[name].split for name in schedules) or model.dense_layers:
            return plain + passed.end
        last = model.layers // pp / model.layers * layers + passed.head
        if model.layers % pp:
            return max(plain, layers + passed.head + (m - 1) * last) + passed.end
        if chunks is None:
            chunks = max((self.space.most_chunks_of(name, pp, m) for name in schedules), default=1)
        return max(plain, m * last + (pp - 1) / chunks * layers / pp) + passed.end

    def again(self, passed: Pass) -> Pass:
        """Return what a plan spends that computes every forward again: its communication, too."""
        third = passed.talk / 2.0 if self.space.batch.mode == "training" else 0.0
        return passed._replace(work=passed.work + passed.forward, talk=passed.talk + third)
