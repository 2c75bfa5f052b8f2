"""Which experts a batch of tokens uses: exactly, for tokens of the trace, or as chances over all batches.

A batch of n tokens is n tokens of the trace, spread evenly over it (`token_places`): those of number 0 are
the ones that a step takes, those of number s are s tokens later, as a server's next steps are. What these
use is exact. Over all subsets of n of the T tokens of a trace, an expert that c of them use is *touched* with
probability

    1 - C(T - c, n) / C(T, n)                                                     (hypergeometric),

and if tokens are drawn with replacement, which is all that can be done for n > T, with 1 - (1 - c / T)^n.
The number of touched experts has the mean of the sum of these, and a variance that counts which experts are
used by the same tokens: two experts are both untouched with the same formula, c then being the tokens that
use either.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit._names import did_you_mean
from noptoolkit.errors import UnknownNameError, WorkloadError
from noptoolkit.limits import within
from noptoolkit.trace import RoutingTrace, expect_trace

__all__ = ["Touched", "token_places", "touched", "touched_by", "untouched"]

Method = Literal["expected", "resampled"]


def token_places(tokens: int, there: int, number: int = 0) -> Ints:
    """Return which tokens of a trace a batch takes: spread evenly, each as often as need be.

    Parameters
    ----------
    tokens
        Tokens of the batch.
    there
        Tokens of the trace.
    number
        Number of the batch: each is one token later, the last token is followed by the first.

    Raises
    ------
    FormatError
        If the tokens are more than `noptoolkit.limits.Limits` has.

    Examples
    --------
    >>> token_places(4, 10), token_places(4, 10, 5), token_places(4, 2)
    (array([0, 2, 5, 7]), array([5, 7, 0, 2]), array([0, 0, 1, 1]))
    """
    within("tokens", tokens, "batch", "tokens in a step")
    places: Ints = (np.arange(tokens, dtype=np.int64) * there // tokens + number) % there
    return places


def touched_by(trace: RoutingTrace, tokens: int, number: int = 0) -> Bools:
    """Return which experts a batch of the trace's own tokens uses, [layers, experts].

    Examples
    --------
    >>> trace = RoutingTrace([[0, 1], [1, 2], [1, 3], [0, 2]], num_experts=4)
    >>> touched_by(trace, 2), touched_by(trace, 2, number=1)
    (array([[ True,  True, False,  True]]), array([[ True,  True,  True, False]]))
    """
    _check(trace, tokens)
    used = np.zeros((trace.num_layers, trace.num_experts), np.bool_)
    chosen = trace.topk[:, token_places(tokens, trace.num_tokens, number)]
    for layer, ids in enumerate(chosen):
        used[layer, ids.ravel()] = True
    return used


@dataclass(frozen=True, eq=False)
class Touched:
    """How many experts of each layer a batch touches.

    Parameters
    ----------
    tokens : int
        Tokens of the batch.
    chance : array of float
        Probability that an expert is touched, [layers, experts].
    spread : array of float
        Standard deviation of the number of touched experts, [layers].
    method : str
        ``expected``: over all subsets of the trace of that many tokens; ``resampled``: tokens drawn with
        replacement, which extends a trace that is shorter than the batch.
    """

    tokens: int
    chance: Floats
    spread: Floats
    method: Method

    @property
    def experts(self) -> Floats:
        """Expected number of touched experts, [layers]."""
        total: Floats = self.chance.sum(axis=1)
        return total


def touched(trace: RoutingTrace, tokens: int, *, method: Method | None = None) -> Touched:
    """Return how many experts of each layer a batch of a number of tokens touches, over all such batches.

    Parameters
    ----------
    method
        ``expected`` or ``resampled``, see `Touched`; ``None``: expected up to the trace's tokens, else
        resampled.

    Raises
    ------
    WorkloadError
        If the number of tokens is not above 0, or ``expected`` is asked of more tokens than there are.

    Examples
    --------
    >>> trace = RoutingTrace([[0, 1], [1, 2], [1, 3], [0, 2]], num_experts=4)
    >>> touched(trace, 1).experts, touched(trace, 4).experts, touched(trace, 1).spread.round(6)
    (array([2.]), array([4.]), array([0.]))
    >>> touched(trace, 2).experts * 6  # of the 6 pairs of tokens, one uses four experts, five use three
    array([19.])
    """
    _check(trace, tokens)
    there = trace.num_tokens
    kind: Method = method or ("expected" if tokens <= there else "resampled")
    if kind not in ("expected", "resampled"):
        raise UnknownNameError(f"no method {kind!r}; {did_you_mean(kind, ('expected', 'resampled'))}")
    if kind == "expected" and tokens > there:
        raise WorkloadError(
            f"the trace has {there} tokens: no subset of it has {tokens}; method='resampled' draws them "
            "with replacement"
        )
    of = untouched(there, tokens, kind)
    chance, spread = np.zeros((trace.num_layers, trace.num_experts)), np.zeros(trace.num_layers)
    for layer, (count, either) in enumerate(_users(trace)):
        chance[layer] = 1.0 - of[count]
        joint = of[either] - np.outer(of[count], of[count])
        spread[layer] = np.sqrt(max(float(joint.sum()), 0.0))
    return Touched(tokens, chance, spread, kind)


def untouched(there: int, tokens: int, method: Method = "expected") -> Floats:
    """Return the probability that no token of a batch is one of c, for c from 0 to all of them, [there + 1].

    Examples
    --------
    >>> untouched(4, 2)
    array([1.        , 0.5       , 0.16666667, 0.        , 0.        ])
    >>> untouched(4, 2, "resampled")
    array([1.    , 0.5625, 0.25  , 0.0625, 0.    ])
    """
    from scipy.special import gammaln

    used = np.arange(there + 1)
    if method == "resampled":
        resampled: Floats = (1.0 - used / there) ** tokens
        return resampled
    rest = there - used
    some = rest >= tokens
    left = np.where(some, rest, tokens)
    log = gammaln(left + 1) - gammaln(left - tokens + 1) - gammaln(there + 1) + gammaln(there - tokens + 1)
    chances: Floats = np.where(some, np.exp(np.minimum(log, 0.0)), 0.0)
    chances[0] = 1.0
    if tokens == 1:
        chances = rest / there
    return chances


@lru_cache(maxsize=8)
def _users(trace: RoutingTrace) -> tuple[tuple[Ints, Ints], ...]:
    """Return, for each layer, the tokens that use each expert and those that use either of two experts."""
    found = []
    for layer, ids in enumerate(trace.topk):
        count = np.bincount(ids.ravel(), minlength=trace.num_experts)
        either = count[:, None] + count - trace.layer(layer).coactivation().astype(np.int64)
        np.fill_diagonal(either, count)
        found.append((count, either))
    return tuple(found)


def _check(trace: RoutingTrace, tokens: int) -> None:
    expect_trace(trace)
    if not isinstance(tokens, int | np.integer) or isinstance(tokens, bool) or tokens < 1:
        raise WorkloadError(f"tokens={tokens!r}: give a whole number above 0")
