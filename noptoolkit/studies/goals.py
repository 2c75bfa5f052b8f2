"""What a reader wants of a study: metrics or parameters as small or as large as can be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from noptoolkit._names import did_you_mean
from noptoolkit.errors import FormatError, NopError, UnknownNameError
from noptoolkit.studies.quantities import as_number
from noptoolkit.studies.study import About
from noptoolkit.tables import value_text

__all__ = ["Goal", "goal_of", "goals_of"]


@dataclass(frozen=True)
class Goal:
    """A metric or parameter, and the way it should go.

    Parameters
    ----------
    name
        Metric or parameter.
    way
        ``min`` or ``max``.
    title, unit
        Of its values.
    """

    name: str
    way: Literal["min", "max"]
    title: str
    unit: str

    def __str__(self) -> str:
        return f"{self.way} {self.name}"

    @property
    def sign(self) -> float:
        """1 where less is better, -1 where more is: costs are ``sign * value``."""
        return 1.0 if self.way == "min" else -1.0

    def cost(self, values: Mapping[str, Any]) -> float:
        """Return what is to be as small as can be; NaN where there is no number."""
        number = as_number(values.get(self.name))
        return math.nan if number is None else self.sign * number

    def text(self, value: float) -> str:
        """Return a value as a cell of a table."""
        return value_text(value, self.unit)


def goal_of(text: str, known: Mapping[str, About]) -> Goal:
    """Return the goal that a text is.

    Parameters
    ----------
    text
        Name of a metric that says which way is better, or ``min NAME`` or ``max NAME``.
    known
        Parameters and metrics that there are.

    Raises
    ------
    UnknownNameError
        If there is no such name, with the nearest one.
    FormatError
        If neither the text nor the metric says which way is better.

    Examples
    --------
    >>> str(goal_of("step", {"step": About("step", "s", "lower")}))
    'min step'
    """
    words = text.split()
    way = words.pop(0) if len(words) == 2 and words[0] in ("min", "max") else ""
    if len(words) != 1:
        raise FormatError(f"goal {text!r} cannot be read; write it like 'step', 'min links' or 'max rate'")
    [name] = words
    if name not in known:
        raise UnknownNameError(f"no parameter or metric {name!r} to go by; {did_you_mean(name, known)}")
    about = known[name]
    if not way:
        if not about.better:
            raise FormatError(f"goal {text!r}: which way is better? write 'min {name}' or 'max {name}'")
        way = "min" if about.better == "lower" else "max"
    return Goal(name, "min" if way == "min" else "max", about.title, about.unit)


def goals_of(texts: str | Sequence[str], known: Mapping[str, About]) -> tuple[Goal, ...]:
    """Return several goals: texts, or one text with commas between.

    Raises
    ------
    NopError
        If there is none, or one stands twice.
    """
    parts = texts.split(",") if isinstance(texts, str) else list(texts)
    goals = tuple(goal_of(part, known) for part in parts if part.strip())
    if not goals:
        raise NopError("no goals: name at least one, such as 'step' or 'min links'")
    names = [goal.name for goal in goals]
    for name in names:
        if names.count(name) > 1:
            raise NopError(f"goal {name!r} stands twice")
    return goals
