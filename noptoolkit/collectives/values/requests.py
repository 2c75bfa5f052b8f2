"""Collective operations as values: which kind, among whom, how many bytes.

The model. A *collective* moves a buffer of ``size`` bytes (M below) among the ``members`` of a group, N of
them. Each member owns a *share*, M/N unless ``shares`` says otherwise:

================  ===================================================================================
kind              what happens, and what ``size`` counts
================  ===================================================================================
broadcast         the root's buffer of M bytes reaches every member
reduce            the sum of every member's M bytes reaches the root
scatter           member v receives its own share of the root's M bytes
gather            the root receives the share of every member, M bytes in all
all-gather        every member receives all shares: M bytes of result
reduce-scatter    member v receives the sum of everybody's share v: M bytes of input
all-reduce        every member receives the sum of everybody's M bytes
all-to-all        every member sends M bytes, a share to each member (its own part stays where it is)
send              the first member sends M bytes to the second
================  ===================================================================================

Shares of different sizes make the *v* variants (MPI's naming): all-gatherv, scatterv, ...
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._names import did_you_mean
from noptoolkit.errors import WorkloadError
from noptoolkit.package import Chiplet, Memory, Package
from noptoolkit.units import Quantity, format_quantity, parse_quantity

__all__ = ["KINDS", "Kind", "Request", "check_members", "kind_of"]

Motion = Literal["spread", "collect", "both", "exchange"]
Shares = Sequence[Any] | Mapping[str, Any] | Floats


@dataclass(frozen=True)
class Kind:
    """Properties of one kind of collective.

    Parameters
    ----------
    name
        Name in the table.
    motion
        ``spread`` along trees that copy, ``collect`` along trees that add, ``both``, or ``exchange`` of
        bytes that differ for every pair.
    rooted
        Whether one member is special.
    dual
        Kind on the reversed network that takes the same time; empty where there is none.
    """

    name: str
    motion: Motion
    rooted: bool = False
    dual: str = ""


KINDS: dict[str, Kind] = {
    "broadcast": Kind("broadcast", "spread", rooted=True, dual="reduce"),
    "reduce": Kind("reduce", "collect", rooted=True, dual="broadcast"),
    "scatter": Kind("scatter", "exchange", rooted=True, dual="gather"),
    "gather": Kind("gather", "exchange", rooted=True, dual="scatter"),
    "all-gather": Kind("all-gather", "spread", dual="reduce-scatter"),
    "reduce-scatter": Kind("reduce-scatter", "collect", dual="all-gather"),
    "all-reduce": Kind("all-reduce", "both", dual="all-reduce"),
    "all-to-all": Kind("all-to-all", "exchange", dual="all-to-all"),
    "send": Kind("send", "exchange", dual="send"),
}

WITHOUT_SHARES = ("broadcast", "reduce", "all-reduce", "send")


def kind_of(name: str) -> Kind:
    """Return the kind of a name; ``allreduce``, ``All_Reduce`` and ``all-reduce`` are the same.

    Raises
    ------
    UnknownNameError
        If there is no such kind.

    Examples
    --------
    >>> kind_of("AllGather").name
    'all-gather'
    >>> kind_of("all-redcue")
    Traceback (most recent call last):
    noptoolkit.errors.UnknownNameError: no collective named 'all-redcue'; did you mean 'all-reduce'?
    """
    from noptoolkit.errors import UnknownNameError

    plain = {key.replace("-", ""): kind for key, kind in KINDS.items()}
    plain |= {"pointtopoint": KINDS["send"], "p2p": KINDS["send"]}
    found = plain.get("".join(letter for letter in str(name).lower() if letter not in "-_ "))
    if found is None:
        raise UnknownNameError(f"no collective named {name!r}; {did_you_mean(str(name), KINDS)}")
    return found


@dataclass(frozen=True)
class Request:
    """One collective of one group; see the module for what each kind does.

    Parameters
    ----------
    kind
        A key of `KINDS`.
    size
        Bytes of the buffer (a number, or text such as ``"64 MB"``); ``None`` is the sum of the shares.
    members
        Names of the chiplets of the group. A memory stack may be the root, or an end of a ``send``.
    root
        Name of the root of a rooted kind; ``None`` is the first member.
    shares
        Bytes of each member's share, in the order of ``members`` or by name; for ``all-to-all`` a matrix
        of the bytes from each member to each. ``None`` makes them equal.

    Raises
    ------
    UnknownNameError
        If there is no such kind.
    WorkloadError
        If the group has fewer than two members or one twice, the root is not a member, or sizes are
        negative, not finite or contradict each other.

    Examples
    --------
    >>> Request("all-gather", "4 MB", ["a", "b", "c", "d"]).share_bytes()
    array([1000000., 1000000., 1000000., 1000000.])
    >>> Request("broadcast", "4 MB", ["a"])
    Traceback (most recent call last):
    noptoolkit.errors.WorkloadError: broadcast of a group of one ('a'): nothing to communicate; ...
    """

    kind: str
    size: float
    members: tuple[str, ...]
    root: str | None = None
    shares: tuple[Any, ...] | None = None

    def __init__(
        self,
        kind: str,
        size: Quantity | None,
        members: Sequence[str],
        root: str | None = None,
        shares: Shares | None = None,
    ) -> None:
        of_kind = kind_of(kind)
        place = of_kind.name
        if isinstance(members, str):
            raise WorkloadError(f"{place}: members {members!r} is one text; give a list of names")
        names = tuple(str(name) for name in members)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise WorkloadError(f"{place}: {twice[0]!r} is a member twice; name every member once")
        if len(names) < 2:
            only = f" ({names[0]!r})" if names else ""
            count = "one" if names else "none"
            raise WorkloadError(
                f"{place} of a group of {count}{only}: nothing to communicate; name two members or more"
            )
        if of_kind.name == "send" and len(names) != 2:
            raise WorkloadError(f"send is between two members, sender first; {len(names)} are named")
        if of_kind.rooted:
            root = names[0] if root is None else str(root)
            if root not in names:
                raise WorkloadError(
                    f"{place}: root {root!r} is not among the {len(names)} members: name it there, too "
                    f"(among=, or --among {root},experts), or take a member as the root; "
                    f"{did_you_mean(root, names)}"
                )
        elif root is not None:
            raise WorkloadError(f"{place} has no root; leave root={root!r} out")
        total, held = _sizes(place, size, names, shares)
        object.__setattr__(self, "kind", of_kind.name)
        object.__setattr__(self, "size", total)
        object.__setattr__(self, "members", names)
        object.__setattr__(self, "root", root)
        object.__setattr__(self, "shares", held)

    def __str__(self) -> str:
        v = "v" if self.shares is not None else ""
        root = f" from {self.root}" if self.kind in ("broadcast", "scatter") else ""
        root = f" to {self.root}" if self.kind in ("reduce", "gather") else root
        size = format_quantity(self.size, "B")
        return f"{self.kind}{v} of {size} among {len(self.members)}{root}"

    @property
    def motion(self) -> Motion:
        """How its bytes move: ``spread``, ``collect``, ``both`` or ``exchange``."""
        return KINDS[self.kind].motion

    def share_bytes(self) -> Floats:
        """Return the bytes that start at (or end at) each member, [members].

        The root's whole buffer for ``broadcast`` and ``reduce``; the equal parts of an ``all-reduce``.
        """
        count = len(self.members)
        if self.kind in ("broadcast", "reduce"):
            return np.where(np.array(self.members) == self.root, self.size, 0.0)
        if self.shares is not None and self.kind != "all-to-all":
            return np.array(self.shares, dtype=float)
        return np.full(count, self.size / count)

    def pair_bytes(self) -> Floats:
        """Return the bytes from each member to each, [members, members]; for kinds that exchange."""
        count = len(self.members)
        if self.kind == "send":
            pairs = np.array([[0.0, self.size], [0.0, 0.0]])
        elif self.kind == "all-to-all":
            equal = np.full((count, count), self.size / count)
            pairs = equal if self.shares is None else np.array(self.shares, dtype=float)
        else:
            pairs = np.zeros((count, count))
            root = self.members.index(str(self.root))
            if self.kind == "scatter":
                pairs[root] = self.share_bytes()
            else:
                pairs[:, root] = self.share_bytes()
        np.fill_diagonal(pairs, 0.0)
        return pairs


def _sizes(
    place: str, size: Quantity | None, names: tuple[str, ...], shares: Shares | None
) -> tuple[float, tuple[Any, ...] | None]:
    if shares is None:
        if size is None:
            raise WorkloadError(f"{place} needs a size; write it like '64 MB'")
        return _bytes(size, f"{place}: size"), None
    if place in WITHOUT_SHARES:
        raise WorkloadError(f"{place} has no shares: every byte goes everywhere; leave shares out")
    if isinstance(shares, Mapping):
        unknown = [name for name in shares if name not in names]
        if unknown:
            raise WorkloadError(f"{place}: a share for {unknown[0]!r}, which is not a member")
        shares = [shares.get(name, 0.0) for name in names]
    if len(shares) != len(names):
        raise WorkloadError(f"{place}: {len(shares)} shares for {len(names)} members; give one for each")
    held: tuple[Any, ...]
    if place == "all-to-all":
        rows = [np.atleast_1d(np.asarray(row, dtype=object)) for row in shares]
        if any(len(row) != len(names) for row in rows):
            raise WorkloadError(f"{place}: shares are a matrix of {len(names)} x {len(names)}")
        held = tuple(tuple(_bytes(x, f"{place}: share") for x in row) for row in rows)
        total = max(sum(row) for row in held)
    else:
        held = tuple(_bytes(x, f"{place}: share of {name!r}") for x, name in zip(shares, names, strict=True))
        total = float(sum(held))
    if size is not None:
        asked = _bytes(size, f"{place}: size")
        if abs(asked - total) > 1e-9 * max(asked, total):
            sums = f"{format_quantity(total, 'B')}, size is {format_quantity(asked, 'B')}"
            raise WorkloadError(f"{place}: the shares add up to {sums}; leave one of them out")
    return total, held


def _bytes(value: Any, what: str) -> float:
    number = parse_quantity(value, "B", what)
    if number < 0:
        raise WorkloadError(f"{what} {value!r} is negative")
    return number


def check_members(package: Package, request: Request) -> None:
    """Raise unless every member is a chiplet of the package (or a memory stack where one may stand).

    Raises
    ------
    UnknownNameError
        If a member is not a node of the package.
    WorkloadError
        If a member is a switch, or a memory stack that would have to forward.
    """
    for name in request.members:
        node = package[name]
        if isinstance(node, Chiplet):
            continue
        kind = type(node).__name__.lower()
        if isinstance(node, Memory) and (request.kind == "send" or name == request.root):
            continue
        raise WorkloadError(
            f"package {package.name!r}: {kind} {name!r} cannot be a member of {request.kind}: "
            "members compute, copy and forward; name chiplets"
        )
