"""Pydantic models made from the dataclasses and builders themselves, and their faults in our words.

The fields, units and defaults of a file's tables stand once, in `noptoolkit.package`, `noptoolkit.workload`
and the builders' signatures; the models here add strictness: unknown keys, wrong types and wrong units are
faults.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, create_model
from pydantic_core import ErrorDetails

from noptoolkit._names import did_you_mean
from noptoolkit._shown import shown
from noptoolkit.errors import MOST_COUNTED, MOST_SHOWN
from noptoolkit.package import LinkKind, Package
from noptoolkit.topology.builder_options import Parts
from noptoolkit.units import parse_quantity

__all__ = ["builder_model", "check", "entry_model", "table_model"]

_STRICT = ConfigDict(extra="forbid", strict=True)


@lru_cache(maxsize=65536)
def _parse(value: float | str, unit: str, what: str) -> float:
    return parse_quantity(value, unit, what)


def _quantity(unit: str, what: str) -> Any:
    def parse(value: Any) -> float:
        hashable = isinstance(value, (str, int, float)) and not isinstance(value, bool)
        return _parse(value, unit, what) if hashable else parse_quantity(value, unit, what)

    return Annotated[float, BeforeValidator(parse)]


def _field_type(name: str, hint: Any, unit: str) -> Any:
    """Return the type a file's value must have for a field of this name, annotation and unit."""
    optional = isinstance(hint, types.UnionType) and type(None) in typing.get_args(hint)
    kind: Any = hint
    if name == "group":
        kind = str | int
    elif hint is not int and (name == "position" or name.endswith("size")):
        kind = tuple.__class_getitem__((_quantity("m", name),) * 2)
    elif unit:
        kind = _quantity(unit, name)
    elif hint is LinkKind:
        return Literal[tuple(member.value for member in LinkKind)]
    return kind | None if optional else kind


@lru_cache(maxsize=64)
def entry_model(
    cls: type[Any], *, all_optional: bool = False, leave_out: tuple[str, ...] = ()
) -> type[BaseModel]:
    """Return the model of one table that describes a dataclass.

    Parameters
    ----------
    cls
        The dataclass.
    all_optional
        For tables of defaults, where nothing is required.
    leave_out
        Fields that the file does not give.
    """
    fields: dict[str, Any] = {
        name: (kind, None if all_optional else default)
        for name, (kind, default) in _dataclass_fields(cls).items()
        if name not in leave_out
    }
    return create_model(cls.__name__, __config__=_STRICT, **fields)


def _dataclass_fields(cls: type[Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        kind = _field_type(field.name, hints[field.name], str(field.metadata.get("unit", "")))
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        fields[field.name] = (kind, ... if required else None)
    return fields


@lru_cache(maxsize=128)
def builder_model(builder: Callable[..., Package]) -> type[BaseModel]:
    """Return the model of a ``[params]`` table: the builder's own arguments and those of `Parts`."""
    hints = typing.get_type_hints(builder)
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(builder).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            fields |= _dataclass_fields(Parts)
            continue
        unit = "B/s" if name.endswith("bandwidth") else ""
        required = parameter.default is inspect.Parameter.empty
        fields[name] = (_field_type(name, hints[name], unit), ... if required else None)
    return create_model(builder.__name__, __config__=_STRICT, **fields)


def table_model(title: str, /, **fields: Any) -> type[BaseModel]:
    """Return a strict model with some fields, each a pair of type and default (``...`` where required)."""
    return create_model(title, __config__=_STRICT, **fields)


def check(model: type[BaseModel], data: Any, place: str, faults: list[str]) -> dict[str, Any]:
    """Return the values that a table gives, checked and converted; add what is wrong with it to ``faults``.

    Parameters
    ----------
    model
        Of the table.
    data
        What the file has.
    place
        Of the table, for the faults: ``link 'sw0'-'e9'``.
    faults
        Gets one line for each fault.
    """
    if not isinstance(data, Mapping):
        faults.append(f"{_join(place)}must be a table, not {shown(data)}")
        return {}
    unknown = [key for key in data if key not in model.model_fields]
    for key in unknown[:MOST_COUNTED]:
        hint = f"; {did_you_mean(str(key), model.model_fields)}" if len(faults) < MOST_SHOWN else ""
        faults.append(f"{_join(place)}no key {_short(key)}{hint}")
    try:
        valid = model.model_validate(
            {key: _tuples(part) for key, part in data.items() if key in model.model_fields}
        )
    except ValidationError as error:
        details = error.errors(include_url=False)
        faults += [_fault(detail, model, place) for detail in details[:MOST_COUNTED]]
        return {}
    return {} if unknown else {key: getattr(valid, key) for key in valid.model_fields_set}


def _tuples(value: Any) -> Any:
    """Return tables with their arrays as tuples, which is what strict models take."""
    if isinstance(value, Mapping):
        return {key: _tuples(part) for key, part in value.items()}
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value


def _fault(detail: ErrorDetails, model: type[BaseModel], place: str) -> str:
    *path, last = detail["loc"] or ("",)
    parent = ".".join(str(part) for part in path)
    key = f"{parent}.{last}" if parent else str(last)
    if detail["type"] == "extra_forbidden":
        return f"{_join(place)}no key {key!r}; {did_you_mean(str(last), _known(model, path))}"
    if detail["type"] == "missing":
        return f"{_join(place)}key {key!r} is missing"
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "value_error":
        return f"{_join(place)}{message}"
    if detail["type"].startswith("bool_"):
        message = "give true or false" + (", without quotes" if isinstance(detail["input"], str) else "")
    return f"{_join(place)}{key} = {shown(detail['input'])}: {message[:1].lower()}{message[1:]}"


def _known(model: type[BaseModel], path: Iterable[int | str]) -> list[str]:
    """Return the keys that the table at a path within a model has."""
    for part in path:
        field = model.model_fields.get(str(part))
        if field is None:
            continue
        candidates = (field.annotation, *typing.get_args(field.annotation))
        inner = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if inner:
            model = inner[0]
    return list(model.model_fields)


def _short(key: Any) -> str:
    text = str(key)
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _join(place: str) -> str:
    return f"{place}: " if place else ""
