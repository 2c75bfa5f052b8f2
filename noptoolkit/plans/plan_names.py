"""Plans by name: ``TP2 CP1 EP8 PP8 VPP7 DP8``, as `ParallelPlan` prints them, and back."""

from __future__ import annotations

import re

from noptoolkit._names import did_you_mean
from noptoolkit.errors import PlanError
from noptoolkit.plans.plan import ParallelPlan

__all__ = ["fields_of_plan", "plan_of"]

NUMBERS = ("tp", "cp", "pp", "vpp", "ep", "etp", "dp", "edp", "zero", "micro_batch", "micro_batches")


def fields_of_plan(text: str) -> dict[str, int]:
    """Return the numbers that a text gives, by field.

    Raises
    ------
    PlanError
        If a word is no field with a number, or a field stands twice.

    Examples
    --------
    >>> fields_of_plan("TP2 ep=8, PP8")
    {'tp': 2, 'ep': 8, 'pp': 8}
    """
    found: dict[str, int] = {}
    for word in re.split(r"[\s,/]+", text.strip()):
        match = re.fullmatch(r"([A-Za-z_]+)=?(\d{1,9})", word)
        if match is None:
            raise PlanError(f"plan {text!r}: {word!r} is not a field with a number, such as TP2 or ep=8")
        name = match[1].lower()
        if name not in NUMBERS:
            hint = did_you_mean(name, NUMBERS)
            raise PlanError(f"plan {text!r}: no field {match[1]!r}; {hint}")
        if name in found:
            raise PlanError(f"plan {text!r}: {match[1]!r} stands twice")
        found[name] = int(match[2])
    return found


def plan_of(text: str, *, micro_batches: int | None = None, folded: bool = True) -> ParallelPlan:
    """Return the plan of a name; memory of attention's scores is saved by recomputing them (``selective``).

    Parameters
    ----------
    text
        Numbers by field; ``recompute full``, a schedule's name and ``not folded`` may follow.
    micro_batches
        Of a replica; the text's, or the batch's own, where None.
    folded
        As in a plan.

    Raises
    ------
    PlanError
        If the text is none of a plan.

    Examples
    --------
    >>> print(plan_of("TP2 EP8 PP8 VPP7"))
    TP2 EP8 PP8 VPP7
    """
    from noptoolkit.plans.pipeline_orders import ORDERS

    words = text.replace(",", " ").split()
    lowered = [word.lower() for word in words]
    schedule = next((word for word in lowered if word in ORDERS), None)
    again = "full" if "full" in lowered else "selective"
    folded = folded and "folded" not in lowered
    extra = {*ORDERS, "full", "recompute", "selective", "folded", "not"}
    numbers = [word for word, plain in zip(words, lowered, strict=True) if plain not in extra]
    fields = fields_of_plan(" ".join(numbers)) if numbers else {}
    if "micro_batch" in fields:
        raise PlanError(f"plan {text!r}: give micro_batches, the number of micro-batches of a replica")
    count = fields.pop("micro_batches", None)
    return ParallelPlan(
        **fields,  # type: ignore[arg-type]
        micro_batches=micro_batches if micro_batches is not None else count,
        schedule=schedule,
        recompute=again,  # type: ignore[arg-type]
        folded=folded,
    )
