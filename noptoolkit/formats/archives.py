"""Arrays from ``.npy`` and ``.npz`` files and from PyTorch's archives, which may be anything.

Nothing is unpacked before its declared size is known to be bearable, and an array's header is read before its
data: the shape must fit in the bytes there are. No pickle is loaded from NumPy files. PyTorch's archives
(``torch.save``: a zip of one pickle and the tensors' bytes) are read without PyTorch, by an unpickler that
knows ordered dictionaries and tensors, and refuses every other name: nothing in the file is ever run.
"""

from __future__ import annotations

import ast
import io
import itertools
import math
import pickle
import pickletools
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from noptoolkit.errors import FormatError
from noptoolkit.limits import within

__all__ = ["array_of_bytes", "read_npy", "read_npz", "read_torch"]

FREE_BYTES = 64_000_000
"""What an archive may unpack to however small it is."""

MOST_OPERATIONS = 2_000_000
"""Operations of the pickle in a PyTorch archive, and values within each other that they make."""

MOST_HEADER_BYTES = 10_000
"""What the header of one array may have, as in NumPy itself."""


def read_npy(path: Path) -> NDArray[Any]:
    """Return the array of an ``.npy`` file.

    Raises
    ------
    FormatError
        If the file is missing, truncated, too large, or no array of numbers or text.
    """
    with _named_faults(path, ".npy file"), path.open("rb") as stream:
        size = path.stat().st_size
        within("archive_bytes", size, str(path), "bytes")
        return _read_array(stream, size)


def array_of_bytes(data: bytes) -> NDArray[Any]:
    """Return the array of an ``.npy`` file's bytes; ValueError where they are none."""
    try:
        return _read_array(io.BytesIO(data), len(data))
    except Exception as error:  # whatever the parser raises on damage
        raise ValueError(f"{type(error).__name__}: {error}") from None


def read_npz(path: Path, names: Collection[str]) -> dict[str, NDArray[Any]]:
    """Return those arrays of an ``.npz`` file that are among ``names``; others are not even unpacked.

    Raises
    ------
    FormatError
        If the file is missing, truncated, too large, or one of the arrays is not of numbers or text.
    """
    with _named_faults(path, ".npz file"), zipfile.ZipFile(path) as archive:
        members = [m for m in archive.infolist() if m.filename.removesuffix(".npy") in names]
        _check_members(path, members, len(archive.infolist()))
        arrays = {}
        for member in members:
            with archive.open(member) as stream:
                arrays[member.filename.removesuffix(".npy")] = _read_array(stream, member.file_size)
        return arrays


def read_torch(path: Path) -> Any:
    """Return what ``torch.save`` wrote to a file: dictionaries, lists, numbers, text, and tensors as arrays.

    Raises
    ------
    FormatError
        If the file is missing, truncated, too large, or holds anything else.
    """
    with _named_faults(path, "PyTorch archive"), zipfile.ZipFile(path) as archive:
        _check_members(path, archive.infolist(), len(archive.infolist()))
        folder = next(
            (n.removesuffix("data.pkl") for n in archive.namelist() if n.endswith("/data.pkl")), None
        )
        if folder is None:
            raise FormatError(f"{path}: no PyTorch archive; write it with torch.save of version 1.6 or later")
        size = archive.getinfo(f"{folder}data.pkl").file_size
        within("pickle_bytes", size, str(path), "bytes in its pickle")
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            raise FormatError(f"{path}: written on a big-endian machine; save it on a little-endian one")
        data = archive.read(f"{folder}data.pkl")
        for number, (operation, argument, _) in enumerate(pickletools.genops(data)):
            if number >= MOST_OPERATIONS:
                raise FormatError(
                    f"{path}: more than {MOST_OPERATIONS:,} operations in its pickle; record less"
                )
            if "PUT" in operation.name and isinstance(argument, int) and argument > len(data):
                raise FormatError(f"{path}: damaged (memo {argument} of a pickle of {len(data)} B)")
        total = sum(member.file_size for member in archive.infolist())
        found = _TensorUnpickler(data, lambda key: archive.read(f"{folder}data/{key}"), total).load()
        _check_tree(path, found)
        return found


class _TensorUnpickler(pickle.Unpickler):
    """An unpickler for which only ordered dictionaries and tensors of numbers exist."""

    def __init__(self, data: bytes, storage: Callable[[str], bytes], total: int) -> None:
        super().__init__(io.BytesIO(data))
        self._storage = storage
        self._known: dict[str, NDArray[Any]] = {}
        self._rebuild = _Rebuild(4 * total + FREE_BYTES)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self._rebuild
        if module == "torch" and name in _STORAGES:
            return name
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is never loaded")

    def persistent_load(self, pid: Any) -> NDArray[Any]:
        kind, storage, key, _, count = pid
        if kind != "storage" or storage not in _STORAGES:
            raise pickle.UnpicklingError(f"it holds a {kind!r} of {storage!r}")
        name = f"{key} {storage}"
        if name not in self._known:  # tensors may share a storage, so it is read once
            self._known[name] = np.frombuffer(self._storage(str(key)), dtype=_STORAGES[storage])
        values = self._known[name]
        if len(values) < count:
            raise pickle.UnpicklingError(f"tensor {key!r} has {len(values)} of its {count} values")
        return values


