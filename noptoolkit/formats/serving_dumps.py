"""What inference servers write about expert routing: SGLang's recorder and vLLM's responses.

SGLang, ``--expert-distribution-recorder-mode`` and ``POST /dump_expert_distribution_record``, writes PyTorch
archives (python/sglang/srt/eplb/expert_distribution.py of sgl-project/sglang at 02295fe):

* ``per_token``: ``records``, one for each forward pass, with ``topk_ids_of_layer`` [layers, tokens, 8] (ids
  of *physical* experts, -1 for none), and ``last_physical_to_logical_map`` [layers, physical];
* ``per_pass``: the same with ``global_physical_count`` [layers, physical] alone;
* ``stat``: ``logical_count`` [steps, layers, experts].

vLLM, ``--enable-return-routed-experts``, adds to each response of its completions
(docs/training/routed_experts_replay.md of vllm-project/vllm at 0087e00) ``prompt_routed_experts``
[tokens, layers, k] and, per choice, ``routed_experts``; -1 where the prefix cache had the token. These are
lists; later versions send the bytes of an ``.npy`` file in base64. vLLM's load balancer (EPLB) writes no
file, only lines of its log.
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

__all__ = ["is_response", "read_responses", "read_sglang"]

Ids = NDArray[np.integer[Any]]


def read_sglang(path: Path) -> Recording:
    """Return what a file of SGLang's expert distribution recorder holds.

    Dense layers, which have no ids or counts, are left out; so are padding tokens. Each rank writes the
    tokens that it has seen: under tensor parallelism alone all ranks' files hold the same, so read one.

    Raises
    ------
    FormatError
        If it is no such file.
    """
    dump = read_torch(path)
    if not isinstance(dump, Mapping):
        raise FormatError(f"{path}: not written by SGLang's recorder: it holds no dictionary")
    try:
        if "logical_count" in dump:
            counts = np.asarray(dump["logical_count"])
            return _loads(counts.reshape(-1, *counts.shape[-2:]).sum(axis=0), "stat", path)
        logical = np.asarray(dump["last_physical_to_logical_map"])
        records = dump["records"]
        if all("topk_ids_of_layer" in record for record in records):
            return _tokens([record["topk_ids_of_layer"] for record in records], logical, path)
        passes = [np.asarray(record["global_physical_count"], dtype=np.int64) for record in records]
        counts = np.sum(passes, axis=0)
        loads = np.zeros((len(counts), int(logical.max()) + 1), dtype=np.int64)
        np.add.at(loads, (np.arange(len(counts))[:, None], logical), counts)
        return _loads(loads, "per_pass", path)
    except (LookupError, TypeError, ValueError) as error:
        raise FormatError(f"{path}: not as SGLang's recorder writes it ({error!r})") from None


def _tokens(passes: Sequence[Any], logical: Ids, path: Path) -> Recording:
    ids = np.concatenate([np.asarray(one) for one in passes], axis=1)
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
        raise FormatError(f"{place}: choices is no list of objects")
    fields = [response.get("prompt_routed_experts"), *(choice.get("routed_experts") for choice in choices)]
    for field in fields:
        if field is None or field == []:
            continue
        try:
            ids = (
                array_of_bytes(base64.b64decode(field, validate=True))
                if isinstance(field, str)
                else np.array(field)
            )
        except (ValueError, binascii.Error) as error:
            raise FormatError(f"{place}: routed experts that cannot be read ({error})") from None
        if ids.ndim != 3 or not np.issubdtype(ids.dtype, np.integer):
            raise FormatError(
                f"{place}: routed experts of {ids.dtype} and shape {ids.shape}, not [tokens, layers, k]"
            )
        yield ids
