"""Arithmetic of small finite fields, for the graphs that are built on them.

An element of GF(p^m) is a whole number below p^m, whose digits to base p are the coefficients of a
polynomial. The field is found by trial: a monic polynomial of degree m modulo which x generates all
elements but 0.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np

from noptoolkit._arrays import Ints

__all__ = ["field_tables", "prime_power"]


def prime_power(q: int) -> tuple[int, int] | None:
    """Return p and m with q = p^m, or ``None`` where q is not a power of a prime.

    Examples
    --------
    >>> prime_power(9), prime_power(12)
    ((3, 2), None)
    """
    if q < 2:
        return None
    p = next((d for d in range(2, int(q**0.5) + 1) if q % d == 0), q)
    m = 0
    while q % p == 0:
        q, m = q // p, m + 1
    return (p, m) if q == 1 else None


@lru_cache(maxsize=8)
def field_tables(q: int) -> tuple[Ints, Ints, list[int]]:
    """Return the tables of differences and products of GF(q), [q, q], and the powers of a generator, [q - 1].

    Raises
    ------
    ValueError
        If q is not a power of a prime.

    Examples
    --------
    >>> field_tables(4)[2]
    [1, 2, 3]
    """
    found = prime_power(q)
    if found is None:
        raise ValueError(f"{q} is not a power of a prime")
    p, m = found
    powers = _powers(p, m)
    digits = np.array([[a // p**i % p for i in range(m)] for a in range(q)])
    weights = p ** np.arange(m)
    difference = ((digits[:, None] - digits[None]) % p) @ weights
    log = np.zeros(q, dtype=np.int64)
    log[powers] = np.arange(q - 1)
    exponent = (log[:, None] + log[None]) % max(q - 1, 1)
    multiple = np.array(powers)[exponent]
    multiple[0] = multiple[:, 0] = 0
    return difference.astype(np.int64), multiple.astype(np.int64), powers


def _powers(p: int, m: int) -> list[int]:
    """Return 1, g, g^2, ... for a generator g of the multiplicative group."""
    size = p**m - 1
    if m == 1:
        candidates = ([pow(g, i, p) for i in range(size)] for g in range(1, p))
    else:
        candidates = (_orbit(p, m, low, size) for low in product(range(p), repeat=m))
    return next(powers for powers in candidates if len(set(powers) - {0}) == size)


def _orbit(p: int, m: int, low: tuple[int, ...], size: int) -> list[int]:
    """Return the powers of x modulo x^m + low[m-1] x^(m-1) + ... + low[0]."""
    element = [1] + [0] * (m - 1)
    powers = []
    for _ in range(size):
        powers.append(sum(digit * p**i for i, digit in enumerate(element)))
        carry = element[-1]
        element = [(a - carry * b) % p for a, b in zip([0, *element[:-1]], low, strict=True)]
    return powers
