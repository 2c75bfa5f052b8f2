"""What inference servers write about expert routing: SGLang's recorder and vLLM's responses.

SGLang, ``--expert-distribution-recorder-mode`` and ``POST /dump_expert_distribution_record``, writes PyTorch
archives (python/sglang/srt/eplb/expert_distribution.py of sgl-project/sglang at 02295fe):

* ``per_token``: ``records``, one for each forward pass, with ``topk_ids_of_layer`` [layers, tokens, 8] (ids
  of *physical* experts, -1 for none), and ``last_physical_to_logical_map`` [layers, physical];
* ``per_pass``: the same with ``global_physical_count`` [layers, physical] alone;
* ``stat``: ``logical_count`` [steps, layers, experts].

Before that (2025) it wrote counts as CSV with the header ``layer_id,expert_id,count``, experts without a
token left out; files of several ranks may be joined, their counts add up.

vLLM, ``--enable-return-routed-experts``, adds to each response of its completions
(docs/training/routed_experts_replay.md of vllm-project/vllm at 0087e00) ``prompt_routed_experts`` [tokens,
layers, k] and, per choice, ``routed_experts``; -1 where the prefix cache had the token. These are lists;
later versions send the bytes of an ``.npy`` file in base64. vLLM's load balancer writes JSON into
``expert_load_dump_dir`` of its ``eplb_config``, where it has that: ``snapshots`` (or one a line), each with
``window_expert_load`` [layers, physical] and ``physical_to_logical_map``. Windows may overlap; their loads
are added up, each by its own map.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noptoolkit.errors import FormatError
from noptoolkit.formats.archives import array_of_bytes, read_torch
from noptoolkit.formats.recording import Recording
from noptoolkit.limits import array_of, within
from noptoolkit.trace import MOST_EXPERTS

__all__ = [
    "COUNT_COLUMNS",
    "is_load_dump",
    "is_response",
    "read_counts",
    "read_load_dump",
    "read_responses",
    "read_sglang",
]

COUNT_COLUMNS = ["layer_id", "expert_id", "count"]
"""Header of SGLang's counts in CSV."""

MOST_IDS = 100_000

Ids = NDArray[np.integer[Any]]


def read_sglang(path: Path) -> Recording:
    """Return what a file of SGLang's expert distribution recorder holds.

    Dense layers, which have no ids or counts, are left out; so are padding tokens. Each rank writes the
    tokens that it has seen: under tensor parallelism alone all ranks' files hold the same, so read one.

    Raises
    ------
    FormatError
        If it is not such a file.
    """
    dump = read_torch(path)
    if not isinstance(dump, Mapping):
        raise FormatError(f"{path}: not written by SGLang's recorder: it holds no dictionary")
    try:
        if "logical_count" in dump:
            counts = array_of(dump["logical_count"], str(path), "logical_count")
            if counts.ndim not in (2, 3) or counts.dtype.kind not in "iuf":
                raise FormatError(
                    f"{path}: logical_count of shape {counts.shape}, not [steps, layers, experts]"
                )
            return _loads(counts.reshape(-1, *counts.shape[-2:]).sum(axis=0, dtype=float), "stat", path)
        logical = _map(dump["last_physical_to_logical_map"], str(path))
        records = dump["records"]
        if all("topk_ids_of_layer" in record for record in records):
            return _tokens([record["topk_ids_of_layer"] for record in records], logical, path)
        passes = [array_of(record["global_physical_count"], str(path), "counts") for record in records]
        counts = np.sum(passes, axis=0, dtype=float)
        experts = int(logical.max()) + 1
        within("values", len(counts) * experts, str(path), "layers x experts")
        loads = np.zeros((len(counts), experts))
        np.add.at(loads, (np.arange(len(counts))[:, None], logical), counts)
        return _loads(loads, "per_pass", path)
    except FormatError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise FormatError(f"{path}: not as SGLang's recorder writes it ({error!r})") from None


