"""The chiplets on which the tokens of a step live, and which chiplets have to compute."""

from __future__ import annotations

from collections.abc import Sequence

from noptoolkit.errors import ScheduleError
from noptoolkit.package import Package
from noptoolkit.workload import Batch

__all__ = ["check_computes", "hosts_of", "sequences_of"]


def check_computes(package: Package) -> None:
    """Raise ScheduleError if a chiplet that holds tokens or experts does not say how fast it computes."""
    needed = dict.fromkeys((*package.with_role("attention"), *package.experts))
    unknown = [name for name in needed if getattr(package[name], "flops", None) is None]
    if unknown:
        what = f"chiplet {unknown[0]!r} does not say how fast it computes"
        if len(unknown) > 1:
            what = f"{len(unknown)} chiplets, such as {unknown[0]!r}, do not say how fast they compute"
        raise ScheduleError(f"package {package.name!r}: {what}; give flops='74 TFLOP/s', or what yours has")


def hosts_of(package: Package, asked: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the chiplets on which the tokens live, see `StepOptions.hosts`.

    Raises
    ------
    ScheduleError
        If a name is not that of a chiplet that computes, or occurs twice, or there is none.
    """
    attention = package.with_role("attention")
    if asked is None:
        return attention or package.experts
    if asked == "experts":
        return package.experts
    if asked == "all":
        return tuple(dict.fromkeys((*attention, *package.experts)))
    if not isinstance(asked, Sequence):
        raise ScheduleError(f"hosts={asked!r}: give 'experts', 'all' or names of chiplets")
    names = (asked,) if isinstance(asked, str) else tuple(asked)
    if not names or len(set(names)) < len(names):
        raise ScheduleError(f"hosts={asked!r}: name one chiplet or more, each once")
    for name in names:
        if getattr(package[name], "flops", None) is None:
            raise ScheduleError(
                f"package {package.name!r}: host {name!r} does not say how fast it computes; name chiplets "
                "with flops, or hosts='experts'"
            )
    return names


def sequences_of(
    hosts: Sequence[str], batch: Batch, micro_batches: int, *, equal: bool = False
) -> dict[str, float]:
    """Return the hosts that take part in a step, and how many sequences of a micro-batch each has.

    In training an equal share each. In prefill and decode a whole number, as equal as may be: hosts without
    a sequence take no part, those that do are spread evenly over the list. With prompts beside the sequences
    of a decode step, all hosts take part, with an equal share of both; ``equal`` asks for that.

    Examples
    --------
    >>> sequences_of(["e0", "e1", "e2", "e3"], Batch(2, 256, 1, mode="decode"), 1)
    {'e0': 1.0, 'e2': 1.0}
    >>> sequences_of(["e0", "e1"], Batch(3, 256, 1, mode="decode"), 1)
    {'e0': 2.0, 'e1': 1.0}
    """
    count, there = batch.sequences // micro_batches, len(hosts)
    if batch.mode == "training" or batch.prompt_tokens or equal:
        return dict.fromkeys(hosts, count / there)
    if count <= there:
        return {hosts[i * there // count]: 1.0 for i in range(count)}
    return {host: float(count // there + (i < count % there)) for i, host in enumerate(hosts)}
