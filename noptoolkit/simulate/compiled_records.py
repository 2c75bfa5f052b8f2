"""The arrays of a run as compiled code sees them: records of addresses and shapes, each one array of words.

A function of three namedtuples with eighty arrays would take five hundred arguments, all of which numba
makes, optimises and passes on at every call. Here it takes three addresses. A record holds the value of each
scalar, and the address and the shape of each array (`noptoolkit.simulate.columns` says which); it does not
change in a run, so that what is read of it may stay in registers.

Indices are not wrapped: one below 0 is a fault. Where bounds are checked (``NUMBA_BOUNDSCHECK=1``) it raises
IndexError, as one beyond the end does.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.core.typing.templates import (
    AbstractTemplate,
    AttributeTemplate,
    infer_getattr,
    infer_global,
    signature,
)
from numba.extending import intrinsic, lower_builtin, lower_getattr_generic, register_model

from noptoolkit.simulate.columns import LAYOUTS, Field

__all__ = ["as_network", "as_sources", "as_state", "length", "width", "words_of"]


def words_of(value: Any) -> Any:
    """Return the words of a record, which is valid as long as the arrays of the value."""
    words: list[int] = []
    for name, field in LAYOUTS[type(value).__name__].items():
        part = getattr(value, name)
        if field.dims == 0:
            words.append(int(np.array(part, field.dtype).view(np.int64)))
            continue
        fits = part.dtype == field.dtype and part.ndim == field.dims and part.flags.c_contiguous
        if not fits or field.width not in (0, part.shape[-1]):
            raise AssertionError(f"{name} is {part.dtype}{part.shape}, not {field}")
        words += [part.__array_interface__["data"][0], *part.shape]
    return np.array(words, np.int64)


class Record(types.Type):
    """The address of the words of a record."""

    def __init__(self, name: str, layout: dict[str, Field]) -> None:
        self.fields: dict[str, tuple[int, Any]] = {}  # the place of each, and its type
        place = 0
        for field, (dtype, dims, size) in layout.items():
            scalar = getattr(types, dtype)
            self.fields[field] = place, Table(scalar, dims, size) if dims else scalar
            place += dims + 1
        super().__init__(f"{name}Record")


class Table(types.Type):
    """The place in a record of the address and the shape of an array."""

    def __init__(self, dtype: Any, dims: int, size: int) -> None:
        self.stored, self.dims, self.size = dtype, dims, size
        self.dtype = types.int64 if dtype.signed else dtype  # what is read
        super().__init__(f"Table({dtype}, {dims}, {size})")


@register_model(Record)
@register_model(Table)
class Address(models.PrimitiveModel):
    """The address of a word."""

    def __init__(self, manager: Any, of: Any) -> None:
        super().__init__(manager, of, ir.IntType(64).as_pointer())


def _record_type(name: str) -> Any:
    kind = Record(name, LAYOUTS[name])

    def typed(context: Any, words: Any) -> Any:
        def address(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return context.make_array(signature.args[0])(context, builder, arguments[0]).data

        return kind(words), address

    return intrinsic(typed)


as_network: Any = _record_type("Network")
as_state: Any = _record_type("State")
as_sources: Any = _record_type("Sources")


def _word(builder: Any, record: Any, place: int) -> Any:
    """Return a word of a record, which never changes."""
    word = builder.load(builder.gep(record, [ir.IntType(64)(place)]))
    word.set_metadata("invariant.load", builder.module.add_metadata([]))
    return word


@infer_getattr
class _FieldOf(AttributeTemplate):
    key = Record

    def generic_resolve(self, record: Any, name: str) -> Any:  # type: ignore[override]
        return record.fields[name][1] if name in record.fields else None


@lower_getattr_generic(Record)
def _field(context: Any, builder: Any, record: Any, value: Any, name: str) -> Any:
    place, kind = record.fields[name]
    if isinstance(kind, Table):
        return builder.gep(value, [ir.IntType(64)(place)])
    return builder.bitcast(_word(builder, value, place), context.get_value_type(kind))


@infer_global(operator.getitem)
class _ReadTable(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        table, index = args
        return signature(table.dtype, table, index) if isinstance(table, Table) else None


@infer_global(operator.setitem)
class _WriteTable(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        table, index, value = args
        return signature(types.none, table, index, value) if isinstance(table, Table) else None


def _place(context: Any, builder: Any, table: Any, value: Any, kind: Any, index: Any) -> Any:
    """Return the address of an element."""
    kinds = [kind] if table.dims == 1 else list(kind)
    indices = [index] if table.dims == 1 else cgutils.unpack_tuple(builder, index)
    place = ir.IntType(64)(0)
    for axis, (part, of) in enumerate(zip(indices, kinds, strict=True)):
        here = context.cast(builder, part, of, types.int64)
        fixed = table.size and axis == table.dims - 1
        size = ir.IntType(64)(table.size) if fixed else _word(builder, value, 1 + axis)
        if context.enable_boundscheck:
            cgutils.do_boundscheck(context, builder, here, size, axis)
        place = builder.add(builder.mul(place, size), here) if axis else here
    stored = context.get_data_type(table.stored)
    data = builder.inttoptr(_word(builder, value, 0), stored.as_pointer())
    return builder.gep(data, [place])


@lower_builtin(operator.getitem, Table, types.Any)
def _read(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    table, kind = signature.args
    element = builder.load(_place(context, builder, table, arguments[0], kind, arguments[1]))
    return context.cast(builder, element, table.stored, table.dtype)


@lower_builtin(operator.setitem, Table, types.Any, types.Any)
def _write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    table, kind, given = signature.args
    place = _place(context, builder, table, arguments[0], kind, arguments[1])
    builder.store(context.cast(builder, arguments[2], given, table.stored), place)
    return context.get_dummy_value()


def _size(axis: int) -> Any:
    def typed(context: Any, table: Any) -> Any:
        def read(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return _word(builder, arguments[0], 1 + axis % table.dims)

        return types.int64(table), read

    return intrinsic(typed)


length: Any = _size(0)
width: Any = _size(-1)
