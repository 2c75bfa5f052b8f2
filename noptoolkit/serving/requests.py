"""A stream of requests: how often they come, and how long prompts and outputs are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._names import did_you_mean
from noptoolkit._numbers import is_number
from noptoolkit._seeds import generator_from
from noptoolkit.errors import WorkloadError

__all__ = ["Lengths", "Requests"]

SLOWEST, FASTEST = 1e-12, 1e15
"""Arrivals per second, beyond which sums of times have no digits left."""
KINDS = ("constant", "geometric", "lognormal")


@dataclass(frozen=True)
class Lengths:
    """A distribution of lengths in tokens, 1 or more.

    Parameters
    ----------
    mean
        Mean, in tokens.
    kind
        ``constant``; ``geometric`` (no memory, as an exponential one); ``lognormal`` with coefficient of
        variation ``variation``, rounded up.
    variation
        Standard deviation over mean of ``lognormal``.

    Examples
    --------
    >>> Lengths(512).draw(3, rng=0), Lengths(512, "geometric").squared_variation
    (array([512., 512., 512.]), 0.998046875)
    """

    mean: float
    kind: Literal["constant", "geometric", "lognormal"] = "constant"
    variation: float = 1.0

    def __post_init__(self) -> None:
        if not is_number(self.mean) or self.mean < 1:
            raise WorkloadError(f"mean length {self.mean!r}: give tokens, 1 or more")
        if self.kind not in KINDS:
            raise WorkloadError(f"no kind of lengths {self.kind!r}; {did_you_mean(self.kind, KINDS)}")
        if not 0 < self.variation < math.inf:
            raise WorkloadError(f"variation {self.variation!r} must be above 0")

    @property
    def squared_variation(self) -> float:
        """Variance over the squared mean."""
        if self.kind == "constant":
            return 0.0
        return 1.0 - 1.0 / self.mean if self.kind == "geometric" else self.variation**2

    def draw(self, count: int, rng: int | np.random.Generator | None = 0) -> Floats:
        """Return some lengths, [count]."""
        generator = generator_from(rng)
        if self.kind == "constant":
            return np.full(count, float(self.mean))
        if self.kind == "geometric":
            return generator.geometric(1.0 / self.mean, count).astype(float)
        width = math.log1p(self.variation**2)
        drawn = generator.lognormal(math.log(self.mean) - width / 2, math.sqrt(width), count)
        lengths: Floats = np.maximum(np.round(drawn), 1.0)
        return lengths


@dataclass(frozen=True)
class Requests:
    """Requests that arrive at random (Poisson), each with a prompt and an output.

    Parameters
    ----------
    rate
        Arrivals per second, above 0.
    prompt, output
        Lengths in tokens; a number is constant. The first output token comes with the end of the prefill.
    """

    rate: float
    prompt: Lengths | float = 512
    output: Lengths | float = 128

    def __post_init__(self) -> None:
        if not is_number(self.rate) or not SLOWEST <= self.rate <= FASTEST:
            raise WorkloadError(
                f"rate={self.rate!r}: give arrivals per second, a number above 0, {SLOWEST:g} to {FASTEST:g}"
            )
        for name in ("prompt", "output"):
            value = getattr(self, name)
            if not isinstance(value, Lengths):
                object.__setattr__(self, name, Lengths(value))

    @property
    def prompts(self) -> Lengths:
        """Lengths of prompts."""
        assert isinstance(self.prompt, Lengths)
        return self.prompt

    @property
    def outputs(self) -> Lengths:
        """Lengths of outputs."""
        assert isinstance(self.output, Lengths)
        return self.output
