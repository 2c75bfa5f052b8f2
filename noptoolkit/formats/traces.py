"""Recorded routing from files, one reader for each kind.

===============================  ==========================================================================
file                             holds
===============================  ==========================================================================
``.npz``                         ``topk`` [layers, tokens, k] and ``num_experts``, or ``loads`` and
                                 ``top_k``; more below
``.npy``                         ids [layers, tokens, k] or [tokens, k]
``.csv``, ``.json``, ``.jsonl``  tables of ids: `noptoolkit.formats.trace_tables`; vLLM's responses
``.pt``                          SGLang's expert distribution recorder: `noptoolkit.formats.serving_dumps`
===============================  ==========================================================================

An ``.npz`` may also have ``weights`` [layers, tokens, k], ``domain`` [tokens] with the names ``domains``,
``document`` (or ``doc``) [tokens], ``layers``, ``origin`` and ``source``; further arrays are not read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from noptoolkit._names import did_you_mean
from noptoolkit.errors import FormatError
from noptoolkit.formats.archives import read_npy, read_npz
from noptoolkit.formats.recording import FIELDS, Recording, build_trace
from noptoolkit.formats.results import file_in_place_of
from noptoolkit.formats.serving_dumps import read_sglang
from noptoolkit.formats.trace_tables import read_csv, read_json, read_json_lines
from noptoolkit.trace import Origin, RoutingTrace

__all__ = ["TRACE_READERS", "load_trace", "save_trace"]


def load_trace(
    path: str | Path,
    *,
    num_experts: int | None = None,
    top_k: int | None = None,
    origin: Origin | None = None,
    tokens: int = 8192,
    rng: int | np.random.Generator | None = 0,
) -> RoutingTrace:
    r"""Return the routing trace of a file, by its ending.

    Parameters
    ----------
    path
        An ``.npz``, ``.npy``, ``.csv``, ``.json``, ``.jsonl`` or ``.pt`` file.
    num_experts, top_k
        Of the model, where the file does not say.
    origin
        Origin of the ids: ``recorded`` or ``synthetic``; ``None`` is what the file says, ``unstated`` if it
        says nothing.
    tokens, rng
        Where the file holds loads alone: how many tokens to draw from them, and the seed or generator. The
        trace's origin is then ``loads``: its co-activation means nothing.

    Raises
    ------
    FormatError
        If the file is not what its ending says, or no trace.
    WorkloadError
        If the file is of another model than the caller says.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "tiny.csv"
    >>> _ = file.write_text("expert0,expert1\n0,1\n1,2\n")
    >>> load_trace(file, num_experts=4)
    RoutingTrace(1 layer, 2 tokens, top-2 of 4 experts, unstated)
    """
    if not isinstance(path, (str, Path)):
        raise FormatError(f"{path!r} is not the path of a trace; give text or a Path")
    file = Path(path)
    reader = TRACE_READERS.get(file.suffix.lower())
    if reader is None:
        hint = (
            did_you_mean(file.suffix, TRACE_READERS) if file.suffix else f"known: {', '.join(TRACE_READERS)}"
        )
        raise FormatError(f"{file}: no trace file ends in {file.suffix!r}; {hint}")
    recording = reader(file)
    if origin is not None:
        recording = replace(recording, origin=origin)
    return build_trace(recording, str(file), num_experts=num_experts, top_k=top_k, tokens=tokens, rng=rng)


def save_trace(trace: RoutingTrace, path: str | Path) -> None:
    """Write a trace as an ``.npz`` file, compressed; `load_trace` gives it back.

    Raises
    ------
    FormatError
        If the path does not end in ``.npz`` or cannot be written.
    """
    file = Path(path)
    if file.suffix.lower() != ".npz":
        raise FormatError(f"{file}: traces are written as .npz; name it {file.with_suffix('.npz').name!r}")
    arrays: dict[str, Any] = {"topk": trace.topk, "num_experts": np.array(trace.num_experts)}
    arrays |= {"origin": np.array(trace.origin), "source": np.array(trace.source)}
    arrays |= {"layers": np.array(trace.layers), "domains": np.array(trace.domains, dtype=str)}
    labels = {"weights": trace.weights, "domain": trace.domain, "document": trace.document}
    arrays |= {name: array for name, array in labels.items() if array is not None}
    with file_in_place_of(file) as part:
        np.savez_compressed(part, **arrays)


def _from_npz(path: Path) -> Recording:
    said = read_npz(path, (*FIELDS, "doc"))
    if "doc" in said:
        said.setdefault("document", said.pop("doc"))
    if "topk" not in said and "loads" not in said:
        raise FormatError(f"{path}: no array named 'topk' or 'loads'; it has: {', '.join(said) or 'neither'}")
    return Recording.of(said, str(path))


def _from_npy(path: Path) -> Recording:
    return Recording(topk=read_npy(path))


TRACE_READERS: dict[str, Callable[[Path], Recording]] = {
    ".npz": _from_npz,
    ".npy": _from_npy,
    ".csv": read_csv,
    ".json": read_json,
    ".jsonl": read_json_lines,
    ".pt": read_sglang,
}
"""Each kind of trace file by its ending."""
