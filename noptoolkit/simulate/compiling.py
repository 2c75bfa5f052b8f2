"""How the functions of the engine are compiled by numba: once, together with the one that calls them all.

numba compiles every function for itself, optimises it with all that it calls, and makes machine code of it;
one that is called by others is optimised again with each of them. Here only the one that is called from
Python is optimised and made machine code. The others wait for it as `_Part`: without wrappers, as they are.

``_nrt=False`` leaves out numba's reference counts of every array at every call, which would cost more than
the simulation (sixteen times, measured): nothing may be allocated inside.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler

__all__ = ["called", "entry", "inlined", "source_digest"]

F = TypeVar("F", bound=Callable[..., object])
njit: Any = numba.njit  # some of its options have no types


class _Part(JITCodeLibrary):
    """The code of a function that others contain: neither optimised nor made machine code for itself."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()
        return 0

    @property
    def codegen(self) -> _Part:
        return self

    def set_env(self, name: str, environment: object) -> None:
        """Leave out what only wrappers need."""


class _PartCompiler(Compiler):
    """numba's compiler, but for the library into which a function goes."""

    def define_pipelines(self) -> Any:
        self.state.library = _Part(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
        return super().define_pipelines()


BARE = {
    "_nrt": False,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": _PartCompiler,
}


def called(function: F) -> F:
    """Return a function compiled, for others of the engine to call."""
    # said here, as numba would let it inherit what was asked for the first of its callers
    return cast(F, njit(forceinline=False, **BARE)(function))


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
