"""How long the collectives of a plan's dimensions take on a package, all groups of a dimension at once.

Groups of a dimension are alike: n members that are ``stride`` ranks apart, as many groups as cover all ranks.
Their time is proportional to the bytes, so that one number per kind, n and stride serves every plan:

* on machines of two levels a closed form (`noptoolkit.plans.two_levels`), where its time meets its bound;
* elsewhere `noptoolkit.collective` solves the groups together, with its certificate, when first asked for.
  Before that, `GroupTimes.bound` gives what no schedule can beat: the ports of a chiplet, and for an
  all-to-all the distance that its bytes must travel over all the bandwidth there is.

A placement of ranks on chiplets is part of the question: the same groups take other times elsewhere.
"""

from __future__ import annotations

import itertools
import time as clock
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit._names import did_you_mean
from noptoolkit.collectives import collective
from noptoolkit.errors import PlanError
from noptoolkit.network import flow_network
from noptoolkit.nodes import load_energy
from noptoolkit.package import Package
from noptoolkit.plans.network_times import PlanNetwork
from noptoolkit.plans.placing import Placement, rank_chiplets
from noptoolkit.plans.two_levels import TREES, Ask, TwoLevels, two_levels_of

__all__ = ["Family", "GroupTimes", "Interval", "chiplets_of", "family_groups"]


class Interval(NamedTuple):
    """Per byte of a member: a time that is reached, its energy, and a time that no schedule can beat.

    Parameters
    ----------
    reached, bound
        In s/B.
    joules
        On all links, in J/B; links that state none count nothing.
    """

    reached: float
    bound: float
    joules: float = 0.0


ENGINE, ENGINE_PAIRS = 1.5e-6, 5e-7
"""Seconds of the engine of collectives for each member and channel, each member and pair of its group:
twice what it took on meshes of 1,024 chiplets."""

NOTHING = Interval(0.0, 0.0)


class Family(NamedTuple):
    """All groups of a dimension.

    Parameters
    ----------
    kind
        ``all-gather``, ``reduce-scatter``, ``all-to-all``, or ``send`` from each member to the next.
    size, stride
        Members of a group, and how many ranks they are apart.
    inner, outer
        With ``inner`` above 1, members are ``inner`` ranks ``stride`` apart, as often as fill the group,
        spread evenly over one of ``outer`` equal parts of the ranks: the replicas of an expert without
        folding, where CP lies within EP, and the parts are pipeline stages.
    """

    kind: str
    size: int
    stride: int
    inner: int = 1
    outer: int = 1


def chiplets_of(package: Package) -> tuple[str, ...]:
    """Return the chiplets that the ranks of a plan are: the experts, or all where there are not two.

    Raises
    ------
    PlanError
        If the package has no chiplets.
    """
    chosen = rank_chiplets(package)
    if not chosen:
        raise PlanError(f"package {package.name!r} has no chiplets to put a plan on")
    return chosen


