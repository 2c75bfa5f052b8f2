"""How the functions of the engine are compiled by numba.

Only one is called from Python, so that the others need no wrappers, which for so many arrays would cost more
to compile than the functions. ``_nrt=False`` leaves out numba's reference counts of every array at every
call, which would cost more than the simulation (sixteen times, measured): nothing may be allocated inside.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

__all__ = ["called", "entry", "inlined", "source_digest"]

F = TypeVar("F", bound=Callable[..., object])
njit: Any = numba.njit  # some of its options have no types
BARE = {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def called(function: F) -> F:
    """Return a function compiled, for others of the engine to call."""
    return cast(F, njit(**BARE)(function))


def inlined(function: F) -> F:
    """Return a function compiled into those that call it."""
    return cast(F, njit(forceinline=True, **BARE)(function))


def entry(function: F) -> F:
    """Return a function compiled, kept on disk, and called from Python without its global lock."""
    return cast(F, njit(cache=True, nogil=True, _nrt=False, no_cfunc_wrapper=True)(function))


def source_digest() -> int:
    """Return a number, never 0, that changes with the text of the engine.

    numba keeps what it compiled under the text of one file alone, and its closure: this number in it makes
    a change to any of the other files compile the engine anew.
    """
    here = Path(__file__).parent
    texts = [path.read_bytes() for path in (here / "columns.py", *sorted(here.glob("compil*.py")))]
    return 1 + zlib.crc32(b"".join(texts))