def _map(value: Any, place: str) -> Ids:
    """Return the expert of each physical one, [layers, physical]."""
    found = array_of(value, place, "physical_to_logical_map")
    if found.ndim != 2 or not found.size or not np.issubdtype(found.dtype, np.integer):
        raise FormatError(
            f"{place}: physical_to_logical_map of {found.dtype} and shape {found.shape}; "
            "it holds whole numbers, [layers, physical]"
        )
    if not 0 <= int(found.min()) <= int(found.max()) < MOST_EXPERTS:
        raise FormatError(f"{place}: physical_to_logical_map holds ids that are not 0 to {MOST_EXPERTS - 1}")
    return found


def _tokens(passes: Sequence[Any], logical: Ids, path: Path) -> Recording:
    ids = np.concatenate([array_of(one, str(path), "ids") for one in passes], axis=1)
    layers = np.flatnonzero((ids >= 0).any(axis=(1, 2)))
    places = np.flatnonzero((ids >= 0).any(axis=(0, 1)))
    ids = ids[layers][:, :, places]
    ids = ids[:, (ids >= 0).all(axis=(0, 2))]
    if not ids.size:
        raise FormatError(f"{path}: no token has ids in every layer; record with requests under way")
    topk = np.take_along_axis(logical[layers][:, None, :], ids, axis=2)
    return Recording(
        origin="recorded",
        topk=topk,
        num_experts=int(logical.max()) + 1,
        layers=layers.tolist(),
        source=f"SGLang's expert distribution recorder (per_token), {path.name}",
    )


def _loads(counts: NDArray[Any], mode: str, path: Path) -> Recording:
    layers = np.flatnonzero(counts.sum(axis=1))
    if not layers.size:
        raise FormatError(f"{path}: all counts are 0; record with requests under way")
    source = f"SGLang's expert distribution recorder ({mode}), {path.name}"
    return Recording(loads=counts[layers], layers=layers.tolist(), source=source)


def read_counts(rows: Sequence[Sequence[str]], path: Path) -> Recording:
    """Return the loads that rows of layer, expert and count hold; rows of the same two are added up.

    Raises
    ------
    FormatError
        If a row is not three whole numbers.
    """
    numbers = []
    for line, row in enumerate(rows, start=2):
        cells = [cell.strip() for cell in row]
        if cells == COUNT_COLUMNS:  # files of several ranks, one after the other
            continue
        if len(cells) != 3 or not all(cell.isdecimal() and len(cell) < 19 for cell in cells):
            raise FormatError(f"{path}: row {line}: {','.join(row)[:60]!r} is not layer, expert and count")
        numbers.append([int(cell) for cell in cells])
    table = np.array(numbers, dtype=np.int64).reshape(-1, 3)
    if not len(table) or table[:, :2].max() >= MOST_IDS:
        raise FormatError(f"{path}: no counts, or layers and experts above {MOST_IDS}")
    layers, layer = np.unique(table[:, 0], return_inverse=True)
    if len(layers) * (int(table[:, 1].max()) + 1) > 100 * MOST_IDS:
        raise FormatError(f"{path}: {len(layers)} layers of {table[:, 1].max() + 1} experts are too many")
    loads = np.zeros((len(layers), int(table[:, 1].max()) + 1), dtype=np.int64)
    np.add.at(loads, (layer, table[:, 1]), table[:, 2])
    source = f"SGLang's expert distribution recorder (counts), {path.name}"
    return Recording(loads=loads, layers=layers.tolist(), source=source, sparse=True)


def is_load_dump(value: object) -> bool:
    """Return whether a JSON value looks like a dump of vLLM's expert loads, or a snapshot of one."""
    return isinstance(value, Mapping) and ("snapshots" in value or "window_expert_load" in value)


