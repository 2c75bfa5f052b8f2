"""A server: a model on a package, whose steps of prefill and decode are scheduled once each and remembered.

A step takes one micro-batch, its experts are loaded once the router has run (``experts="routed"``), weights
stream through SRAM (``slices="stream"``), all traffic takes shortest paths: each is an option of
`noptoolkit.schedule` that may be given otherwise.

With speculative decoding (or multi-token prediction) of m proposed tokens, each accepted with probability a
given that those before it were, a step yields (1 - a^(m + 1)) / (1 - a) tokens per sequence and computes
m + 1 (Leviathan et al., arXiv 2211.17192, equation 1). The cost of proposing is not counted.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from noptoolkit._numbers import is_number, is_whole
from noptoolkit.allocation import Allocation, allocate
from noptoolkit.errors import NopWarning, ScheduleError, WorkloadError
from noptoolkit.package import Package, expect_package
from noptoolkit.step import POLICIES, StepSchedule, schedule
from noptoolkit.step.hosts import hosts_of
from noptoolkit.workload import Batch, Workload

__all__ = ["Server", "Speculation", "StepCost", "expect_server"]

MOST_PROPOSED = 1000
"""Tokens that a draft proposes in a step: more is taken for a typing error."""

DEFAULTS: Mapping[str, Any] = {
    "routing": "shortest",
    "slices": "stream",
    "experts": "routed",
    "micro_batches": 1,
}
"""Options of the schedule that a server sets unless told otherwise."""


@dataclass(frozen=True)
class Speculation:
    """Tokens that are proposed for each sequence and step, and how many of them are accepted.

    Parameters
    ----------
    proposed
        Tokens proposed beside the one that is sure; 0 for plain decoding.
    acceptance
        Probability that a proposed token is accepted, given that those before it were, 0 to 1.

    Examples
    --------
    >>> Speculation(1, 0.85).tokens  # DeepSeek-V3 reports 85 to 90 % and 1.8 times the tokens per second
    1.85
    """

    proposed: int = 0
    acceptance: float = 0.0

    def __post_init__(self) -> None:
        if not is_whole(self.proposed) or not 0 <= self.proposed <= MOST_PROPOSED:
            raise WorkloadError(
                f"proposed={self.proposed!r}: give a whole number of tokens from 0 to {MOST_PROPOSED}"
            )
        if not is_number(self.acceptance) or not 0 <= self.acceptance <= 1:
            raise WorkloadError(f"acceptance={self.acceptance!r}: give a probability, 0 to 1")

    @property
    def tokens(self) -> float:
        """Expected tokens that a step yields per sequence."""
        return float(sum(self.acceptance**i for i in range(self.proposed + 1)))


@dataclass(frozen=True)
class StepCost:
    """What a step takes.

    Parameters
    ----------
    time
        In s.
    energy
        Dynamic energy, in J; ``None`` where the package gives no energies.
    loaded
        Bytes of weights read from the stacks.
    plan
        Schedule of the step.
    """

    time: float
    energy: float | None
    loaded: float
    plan: StepSchedule = field(repr=False, compare=False)

    @property
    def bound(self) -> float:
        """Lower bound on the time for any order with the same routes, in s: proved when asked for."""
        return self.plan.bound_of_routes


@dataclass(frozen=True, eq=False, repr=False)
class Server:
    """A model on a package, ready to be asked what steps cost.

    Parameters
    ----------
    package
        Package that serves.
    workload
        Model and routing; of its batch only ``bytes_per_value`` counts.
    allocation
        Layout of the experts; that of the policy's own allocator where ``None``.
    speculation
        Speculative decoding; none by default.
    options
        Options of `noptoolkit.schedule`, on top of one micro-batch, ``routing="shortest"``,
        ``slices="stream"`` and ``experts="routed"``.

    Examples
    --------
    >>> import noptoolkit as nop
    >>> star = nop.topology.star(4, attention=True, memory=True, flops="74 TFLOP/s", sram="40 MB")
    >>> server = Server(star, nop.load_workload("stdlib-moe"))
    >>> one, many = server.decode(1, context=200), server.decode(64, context=200)
    >>> one.time < many.time, one.loaded < many.loaded
    (True, True)
    """

    package: Package
    workload: Workload
    allocation: Allocation | None = None
    speculation: Speculation = field(default_factory=Speculation)
    options: Mapping[str, Any] = field(default_factory=dict)
    _plans: dict[Batch, StepSchedule] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        expect_package(self.package)
        if not isinstance(self.workload, Workload):
            raise WorkloadError(f"{self.workload!r} is no Workload; load_workload() makes one")
        chosen = {**DEFAULTS, **self.options}
        policy = chosen.get("policy")
        weights = chosen.get("weights", getattr(policy, "weights", "each"))
        if weights != "each":
            raise ScheduleError(
                f"weights={weights!r}: on a server each chiplet reads its own weights; schedule(..., "
                "weights=) has one step in which one reading serves several"
            )
        plain = Batch(1, 1, 1, "decode", self.workload.batch.bytes_per_value)
        routed = dataclasses.replace(self.workload, routing=self.workload.trace, batch=plain)
        object.__setattr__(self, "workload", routed)
        object.__setattr__(self, "options", chosen)
        if self.allocation is None:
            policy = POLICIES.get(chosen.get("policy", "streaming"), POLICIES["streaming"])
            found = allocate(routed.trace, self.package, method=policy.layout)
            object.__setattr__(self, "allocation", found)

    def __repr__(self) -> str:
        return (
            f"Server({self.workload.model.name!r} on {self.package.name!r}, {len(self._plans)} steps known)"
        )

    @property
    def layout(self) -> Allocation:
        """Layout of the experts."""
        assert self.allocation is not None
        return self.allocation

    @property
    def hosts(self) -> tuple[str, ...]:
        """Chiplets that attention runs on."""
        return tuple(hosts_of(self.package, self.options.get("hosts")))

    def batch(
        self, sequences: int, context: int, *, prompt: int = 0, cached: int = 0, mode: Any = "decode"
    ) -> Batch:
        """Return the batch of a step.

        Parameters
        ----------
        sequences
            Sequences that decode, or prompts that are prefilled.
        context
            Tokens of each sequence's context, or of each prompt in prefill.
        prompt, cached
            Tokens of a prompt that are prefilled beside the decode, and how many of it are there already; in
            prefill, ``cached`` tokens of each prompt are there.

        Raises
        ------
        WorkloadError
            If a number is out of range, or the positions are beyond those that the model knows.
        """
        for name, value in (("batch", sequences), ("context", context)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise WorkloadError(f"{name}={value!r}: give a whole number above 0")
        batch = Batch(
            sequences,
            context,
            1,
            mode,
            self.workload.batch.bytes_per_value,
            self.speculation.proposed + 1 if mode == "decode" else 1,
            prompt,
            cached,
        )
        model = self.workload.model
        if model.context is not None and batch.longest > model.context:
            raise WorkloadError(
                f"a {mode} of {batch.longest} positions is beyond the {model.context} that {model.name!r} "
                "knows; give a shorter context or prompt"
            )
        return batch

    def plan(self, batch: Batch) -> StepSchedule:
        """Return the schedule of a step, made once."""
        if batch not in self._plans:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NopWarning)  # `capacity` reports what does not fit
                self._plans[batch] = schedule(
                    self.package,
                    dataclasses.replace(self.workload, batch=batch),
                    self.layout,
                    **{**self.options, "policy": self.options.get("policy", "streaming")},
                )
        return self._plans[batch]

    def cost(self, batch: Batch) -> StepCost:
        """Return what a step takes, scheduled."""
        plan = self.plan(batch)
        known = not {"memory", "network"} & set(plan.energy.unknown)
        total = plan.energy.total if known else None
        return StepCost(plan.makespan, total, sum(plan.step.loaded.values()), plan)

    def decode(self, sequences: int, context: int) -> StepCost:
        """Return what a step of decode takes."""
        return self.cost(self.batch(sequences, context))

    def prefill(self, prompt: int, *, sequences: int = 1, cached: int = 0) -> StepCost:
        """Return what the prefill of some prompts takes, all of it in one step."""
        return self.cost(self.batch(sequences, prompt, cached=cached, mode="prefill"))


def expect_server(server: object) -> None:
    """Raise ScheduleError if a thing is no server."""
    if not isinstance(server, Server):
        raise ScheduleError(f"{server!r} is no Server; write serving.Server(package, workload)")