def family_groups(world: int, size: int, stride: int, inner: int = 1, outer: int = 1) -> Ints:
    """Return the groups of a family as ranks, [groups, members].

    Examples
    --------
    >>> family_groups(8, 2, 2).tolist()
    [[0, 2], [1, 3], [4, 6], [5, 7]]
    """
    if size < 1 or stride < 1 or world % (size * stride) or size % inner:
        raise PlanError(f"groups of {size} ranks, {stride} apart, do not cover {world} ranks")
    if inner > 1:
        grid = np.arange(world).reshape(outer, size // inner, -1, inner, stride)
        return np.moveaxis(grid, (2, 4), (1, 2)).reshape(-1, size)
    return np.moveaxis(np.arange(world).reshape(-1, size, stride), 1, 2).reshape(-1, size)


@dataclass(eq=False)
class GroupTimes:
    """Times of collectives on a package and a placement, kept once they are known.

    Parameters
    ----------
    package
        Package whose chiplets are the ranks.
    placement
        A `Placement`, or the chiplet of each rank as an index into `chiplets_of`, [ranks]; their order where
        None.
    deadline
        When solvers must stop, by ``time.perf_counter()``; None for never.
    """

    package: Package
    placement: Placement | Ints | None = None
    deadline: float | None = None
    _known: dict[Family, Interval] = field(default_factory=dict)
    _bounds: dict[Family, float] = field(default_factory=dict)

    @cached_property
    def chiplets(self) -> tuple[str, ...]:
        """Names of the chiplets of the package that ranks may sit on."""
        return chiplets_of(self.package)

    @cached_property
    def seat(self) -> Ints:
        """Chiplet of each rank, [ranks].

        Raises
        ------
        PlanError
            If the placement names a chiplet twice or one that does not exist.
        """
        if self.placement is None:
            return np.arange(len(self.chiplets))
        if isinstance(self.placement, Placement):
            index = {name: i for i, name in enumerate(self.chiplets)}
            strange = [name for name in self.placement.chiplets if name not in index]
            if strange:
                raise PlanError(
                    f"placement: {strange[0]!r} is not one of the chiplets of {self.package.name!r} that "
                    f"ranks may sit on; {did_you_mean(strange[0], index)}"
                )
            return np.array([index[name] for name in self.placement.chiplets])
        seat = np.asarray(self.placement)
        whole = np.issubdtype(seat.dtype, np.integer) and seat.ndim == 1
        if (
            not whole
            or len(np.unique(seat)) < len(seat)
            or seat.min() < 0
            or seat.max() >= len(self.chiplets)
        ):
            raise PlanError(
                "placement: each rank needs a chiplet of its own, "
                f"an index from 0 to {len(self.chiplets) - 1}"
            )
        return seat

    @property
    def world(self) -> int:
        """Number of ranks."""
        return len(self.seat)

    @cached_property
    def levels(self) -> TwoLevels | None:
        """The machine of two levels that the package is, if it is one."""
        return two_levels_of(self.package)

    @property
    def solved(self) -> int:
        """Number of families whose time is known."""
        return len(self._known)

    def is_known(self, family: Family) -> bool:
        """Return whether the time of a family is known without solving."""
        return family.size == 1 or self._one_way(family) in self._known

    def interval(self, family: Family) -> Interval:
        """Return the time of a family per byte that each member owns, solved if it must be, in s/B.

        Of an all-to-all a member owns what it sends to all, itself included; of a ``send`` what it sends on.
        """
        if family.size == 1:
            return NOTHING
        family = self._one_way(family)
        known = self._known.get(family)
        if known is None:
            known = self._known[family] = self._closed(family) or self._solved(family)
        return known

    def bound(self, family: Family) -> float:
        """Return what no schedule of a family can beat, per byte of a member, in s/B; never solves."""
        if family.size == 1:
            return 0.0
        family = self._one_way(family)
        if family in self._known:
            return self._known[family].bound
        if family not in self._bounds:
            closed = self._closed(family)
            if closed is not None:
                self._known[family] = closed
                return closed.bound
            self._bounds[family] = self._cheap(family)
        return self._bounds[family]

    def _one_way(self, family: Family) -> Family:
        """Return the family that takes as long: a reduce-scatter is an all-gather turned round."""
        if family.kind == "reduce-scatter" and self._symmetric:
            return family._replace(kind="all-gather")
        return family

    @cached_property
    def _symmetric(self) -> bool:
        """Whether every channel between chiplets and switches has one of the same bandwidth the other way."""
        width: dict[tuple[str, str], float] = {}
        stacks = {memory.name for memory in self.package.memories}
        for channel in self.package.channels:
            if not {channel.tail, channel.head} & stacks:
                ends = (channel.tail, channel.head)
                width[ends] = width.get(ends, 0.0) + channel.bandwidth
        limits = ("injection_bandwidth", "ejection_bandwidth")
        ported = any(getattr(node, limit, None) for node in self.package.nodes for limit in limits)
        return not ported and all(width.get((b, a)) == rate for (a, b), rate in width.items())

    def _groups(self, family: Family) -> Ints:
        groups: Ints = self.seat[family_groups(self.world, *family[1:])]
        return groups

    def places(self, family: Family) -> Ints:
        """Return the groups of a family as positions among all chiplets of the package, [groups, members]."""
        places = {chiplet.name: i for i, chiplet in enumerate(self.package.chiplets)}
        found: Ints = np.array([places[name] for name in self.chiplets])[self._groups(family)]
        return found

    def bound_of_messages(self, family: Family, shares: Floats) -> float:
        """Return what no schedule of messages in the groups of a family can beat, in s; never solves.

        Parameters
        ----------
        shares
            Bytes from each member to each, [members, members].
        """
        groups = self._groups(family)
        apart = shares * ~np.eye(family.size, dtype=bool)
        into, out = self._ports[:, groups]
        ports = max((apart.sum(axis=0) / into).max(), (apart.sum(axis=1) / out).max())
        far = float((self._distance[groups[:, :, None], groups[:, None, :]] * apart).sum())
        inside, entering, leaving = self._sets(groups)
        there = inside[:, groups].astype(float)
        enter = np.einsum("sgi,ij,sgj->s", 1 - there, apart, there, optimize=True)
        leave = np.einsum("sgi,ij,sgj->s", there, apart, 1 - there, optimize=True)
        cut = max((enter / entering).max(), (leave / leaving).max())
        return float(max(ports, far / self._bandwidth, cut))

    def _closed(self, family: Family) -> Interval | None:
        """Return the time of a family on two levels; None elsewhere, and where time and bound differ."""
        levels = self.levels
        if levels is None:
            return None
        groups = self.places(family)
        if family.kind == "send":
            ask = Ask("send", 1.0, np.stack([groups[:, :-1].ravel(), groups[:, 1:].ravel()], axis=1))
        else:
            ask = Ask(family.kind, float(family.size) if family.kind in TREES else 1.0, groups)
        laid, bound = levels.lay([ask]), levels.bound([ask])
        if laid.time > bound * (1 + 1e-9):
            return None
        return Interval(laid.time, min(bound, laid.time), levels.joules(laid))

    def _solved(self, family: Family) -> Interval:
        groups = self._groups(family)
        names = [[self.chiplets[i] for i in group] for group in groups]
        size = 1e9
        limit = None
        if self.deadline is not None:
            limit = max((self.deadline - clock.perf_counter()) / 2, 0.5)  # others wait, too
            per_member = ENGINE * len(self._bare.channels) + ENGINE_PAIRS * family.size**2
            if limit < groups.size * per_member:
                return self._quick(family)
        whole = size * family.size if family.kind in ("all-gather", "reduce-scatter") else size
        if family.kind == "send":
            names = [list(pair) for group in names for pair in itertools.pairwise(group)]
        result = collective(self._bare, family.kind, whole, groups=names, time_limit=limit, trees=False)
        bound = max(result.time_bound / size, self._cheap(family))
        return Interval(result.time / size, bound, load_energy(self._bare, result.load) / size)

    def _quick(self, family: Family) -> Interval:
        """Return the time of rings or straight messages on shortest paths, and the cheap bound, in s/B."""
        if family.kind == "send":
            groups = self.places(family)
            members = np.stack([groups[:, :-1].ravel(), groups[:, 1:].ravel()], axis=1)
        else:
            members = self.places(family)
        size = float(family.size) if family.kind in TREES else 1.0
        found = self._network.collective(family.kind, size, members)
        return Interval(found.time, max(found.bound, self._cheap(family)), found.joules)

    @cached_property
    def _network(self) -> PlanNetwork:
        return PlanNetwork(self.package, effort="quick")

    @cached_property
    def _bare(self) -> Package:
        """The package without its memory stacks, which take no part."""
        stacks = [memory.name for memory in self.package.memories]
        return self.package.without(*stacks) if stacks else self.package

    def _cheap(self, family: Family) -> float:
        """Return the largest of the bounds of ports, of distances and of natural cuts, in s/B."""
        groups = self._groups(family)
        n = family.size
        if family.kind == "send":
            ends = groups[:, :-1].ravel(), groups[:, 1:].ravel()
            ports = 1 / self._ports[:, groups].min()
            far = float(self._distance[ends].sum())
        elif family.kind == "all-to-all":
            ports = (1 - 1 / n) / self._ports[:, groups].min()
            far = float(self._distance[groups[:, :, None], groups[:, None, :]].sum() / n)
        else:
            ports = (n - 1) / self._ports[:, groups].min()
            far = float(groups.size * (n - 1))  # every share enters n - 1 chiplets
        return max(float(ports), far / self._bandwidth, self._cut(family.kind, groups))

    def _cut(self, kind: str, groups: Ints) -> float:
        """Return the bound of the slowest of some sets S that collectives of groups must enter or leave."""
        n = groups.shape[1]
        inside, entering, leaving = self._sets(groups)
        within = inside[:, groups].sum(axis=2)  # [sets, groups]
        if kind == "send":
            there, here = inside[:, groups[:, 1:]], inside[:, groups[:, :-1]]
            enter, leave = (there & ~here).sum(axis=(1, 2)), (here & ~there).sum(axis=(1, 2))
        elif kind == "all-to-all":
            enter = leave = (within * (n - within)).sum(axis=1) / n
        else:
            enter = ((n - within) * (within > 0)).sum(axis=1)
            leave = (within * (within < n)).sum(axis=1)
        if kind == "reduce-scatter":
            enter, leave = leave, enter
        return float(max((enter / entering).max(), (leave / leaving).max()))

    def _sets(self, groups: Ints) -> tuple[Bools, Floats, Floats]:
        """Return sets of chiplets to cut at, [sets, chiplets], and the bandwidth that enters and leaves each.

        Chiplets in order up to each of them, and the members of all groups up to each place. Any set gives a
        valid bound.
        """
        chiplets, n = len(self.chiplets), groups.shape[1]
        by_place = np.zeros((n - 1, chiplets), bool)
        for place in range(n - 1):
            by_place[place:, groups[:, place]] = True
        in_order, own = self._in_order, self._capacity_of(by_place)
        entering, leaving = (np.concatenate(both) for both in zip(in_order[1:], own, strict=True))
        return np.concatenate([in_order[0], by_place]), entering, leaving

    @cached_property
    def _in_order(self) -> tuple[Bools, Floats, Floats]:
        """Chiplets in order up to each of them, and the bandwidth that enters and leaves."""
        inside = np.tri(len(self.chiplets), dtype=bool)[:-1]
        return inside, *self._capacity_of(inside)

    def _capacity_of(self, inside: Bools) -> tuple[Floats, Floats]:
        """Return the bandwidth that enters and leaves some sets of chiplets, in B/s, [sets] each.

        Switches stand with most of their bandwidth.
        """
        from scipy.sparse import csr_array

        network = flow_network(self.package)
        own = network.origin == network.destination
        vertex = network.origin[np.array([self.package.index[name] for name in self.chiplets])]
        plain = np.zeros(network.num_vertices, bool)
        plain[network.origin[own]] = True
        arcs = np.flatnonzero(plain[network.tail] & plain[network.head])
        tail, head, rate = network.tail[arcs], network.head[arcs], network.arc_capacity[arcs]
        side = np.full((len(inside), network.num_vertices), 0.5)
        side[:, vertex] = inside
        total = np.bincount(head, rate, minlength=network.num_vertices)
        loose = np.ones(network.num_vertices, bool)
        loose[vertex] = False
        loose &= total > 0
        near = csr_array((rate, (tail, head)), shape=(len(total), len(total)))
        for _ in range(4 if loose.any() else 0):
            side[:, loose] = (side @ near)[:, loose] / total[loose]
        in_set = side > 0.5
        crossing = in_set[:, head] & ~in_set[:, tail]
        entering: Floats = crossing @ rate
        leaving: Floats = (in_set[:, tail] & ~in_set[:, head]) @ rate
        tiny = np.finfo(float).tiny
        return np.maximum(entering, tiny), np.maximum(leaving, tiny)

    @cached_property
    def _ports(self) -> Floats:
        """What enters and what leaves each chiplet, in B/s, [2, chiplets]."""
        network = flow_network(self.package)
        nodes = np.array([self.package.index[name] for name in self.chiplets])
        capacity = network.arc_capacity
        into = np.bincount(network.head, capacity, minlength=network.num_vertices)
        out = np.bincount(network.tail, capacity, minlength=network.num_vertices)
        return np.stack([into[network.destination[nodes]], out[network.origin[nodes]]])

    @cached_property
    def _bandwidth(self) -> float:
        return float(flow_network(self.package).arc_capacity.sum())

    @cached_property
    def _distance(self) -> Floats:
        """Channels of a shortest path between chiplets, [chiplets, chiplets]."""
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import shortest_path

        network = flow_network(self.package)
        size = network.num_vertices
        links = csr_array((np.ones(network.num_arcs), (network.tail, network.head)), shape=(size, size))
        nodes = np.array([self.package.index[name] for name in self.chiplets])
        paths: Floats = shortest_path(links, unweighted=True, indices=network.origin[nodes])
        return paths[:, network.destination[nodes]]
