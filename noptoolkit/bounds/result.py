"""A bound over all packages of a class: its value, the theorem, a certificate that can be counted again."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import Protocol

from noptoolkit.errors import RoutingError, raises_where_malformed
from noptoolkit.tables import Column, Table
from noptoolkit.units import format_quantity

__all__ = ["Certificate", "TopologyBound", "bound_table"]

CLOSE = 1e-7
"""Relative difference that rounding may make between a bound and its recount."""


class Certificate(Protocol):
    """Prices, levels or multipliers from which a bound can be counted again."""

    def recount(self) -> float:
        """Return the bound in s, by code that shares nothing with what found it."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class TopologyBound:
    """No package of the class carries the traffic in less than ``time``.

    Parameters
    ----------
    time
        The bound, in s.
    theorem
        Name of the theorem that gives it, see :doc:`/concepts/any-package`.
    over
        The class of packages that it ranges over.
    what
        Name of the traffic.
    certificate
        What proves it.
    """

    time: float = field(metadata={"unit": "s"})
    theorem: str
    over: str
    what: str
    certificate: Certificate = field(repr=False)

    def __repr__(self) -> str:
        return (
            f"TopologyBound({self.what}: at least {format_quantity(self.time, 's')} on any of {self.over}; "
            f"{self.theorem})"
        )

    def _repr_html_(self) -> str:
        return self.table().html()

    def table(self) -> Table:
        """Return the bound as a table of one row."""
        return bound_table([self])

    @raises_where_malformed(RoutingError)
    def verify(self) -> bool:
        """Count the bound again from its certificate, by code that shares nothing with what found it.

        Assumed, and not derived again: that class and traffic in the certificate are those that ``over`` and
        ``what`` name (these are texts), and the theorem that ``theorem`` names. The certificate need not be
        the best one: a smaller ``time`` holds, too.

        Raises
        ------
        RoutingError
            If the certificate proves less, or one of the two is no finite time, or below 0.
        """
        found = self.certificate.recount()
        if not (self.time >= 0 and isfinite(self.time) and isfinite(found)):
            raise RoutingError(f"{self!r} does not hold: {self.time:g} s, its certificate proves {found:g} s")
        if not found >= self.time * (1 - CLOSE):
            raise RoutingError(f"{self!r} does not hold: its certificate proves {found:g} s")
        return True


def bound_table(bounds: list[TopologyBound], title: str = "") -> Table:
    """Return several bounds as a table."""
    columns = [
        Column("traffic"),
        Column(
            "bound", "at least", unit="s", meaning="no package of the class is faster, whatever its routing"
        ),
        Column("theorem", meaning="how it is proved"),
        Column("over", "on any of", meaning="class of packages that it ranges over"),
    ]
    rows = [[one.what, one.time, one.theorem, one.over] for one in bounds]
    return Table(columns, rows, title=title)
