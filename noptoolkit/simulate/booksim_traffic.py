"""Traffic patterns in the words of BookSim2.

In BookSim2 every node sends the same load, and a pattern is a rule from a source to its destination: a
stochastic matrix P. A pattern here is the same if its weights are in proportion to P; or if they are but for
what a node sends to itself, of which traffics of this toolkit have none. Then the rate written is the one at
which every pair of two nodes has its own load, and what nodes send to themselves in BookSim2 is reported.
Several parameters of a rule are one list in braces: without the outer ones BookSim2 takes the first number of
a list for all of it. The rules are those of ``traffic.cpp`` (BookSim2, 2017).
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import lcm

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.errors import FormatError

__all__ = ["words_of"]

MOST_SHARES = 1 << 24
RULES = (
    "uniform, hotspot, background, transpose, bitcomp, bitrev, shuffle, tornado, neighbor, diagonal, "
    "asymmetric"
)


def words_of(weight: Floats, name: str) -> tuple[str, float, int]:
    """Return a pattern in BookSim2's words.

    Parameters
    ----------
    weight : array
        Share of each pair of BookSim2's nodes, in any unit, [nodes, nodes].
    name : str
        What messages call the pattern.

    Returns
    -------
    words : str
        Value of ``traffic``.
    unit : float
        Weight that a node sends for each unit of its load in BookSim2.
    themselves : int
        Number of nodes that send to themselves in BookSim2 and not here.

    Raises
    ------
    FormatError
        If no rule of BookSim2 gives it.

    Examples
    --------
    >>> words_of(np.ones((4, 4)), "all")
    ('uniform', 4.0, 0)
    >>> words_of(np.array([[0, 2, 1], [0, 2, 1], [0, 2, 1]]), "hot")
    ('hotspot({{1,2},{2,1}})', 3.0, 0)
    """
    count = len(weight)
    off = ~np.eye(count, dtype=bool)
    for words, rule in _rules(weight):
        if not (off & (rule > 0)).any():
            continue
        unit = float(weight[off].sum() / rule[off].sum())
        if np.allclose(weight[off], unit * rule[off], rtol=1e-9, atol=1e-12 * unit):
            mine, theirs = weight.diagonal(), unit * rule.diagonal()
            if np.allclose(mine, theirs, rtol=1e-9, atol=1e-12 * unit):
                return words, unit, 0
            if not mine.any():
                return words, unit, int((theirs > 0).sum())
    sends = weight.sum(axis=1)
    uneven = (
        "" if np.allclose(sends, sends[0]) else "; in BookSim2 all nodes send the same load, and here not"
    )
    raise FormatError(f"pattern {name!r}: BookSim2 cannot express it{uneven}. Its patterns: {RULES}")


def _rules(weight: Floats) -> Iterator[tuple[str, Floats]]:
    """Yield the rules that may be meant, each with its words."""
    count = len(weight)
    here = np.arange(count)
    yield "uniform", np.full((count, count), 1 / count)
    towards = weight.max(axis=0)
    hot = np.flatnonzero(towards)
    if (towards[hot] == towards[hot[0]]).all() and 2 * len(hot) > count:
        cold = np.setdiff1d(here, hot).tolist()
        yield f"background({{{_listed(cold)}}})", np.tile(towards / towards.sum(), (count, 1))
    parts = _shares(towards[hot])
    if parts:
        alike = len(set(parts)) == 1
        words = (
            f"hotspot({{{_listed(hot.tolist())}}})"
            if alike
            else f"hotspot({{{_listed(hot.tolist())},{_listed(parts)}}})"
        )
        yield words, np.tile(towards / towards.sum(), (count, 1))
    for words, to in _permutations(count):
        rule = np.zeros((count, count))
        rule[here, to] = 1.0
        yield words, rule
    rule = np.zeros((count, count))
    rule[here, (here + 1) % count] += 1 / 3
    rule[here, here] += 2 / 3
    yield "diagonal", rule
    if count % 2 == 0:
        rule = np.zeros((count, count))
        rule[here, here % (count // 2)] = rule[here, here % (count // 2) + count // 2] = 0.5
        yield "asymmetric", rule


def _permutations(count: int) -> Iterator[tuple[str, Ints]]:
    """Yield the permutations that BookSim2 knows for a number of nodes."""
    here = np.arange(count)
    bits = count.bit_length() - 1
    if count == 1 << bits:
        if bits % 2 == 0:
            side = 1 << bits // 2
            yield "transpose", here % side * side + here // side
        yield "bitcomp", count - 1 - here
        yield "bitrev", np.array([int(f"{k:0{bits}b}"[::-1], 2) for k in here.tolist()] if bits else [0])
        yield "shuffle", (here << 1 & count - 1) | (here << 1 >= count)
    for digits in range(1, max(bits, 1) + 1):
        radix = round(count ** (1 / digits))
        if radix**digits != count:
            continue
        for name, step in (("tornado", (radix + 1) // 2 - 1), ("neighbor", 1)):
            to = sum((here // radix**k + step) % radix * radix**k for k in range(digits))
            yield f"{name}({{{radix},{digits},1}})", np.asarray(to)


def _shares(weight: Floats) -> list[int]:
    """Return weights as small whole numbers, none where they are no such ratios."""
    parts = [Fraction(x / weight.max()).limit_denominator(10_000) for x in weight.tolist()]
    if any(abs(float(p) - x / weight.max()) > 1e-9 for p, x in zip(parts, weight.tolist(), strict=True)):
        return []
    whole = lcm(*(part.denominator for part in parts))
    numbers = [int(part * whole) for part in parts]
    return numbers if sum(numbers) < MOST_SHARES else []


def _listed(numbers: list[int]) -> str:
    return "{" + ",".join(map(str, numbers)) + "}"