_STORAGES = {
    "ByteStorage": "<u1",
    "CharStorage": "<i1",
    "ShortStorage": "<i2",
    "IntStorage": "<i4",
    "LongStorage": "<i8",
    "HalfStorage": "<f2",
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "BoolStorage": "?",
}


class _Rebuild:
    """The one function that a pickle may call, without attributes that a pickle could set.

    Parameters
    ----------
    most
        Bytes of all tensors together: each may be as large as a storage that they share.
    """

    __slots__ = ("_left",)

    def __init__(self, most: int) -> None:
        self._left = [most]

    def __call__(self, values: NDArray[Any], offset: int, shape: Any, stride: Any, *_: object) -> Any:
        if not isinstance(values, np.ndarray):
            raise pickle.UnpicklingError("a tensor without a storage")
        found = _strided(values, offset, shape, stride)
        self._left[0] -= found.nbytes
        if self._left[0] < 0:
            raise pickle.UnpicklingError("its tensors come to many times its size")
        return found

    def __setattr__(self, name: str, value: object) -> None:
        if name != "_left" or hasattr(self, "_left"):
            raise AttributeError(name)
        object.__setattr__(self, name, value)


def _strided(values: NDArray[Any], offset: int, shape: Any, stride: Any, *_: object) -> NDArray[Any]:
    """Return a tensor from its storage, as PyTorch rebuilds it."""
    if offset < 0 or len(shape) != len(stride) or min((*shape, *stride, 0)) < 0:
        raise pickle.UnpicklingError(f"a tensor of shape {shape}, strides {stride} and offset {offset}")
    count = math.prod(shape)
    last = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
    if count > len(values) or (count and last >= len(values)):
        raise pickle.UnpicklingError(f"a tensor of shape {shape} does not fit in {len(values)} values")
    steps = [step * values.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(values[offset:], shape, steps, writeable=False)


def _read_array(stream: IO[bytes], size: int) -> NDArray[Any]:
    """Return the array of a stream in NumPy's format, of which ``size`` bytes are left."""
    start = stream.read(8)
    if start[:6] != b"\x93NUMPY" or start[6:] not in (b"\1\0", b"\2\0"):
        raise ValueError("it does not begin as NumPy's format, version 1 or 2")
    length = int.from_bytes(stream.read(2 if start[6] == 1 else 4), "little")
    if length > MOST_HEADER_BYTES:
        raise ValueError(f"a header of {length} B")
    header = ast.literal_eval(stream.read(length).decode("latin-1").strip())
    kind, shape, column_major = header["descr"], header["shape"], header["fortran_order"]
    if not (isinstance(kind, str) and re.fullmatch(r"[<>|][biufSU]\d+", kind)):
        raise ValueError(f"an array of {kind!r}; write numbers or text")
    if not all(type(extent) is int and extent >= 0 for extent in shape):
        raise ValueError(f"shape {shape}")
    dtype = np.dtype(kind)
    if not dtype.itemsize:
        raise ValueError("texts of no letters")
    wanted = math.prod(shape) * dtype.itemsize
    if wanted > size:
        raise ValueError(f"truncated: shape {shape} needs {wanted} B, {size} B are there")
    data = stream.read(wanted)
    if len(data) < wanted:
        raise ValueError(f"truncated: {len(data)} of {wanted} B")
    if dtype.kind == "U" and wanted:
        letters = np.frombuffer(data, dtype=dtype.byteorder.replace("|", "=") + "u4")
        if letters.max() > 0x10FFFF or ((letters >= 0xD800) & (letters < 0xE000)).any():
            raise ValueError("text with letters that Unicode does not have")
    return np.frombuffer(data, dtype=dtype).reshape(shape, order="F" if column_major else "C")


def _check_members(path: Path, members: Sequence[zipfile.ZipInfo], count: int) -> None:
    """Raise where members would unpack to more than an archive may, before any of them is.

    Parameters
    ----------
    path
        The archive.
    members
        Those that will be read.
    count
        Number of all.
    """
    place = str(path)
    within("members", count, place, "members")
    on_disk, size = path.stat().st_size, sum(member.file_size for member in members)
    within("archive_bytes", size, place, "bytes when it is unpacked")
    if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
        raise FormatError(f"{path}: its members are compressed, but not deflated; write it again")
    if sum(member.compress_size for member in members) > on_disk:
        raise FormatError(f"{path}: damaged: its members are larger than the file, or overlap")
    if size > FREE_BYTES:
        within("archive_ratio", size / max(on_disk, 1), place, "times its size when it is unpacked")


def _check_tree(path: Path, value: Any) -> None:
    """Raise where lists and tables that hold each other come to more values than a pickle may make."""
    left = MOST_OPERATIONS
    layer: list[Any] = [value]
    while layer:
        left -= len(layer)
        if left < 0:
            raise FormatError(f"{path}: its lists and tables hold each other many times over; record less")
        below = (_parts(one) for one in layer)
        layer = list(itertools.islice(itertools.chain.from_iterable(below), left + 1))


def _parts(value: Any) -> Collection[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list | tuple | set | frozenset) else ()


@contextmanager
def _named_faults(path: Path, kind: str) -> Iterator[None]:
    try:
        yield
    except FormatError:
        raise
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror or error})") from None
    except MemoryError:
        raise FormatError(f"{path}: does not fit in memory; record less") from None
    except Exception as error:  # whatever zipfile, zlib, ast and pickle raise on damage
        raise FormatError(f"{path}: no sound {kind} ({type(error).__name__}: {error})") from None
