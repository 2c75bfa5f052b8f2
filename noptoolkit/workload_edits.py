"""Workloads with other values: fields of the model, the batch and the generator, by their own names."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from noptoolkit._names import did_you_mean
from noptoolkit.errors import UnknownNameError, WorkloadError
from noptoolkit.synthetic import SyntheticRouting

if TYPE_CHECKING:
    from noptoolkit.workload import Workload

__all__ = ["MOST", "replace_fields"]

FOLLOW_THE_MODEL = ("num_experts", "top_k")
WHOLE = ("name", "model", "batch", "routing", "source", "assumed")


MOST = {"layers": 10_000, "experts": 65_536, "micro_batches": 65_536, "tokens": 10**7}
"""Counts that a loop runs over, in files and on the command line: larger ones are taken for typing errors."""


def replace_fields(workload: Workload, changes: Mapping[str, Any]) -> Workload:
    """Return a workload with some fields replaced; see `Workload.replace`."""
    whole = {key: value for key, value in changes.items() if key in WHOLE}
    changed = dataclasses.replace(workload, **whole) if whole else workload
    classes = _classes(workload)
    parts: dict[str, dict[str, Any]] = {}
    for key, value in changes.items():
        if key not in WHOLE:
            part, field = _place(key, classes)
            parts.setdefault(part, {})[field] = _checked(classes[part], field, value, key)
    model, routing = changed.model, changed.routing
    if latent := parts.pop("model.latent_attention", None):
        if model.latent_attention is None:
            raise WorkloadError(f"model {model.name!r} has no latent attention; set it as a whole")
        model = dataclasses.replace(
            model, latent_attention=dataclasses.replace(model.latent_attention, **latent)
        )
    model = dataclasses.replace(model, **parts.get("model", {}))
    if isinstance(routing, SyntheticRouting):
        followed = {"num_experts": model.experts, "top_k": model.top_k}
        routing = dataclasses.replace(routing, **followed, **parts.get("routing", {}))
    elif "routing" in parts:
        keys = ", ".join(map(repr, parts["routing"]))
        raise WorkloadError(
            f"workload {workload.name!r} has no generator that {keys} could be set of; its routing is a trace"
        )
    return dataclasses.replace(
        changed,
        model=model,
        batch=dataclasses.replace(changed.batch, **parts.get("batch", {})),
        routing=routing,
    )


def _classes(workload: Workload) -> dict[str, type[Any]]:
    """Return the class of each part, by the name that its fields may have in front."""
    model = type(workload.model)
    latent = typing.get_args(typing.get_type_hints(model)["latent_attention"])[0]
    parts = {"batch": type(workload.batch), "model": model, "model.latent_attention": latent}
    return parts | {"routing": SyntheticRouting}


def _place(key: str, classes: Mapping[str, type[Any]]) -> tuple[str, str]:
    """Return the part and the field that a name means: ``sequences``, or ``routing.layers`` in full."""
    part, dot, field = key.rpartition(".")
    fields = {name: [f.name for f in dataclasses.fields(cls)] for name, cls in classes.items()}
    fields["routing"] = [name for name in fields["routing"] if name not in FOLLOW_THE_MODEL]
    if dot:
        if field in fields.get(part, ()):
            return part, field
    else:
        for name, names in fields.items():  # the first that has it: layers are the model's
            if key in names:
                return name, key
    known = [*(name for names in fields.values() for name in names)]
    known += [f"{name}.{field}" for name, names in fields.items() for field in names] if dot else []
    raise UnknownNameError(f"a workload has no field {key!r}; {did_you_mean(key, known)}")


def _checked(cls: type[Any], field: str, value: Any, key: str) -> Any:
    """Return a value if it is of the type of its field, a whole number as a float if need be."""
    if isinstance(value, int) and value > MOST.get(field, value):
        raise WorkloadError(f"{key} = {value} is more than {MOST[field]}; is it a typing error?")
    hint = typing.get_type_hints(cls)[field]
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    for kind in kinds:
        if typing.get_origin(kind) is Literal:
            if value in typing.get_args(kind):
                return value
        elif kind is float and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        elif isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
            return value
    expected = " or ".join(_in_words(kind) for kind in kinds)
    raise WorkloadError(f"{key} = {value!r}: give {expected}")


def _in_words(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return ", ".join(map(repr, typing.get_args(kind)))
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return words.get(kind, "nothing" if kind is type(None) else kind.__name__)