def read_load_dump(values: Sequence[Any], path: Path) -> Recording:
    """Return the loads that dumps of vLLM's load balancer hold.

    Raises
    ------
    FormatError
        If a snapshot has no loads, or no map where there are copies of experts.
    """
    snapshots: list[Any] = []
    experts: int | None = None
    for value in values:
        found = value.get("snapshots", [value] if "window_expert_load" in value else [])
        snapshots += found if isinstance(found, list) else [found]
        given = value.get("num_logical_experts", experts)
        experts = given if isinstance(given, int) and 0 < given < MOST_IDS else experts
    total: NDArray[Any] | None = None
    shape: tuple[int, ...] | None = None
    for number, snapshot in enumerate(snapshots):
        place = f"{path}: snapshot {number}"
        if not isinstance(snapshot, Mapping) or "window_expert_load" not in snapshot:
            raise FormatError(f"{place}: no window_expert_load")
        load = _numbers(snapshot["window_expert_load"], place)
        if "physical_to_logical_map" in snapshot:
            logical = _numbers(snapshot["physical_to_logical_map"], place)
        else:
            logical = np.broadcast_to(np.arange(load.shape[-1]), load.shape)
        within_range = logical.min() >= 0 and logical.max() < MOST_IDS
        if logical.shape != load.shape or not within_range or (logical != np.floor(logical)).any():
            raise FormatError(f"{place}: physical_to_logical_map does not fit loads of shape {load.shape}")
        width = max(experts or 0, int(logical.max()) + 1)
        within("values", len(load) * width, place, "layers x experts")
        counted = np.zeros((len(load), width))
        with np.errstate(over="ignore"):  # what is not finite is refused below
            np.add.at(counted, (np.arange(len(load))[:, None], logical.astype(np.int64)), load)
            total = counted if total is None or total.shape != counted.shape else total + counted
        if shape not in (None, counted.shape):
            raise FormatError(f"{place}: loads of shape {counted.shape} after some of {shape}")
        shape = counted.shape
    if total is None:
        raise FormatError(f"{path}: a dump of expert loads without snapshots")
    return Recording(loads=total, num_experts=experts, source=f"vLLM's expert loads, {path.name}")


def _numbers(value: Any, place: str) -> NDArray[Any]:
    found = array_of(value, place, "loads and maps")
    found = found.astype(float) if found.dtype.kind in "iuf" else np.zeros(0)
    if found.ndim != 2 or not found.size or not np.isfinite(found).all():
        raise FormatError(f"{place}: loads and maps are numbers, [layers, physical experts]")
    return found


def is_response(value: object) -> bool:
    """Return whether a JSON value looks like a response of vLLM that was asked for routed experts."""
    return isinstance(value, Mapping) and ("choices" in value or "prompt_routed_experts" in value)


def read_responses(responses: Sequence[Mapping[str, Any]], path: Path) -> Recording:
    """Return the routing that vLLM's responses hold; every response is a document.

    Raises
    ------
    FormatError
        If a response holds no routing, or two differ in layers or experts per token.
    """
    parts: list[Ids] = []
    document: list[int] = []
    for number, response in enumerate(responses):
        found = list(_routed(response, f"{path}: response {number}"))
        if not found:
            raise FormatError(
                f"{path}: response {number} has no routed_experts; serve with --enable-return-routed-experts"
            )
        parts += found
        document += [number] * sum(map(len, found))
    if len({part.shape[1:] for part in parts}) > 1:
        shapes = sorted({part.shape[1:] for part in parts})
        raise FormatError(f"{path}: responses of different [layers, experts per token]: {shapes}")
    ids = np.concatenate(parts)
    cached = (ids < 0).any(axis=(1, 2))
    if cached.all():
        raise FormatError(f"{path}: every token came from the prefix cache; send other prompts")
    return Recording(
        origin="recorded",
        topk=ids[~cached].transpose(1, 0, 2),
        document=np.array(document)[~cached],
        source=f"vLLM's routed experts, {path.name}",
    )


def _routed(response: Mapping[str, Any], place: str) -> Iterator[Ids]:
    choices = response.get("choices") or []
    if not isinstance(choices, list) or not all(isinstance(choice, Mapping) for choice in choices):
        raise FormatError(f"{place}: choices is not a list of objects")
    fields = [response.get("prompt_routed_experts"), *(choice.get("routed_experts") for choice in choices)]
    for field in fields:
        if field is None or field == []:
            continue
        try:
            ids = (
                array_of_bytes(base64.b64decode(field, validate=True))
                if isinstance(field, str)
                else array_of(field, place, "routed experts")
            )
        except FormatError:
            raise
        except (ValueError, binascii.Error) as error:
            raise FormatError(f"{place}: routed experts that cannot be read ({error})") from None
        if ids.ndim != 3 or not np.issubdtype(ids.dtype, np.integer):
            raise FormatError(
                f"{place}: routed experts of {ids.dtype} and shape {ids.shape}, not [tokens, layers, k]"
            )
        yield ids
