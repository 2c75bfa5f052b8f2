"""Arrays from ``.npy`` and ``.npz`` files and from PyTorch's archives, which may be anything.

Nothing is unpacked before its declared size is known to be bearable, and an array's header is read before its
data: the shape must fit in the bytes there are. No pickle is loaded from NumPy files. PyTorch's archives
(``torch.save``: a zip of one pickle and the tensors' bytes) are read without PyTorch, by an unpickler that
knows ordered dictionaries and tensors, and refuses every other name: nothing in the file is ever run.
"""

from __future__ import annotations

import ast
import io
import math
import pickle
import pickletools
import re
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from noptoolkit.errors import FormatError

__all__ = ["MOST_BYTES", "array_of_bytes", "read_npy", "read_npz", "read_torch"]

MOST_BYTES = 2_000_000_000
"""Files and archives that unpack to more are refused: 60 layers of 4 million tokens, top-8, fit."""

MOST_PICKLE_BYTES = 64_000_000
"""What the pickle of a PyTorch archive may have: the tensors' bytes are not in it."""

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
        _check_size(path, size)
        return _read_array(stream, size)


def array_of_bytes(data: bytes) -> NDArray[Any]:
    """Return the array of an ``.npy`` file's bytes; ValueError where they are none."""
    try:
        return _read_array(io.BytesIO(data), len(data))
    except _DAMAGE as error:
        raise ValueError(str(error)) from None


def read_npz(path: Path, names: Collection[str]) -> dict[str, NDArray[Any]]:
    """Return those arrays of an ``.npz`` file that are among ``names``; others are not even unpacked.

    Raises
    ------
    FormatError
        If the file is missing, truncated, too large, or one of the arrays is not of numbers or text.
    """
    with _named_faults(path, ".npz file"), zipfile.ZipFile(path) as archive:
        members = [m for m in archive.infolist() if m.filename.removesuffix(".npy") in names]
        _check_size(path, sum(member.file_size for member in members))
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
        _check_size(path, sum(member.file_size for member in archive.infolist()))
        folder = next(
            (n.removesuffix("data.pkl") for n in archive.namelist() if n.endswith("/data.pkl")), None
        )
        if folder is None:
            raise FormatError(f"{path}: no PyTorch archive; write it with torch.save of version 1.6 or later")
        if archive.getinfo(f"{folder}data.pkl").file_size > MOST_PICKLE_BYTES:
            raise FormatError(
                f"{path}: its pickle is larger than {MOST_PICKLE_BYTES / 1e6:g} MB; record less"
            )
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            raise FormatError(f"{path}: written on a big-endian machine; save it on a little-endian one")
        data = archive.read(f"{folder}data.pkl")
        for operation, argument, _ in pickletools.genops(data):
            if "PUT" in operation.name and isinstance(argument, int) and argument > len(data):
                raise FormatError(f"{path}: damaged (memo {argument} of a pickle of {len(data)} B)")
        return _TensorUnpickler(data, lambda key: archive.read(f"{folder}data/{key}")).load()


class _TensorUnpickler(pickle.Unpickler):
    """An unpickler for which only ordered dictionaries and tensors of numbers exist."""

    def __init__(self, data: bytes, storage: Callable[[str], bytes]) -> None:
        super().__init__(io.BytesIO(data))
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _strided
        if module == "torch" and name in _STORAGES:
            return name
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is never loaded")

    def persistent_load(self, pid: Any) -> NDArray[Any]:
        kind, storage, key, _, count = pid
        if kind != "storage" or storage not in _STORAGES:
            raise pickle.UnpicklingError(f"it holds a {kind!r} of {storage!r}")
        values = np.frombuffer(self._storage(str(key)), dtype=_STORAGES[storage])
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


def _strided(values: NDArray[Any], offset: int, shape: Any, stride: Any, *_: object) -> NDArray[Any]:
    """Return a tensor from its storage, as PyTorch rebuilds it."""
    if offset < 0 or len(shape) != len(stride) or min((*shape, *stride, 0)) < 0:
        raise pickle.UnpicklingError(f"a tensor of shape {shape}, strides {stride} and offset {offset}")
    count = math.prod(shape)
    last = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
    if count > len(values) or (count and last >= len(values)):
        raise pickle.UnpicklingError(f"a tensor of shape {shape} does not fit in {len(values)} values")
    steps = [step * values.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(values[offset:], shape, steps, writeable=False).copy()


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
    wanted = math.prod(shape) * dtype.itemsize
    if wanted > size:
        raise ValueError(f"truncated: shape {shape} needs {wanted} B, {size} B are there")
    data = stream.read(wanted)
    if len(data) < wanted:
        raise ValueError(f"truncated: {len(data)} of {wanted} B")
    return np.frombuffer(data, dtype=dtype).reshape(shape, order="F" if column_major else "C")


def _check_size(path: Path, size: int) -> None:
    if size > MOST_BYTES:
        raise FormatError(
            f"{path}: unpacks to {size / 1e9:.1f} GB, more than {MOST_BYTES / 1e9:g} GB; record less"
        )


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
    except _DAMAGE as error:
        raise FormatError(f"{path}: no sound {kind} ({error})") from None


_DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    SyntaxError,
    RuntimeError,  # an encrypted member; nesting too deep
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    zlib.error,
)
