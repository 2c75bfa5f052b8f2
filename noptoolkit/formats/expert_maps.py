"""Expert maps of inference servers as allocations, and back.

A map says which expert each slot of each device holds, for each layer; an expert in several slots has copies.
Three forms are read, and the first two written:

* vLLM for Ascend (``expert_map_path``): JSON with ``moe_layer_count`` and ``layer_list``, whose layers have a
  ``device_list`` with ``device_expert``, the experts of each device;
* SGLang (``--init-expert-location``): JSON with ``physical_to_logical_map``, the expert of each slot [layers,
  slots], slots of a device side by side;
* the same array as DeepSeek's EPLB returns it (``phy2log``), in ``.npy`` or ``.npz``, or as
  ``physical_to_logical_map`` in one of vLLM's load dumps, of which the last snapshot counts.

The first slot of an expert is its place, all others are copies. Servers deal a token to the copies in turn.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit.allocation import Allocation
from noptoolkit.errors import FormatError, WorkloadError
from noptoolkit.formats.archives import read_npy, read_npz
from noptoolkit.formats.attributes import parse_json
from noptoolkit.formats.files import read_text
from noptoolkit.formats.results import replace_file
from noptoolkit.limits import array_of, within
from noptoolkit.package import Package
from noptoolkit.trace import MOST_EXPERTS

__all__ = ["load_expert_map", "save_expert_map"]


def load_expert_map(path: str | Path, devices: Package | Sequence[str] | int) -> Allocation:
    """Return the allocation that a server's expert map describes.

    Parameters
    ----------
    path
        File of one of the forms above.
    devices
        Package whose expert chiplets are the devices, in order; or their names; or how many there are.

    Raises
    ------
    FormatError
        If it is not such a map, or does not fit the devices.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "map.json"
    >>> _ = file.write_text('{"physical_to_logical_map": [[0, 1, 2, 0]]}')
    >>> layout = load_expert_map(file, 2)
    >>> layout.chiplet_of_expert.tolist(), layout.replicas.tolist()
    ([[0, 0, 1]], [[[0, 1]]])
    """
    place = Path(path)
    groups = None
    if isinstance(devices, Package):
        names, groups = devices.experts, devices.expert_groups
    elif isinstance(devices, int):
        names = tuple(f"device{i}" for i in range(devices))
    else:
        names = tuple(devices)
    if not names:
        raise FormatError(f"{place}: an expert map needs devices, of which there are none")
    layers = _layers(place, len(names))
    experts = 1 + max(int(of_device.max(initial=-1)) for layer in layers for of_device in layer)
    within("values", experts * len(layers), str(place), "layers x experts")
    places = np.full((len(layers), experts), -1, np.int64)
    copies: list[list[tuple[int, int]]] = []
    for i, layer in enumerate(layers):
        copies.append([])
        for device, held in enumerate(layer):
            for expert in held.tolist():
                if places[i, expert] < 0:
                    places[i, expert] = device
                else:
                    copies[-1].append((expert, device))
        missing = np.flatnonzero(places[i] < 0)
        if len(missing):
            raise FormatError(f"{place}: layer {i}: no device holds expert {missing[0]}")
    most = max(map(len, copies))
    replicas = np.full((len(layers), most, 2), -1, np.int64)
    for i, pairs in enumerate(copies):
        replicas[i, : len(pairs)] = np.array(pairs, np.int64).reshape(-1, 2)
    try:
        return Allocation(names, places, groups, f"expert map {place.name}", replicas if most else None)
    except WorkloadError as error:
        raise FormatError(f"{place}: {error}") from None


def save_expert_map(
    path: str | Path, allocation: Allocation, *, style: Literal["vllm-ascend", "sglang"] = "sglang"
) -> None:
    """Write an allocation as an expert map.

    Parameters
    ----------
    path
        File to write, JSON.
    allocation
        Layout whose chiplets are the devices.
    style
        Form of the file, see the module.

    Raises
    ------
    FormatError
        If the devices do not have equally many experts: servers ask for that.
    """
    if style not in ("vllm-ascend", "sglang"):
        raise FormatError(f"{path}: no style of expert maps named {style!r}; known: vllm-ascend, sglang")
    layers: list[list[list[int]]] = []
    for places, replicas in zip(allocation.chiplet_of_expert, allocation.replicas, strict=True):
        held: list[list[int]] = [[] for _ in allocation.experts]
        pairs = [*enumerate(places.tolist()), *replicas[replicas[:, 0] >= 0].tolist()]
        for expert, device in pairs:
            held[device].append(expert)
        counts = [len(experts) for experts in held]
        if len(set(counts)) > 1:
            raise FormatError(
                f"{path}: devices hold {min(counts)} to {max(counts)} experts; servers ask for equally many, "
                "so allocate with equal capacities or add copies"
            )
        layers.append(held)
    content: dict[str, Any]
    if style == "sglang":
        content = {"physical_to_logical_map": [[e for held in layer for e in held] for layer in layers]}
    else:
        content = {
            "moe_layer_count": len(layers),
            "layer_list": [
                {
                    "layer_id": i,
                    "device_count": len(layer),
                    "device_list": [
                        {"device_id": device, "device_expert": held} for device, held in enumerate(layer)
                    ],
                }
                for i, layer in enumerate(layers)
            ],
        }
    replace_file(path, json.dumps(content) + "\n")


def _layers(path: Path, devices: int) -> list[list[Ints]]:
    """Return the experts of each device in each layer."""
    if path.suffix == ".npy":
        return _split(read_npy(path), path, devices)
    if path.suffix == ".npz":
        found = read_npz(path, ("physical_to_logical_map", "phy2log"))
        if not found:
            raise FormatError(f"{path}: no array named 'physical_to_logical_map' or 'phy2log'")
        return _split(next(iter(found.values())), path, devices)
    value = parse_json(read_text(path, "table_bytes"), str(path))
    snapshots = value.get("snapshots") if isinstance(value, Mapping) else None
    if isinstance(snapshots, list) and snapshots and isinstance(snapshots[-1], Mapping):
        value = snapshots[-1]
    if isinstance(value, Mapping) and "physical_to_logical_map" in value:
        return _split(_array(value["physical_to_logical_map"], path), path, devices)
    if not isinstance(value, Mapping) or not isinstance(value.get("layer_list"), list):
        raise FormatError(f"{path}: no expert map: it has neither layer_list nor physical_to_logical_map")
    layers: list[list[Ints]] = []
    for layer in value["layer_list"]:
        listed = layer.get("device_list") if isinstance(layer, Mapping) else None
        if not isinstance(listed, list) or not all(isinstance(device, Mapping) for device in listed):
            raise FormatError(f"{path}: layer {len(layers)}: device_list is not a list of devices")
        ordered = sorted(
            enumerate(listed), key=lambda entry: _device(entry[1].get("device_id", entry[0]), path)
        )
        if len(listed) != devices:
            raise FormatError(f"{path}: layer {len(layers)}: {len(listed)} devices, not {devices}")
        layers.append([_array(device.get("device_expert"), path).reshape(-1) for _, device in ordered])
    if not layers:
        raise FormatError(f"{path}: an expert map without layers")
    for layer_of in layers:
        for held in layer_of:
            _check(held, path)
    return layers


def _device(value: Any, path: Path) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise FormatError(f"{path}: device_id {str(value)[:20]!r} is not a whole number")
    return value


def _array(value: Any, path: Path) -> Ints:
    found = array_of(value, str(path), "an expert map")
    if found.size and not np.issubdtype(found.dtype, np.integer):
        raise FormatError(f"{path}: an expert map holds whole numbers in rows of one length")
    return found.astype(np.int64)


def _check(experts: Ints, path: Path) -> None:
    if experts.size and not 0 <= int(experts.min()) <= int(experts.max()) < MOST_EXPERTS:
        raise FormatError(
            f"{path}: expert {experts.min()} to {experts.max()}: ids begin with 0, end below {MOST_EXPERTS}"
        )


def _split(given: Any, path: Path, devices: int) -> list[list[Ints]]:
    table = np.atleast_2d(_array(given, path))
    if table.ndim == 3 and table.size:  # [layers, devices, slots]
        table = table.reshape(len(table), -1)
    if table.ndim != 2 or not table.size or table.shape[1] % devices:
        raise FormatError(
            f"{path}: a map of shape {table.shape} is not [layers, slots] for {devices} devices"
        )
    _check(table, path)
    return [list(layer) for layer in table.reshape(len(table), devices, -1)]
