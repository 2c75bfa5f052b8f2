"""A network-on-package as a typed graph: chiplets, switches, memory stacks and the links between them.

The model. A *node* is a `Chiplet` (computes, injects and ejects traffic), a `Switch` (forwards) or a
`Memory` (an endpoint that never forwards). A `Link` is one physical link; it is full duplex unless
it says half. A *channel* is one direction of a link: `Package.channels` lists them in a fixed order
(both directions of the first link, then of the second, ...) and every per-channel array in
noptoolkit follows it. A half-duplex link has two channels that share its bandwidth.

A `Package` is frozen, hashable, picklable and equal by value; edits return new packages.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from noptoolkit._arrays import Floats, Ints
from noptoolkit._names import did_you_mean
from noptoolkit._pictures import picture_of
from noptoolkit.errors import TopologyError, UnknownNameError
from noptoolkit.package.edits import (
    Links,
    warn_of_narrow_buses,
    with_link_bandwidth,
    with_memory_bandwidth,
    without,
)
from noptoolkit.package.elements import Channel, Chiplet, Link, Memory, Node, Role, Switch, links_of_kinds
from noptoolkit.units import Quantity

if TYPE_CHECKING:
    import igraph
    import networkx as nx
    from scipy.sparse import csr_array

    from noptoolkit.package.edge_bandwidth import BandwidthChoice

__all__ = ["Package", "expect_package"]


@dataclass(frozen=True, repr=False)
class Package:
    """Chiplets, switches, memory stacks and links: the graph that everything else works on.

    Parameters
    ----------
    name
        Name in tables and pictures.
    nodes, links
        Nodes and links, in the order that fixes every index. A ``d2d`` link to a memory stack is held as a
        ``memory`` link.
    source
        Source of its numbers.
    assumed
        Assumptions: values that no source gives.

    Raises
    ------
    TopologyError
        Once, with every fault: unknown ends, duplicate names, zero or negative bandwidth, terminals
        that cannot reach each other, memory that serves unknown chiplets, ...

    Examples
    --------
    >>> leaves = [Chiplet(f"e{i}", role="expert") for i in range(4)]
    >>> star = Package("star-4", [Switch("hub"), *leaves],
    ...                [Link("hub", leaf.name, bandwidth="128 GB/s") for leaf in leaves])
    >>> star
    Package('star-4': 4 chiplets (4 expert), 1 switch, 4 links, 8 channels, 1.02 TB/s)
    >>> star.channels[0].name, star.terminals
    ('hub->e0', ('e0', 'e1', 'e2', 'e3'))
    """

    name: str
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    source: str = ""
    assumed: tuple[str, ...] = ()

    def __init__(
        self,
        name: str,
        nodes: Iterable[Node],
        links: Iterable[Link],
        source: str = "",
        assumed: Iterable[str] = (),
    ) -> None:
        from noptoolkit.package.checks import check_package

        object.__setattr__(self, "name", name)
        object.__setattr__(self, "nodes", tuple(nodes))
        object.__setattr__(self, "links", links_of_kinds(self.nodes, links))
        object.__setattr__(self, "source", source)
        object.__setattr__(self, "assumed", tuple(assumed))
        check_package(self)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.name, self.nodes, self.links))

    def __repr__(self) -> str:
        return f"Package({self.name!r}: {self.describe()})"

    def _repr_svg_(self) -> str | None:
        return picture_of(self)

    def __reduce__(self) -> tuple[type[Package], tuple[Any, ...]]:
        return Package, (self.name, self.nodes, self.links, self.source, self.assumed)

    def __getitem__(self, name: str) -> Node:
        try:
            return self.nodes[self.index[name]]
        except KeyError:
            hint = did_you_mean(name, self.index)
            raise UnknownNameError(f"package {self.name!r}: no node named {name!r}; {hint}") from None

    def describe(self) -> str:
        """Return one line that tells whether the graph is what was meant."""
        from noptoolkit.package.identity import describe

        return describe(self)

    @cached_property
    def wiring(self) -> str:
        """Digest of the nodes, their roles and groups, and of which links join them; no numbers.

        Traffic that was made for one wiring is refused on another.
        """
        from noptoolkit.package.identity import wiring

        return wiring(self)

    def digest(self) -> str:
        """Return the sha256 of what results depend on: nodes and links, in their order, with all attributes.

        Its ``name``, ``source`` and ``assumed`` do not count. Two packages of one digest give the same
        results; the digest is the same on every machine and does not depend on how the package was made, see
        `noptoolkit._digests`. A link whose two directions are equal has one digest however that was written.

        Examples
        --------
        >>> pair = Package("pair", [Chiplet("a"), Chiplet("b")], [Link("a", "b", "1 GB/s")])
        >>> pair.digest()[:12], pair.replace(name="duo").digest() == pair.digest()
        ('b86b68972318', True)
        """
        return self._digest

    @cached_property
    def _digest(self) -> str:
        from noptoolkit.package.identity import package_digest

        return package_digest(self)

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Index of each node by name."""
        return {node.name: i for i, node in enumerate(self.nodes)}

    @cached_property
    def chiplets(self) -> tuple[Chiplet, ...]:
        """The nodes that compute."""
        return tuple(node for node in self.nodes if isinstance(node, Chiplet))

    @cached_property
    def switches(self) -> tuple[Switch, ...]:
        """The nodes that only forward."""
        return tuple(node for node in self.nodes if isinstance(node, Switch))

    @cached_property
    def memories(self) -> tuple[Memory, ...]:
        """The memory stacks."""
        return tuple(node for node in self.nodes if isinstance(node, Memory))

    @cached_property
    def terminals(self) -> tuple[str, ...]:
        """Names of the nodes that inject and eject: all chiplets, in the order of ``nodes``."""
        return tuple(chiplet.name for chiplet in self.chiplets)

    @cached_property
    def experts(self) -> tuple[str, ...]:
        """Names of the chiplets that hold experts: of role ``expert``, else of role ``compute``."""
        return self.with_role("expert") or self.with_role("compute")

    def with_role(self, role: Role) -> tuple[str, ...]:
        """Return the names of the chiplets of one role, in the order of ``nodes``."""
        return tuple(chiplet.name for chiplet in self.chiplets if chiplet.role == role)

    @cached_property
    def expert_groups(self) -> tuple[tuple[int, ...], ...]:
        """Indices into ``experts`` of each group, groups in order of first appearance.

        Expert chiplets without a group are a group of their own.
        """
        from noptoolkit.package.derived import expert_groups

        return expert_groups(self)

    @cached_property
    def channels(self) -> tuple[Channel, ...]:
        """Both directions of every link, those without bandwidth left out."""
        from noptoolkit.package.derived import channels

        return channels(self)

    @cached_property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the channels: ``sw0->e3``; ``sw0->e3#2`` is the second one from ``sw0`` to ``e3``."""
        from noptoolkit.package.identity import channel_names

        return channel_names(self)

    @cached_property
    def link_ends(self) -> Ints:
        """Indices of the two nodes that each link joins, [links, 2]."""
        from noptoolkit.package.derived import link_ends

        return link_ends(self)

    @cached_property
    def link_bandwidths(self) -> Floats:
        """Bandwidth of each link from its first end to its second and back, in B/s, [links, 2]."""
        from noptoolkit.package.derived import link_bandwidths

        return link_bandwidths(self)

    @cached_property
    def total_bandwidth(self) -> float:
        """Sum of the bandwidths of all links, in B/s: both directions, half duplex counted once."""
        return float(sum(self.link_totals.tolist()))

    @cached_property
    def link_totals(self) -> Floats:
        """Bandwidth of each link, both directions together, half duplex counted once, in B/s, [links]."""
        from noptoolkit.package.derived import link_totals

        return link_totals(self)

    @cached_property
    def graph(self) -> nx.DiGraph[str]:
        """The package as a frozen networkx DiGraph; see `noptoolkit.package.views`."""
        from noptoolkit.package.views import to_networkx

        return to_networkx(self)

    def to_igraph(self) -> igraph.Graph:
        """Return the channels as a directed igraph graph; edge ids are channel indices."""
        from noptoolkit.package.views import to_igraph

        return to_igraph(self)

    def to_sparse(self) -> csr_array[Any]:
        """Return the bandwidth matrix [nodes, nodes] in B/s; parallel channels are summed."""
        from noptoolkit.package.views import to_sparse

        return to_sparse(self)

    @classmethod
    def from_networkx(
        cls,
        graph: nx.Graph[Any],
        *,
        bandwidth: BandwidthChoice | None = None,
        name: str | None = None,
        node_names: str | Callable[[Any, Mapping[str, Any]], str] | None = None,
    ) -> Package:
        """Return a package made of any networkx graph; see `noptoolkit.package.views.from_networkx`."""
        from noptoolkit.package.views import from_networkx

        return from_networkx(graph, bandwidth=bandwidth, name=name, node_names=node_names)

    def replace(self, **changes: Any) -> Package:
        """Return a package with some of name, nodes, links, source, assumed replaced.

        Examples
        --------
        >>> pair = Package("pair", [Chiplet("a"), Chiplet("b")], [Link("a", "b", "1 GB/s")])
        >>> pair.replace(name="duo").name
        'duo'
        """
        known = [field.name for field in dataclasses.fields(self)]
        for key in changes:
            if key not in known:
                raise UnknownNameError(f"a package has no {key!r}; {did_you_mean(key, known)}")
        changed = Package(**({key: getattr(self, key) for key in known} | changes))
        if "nodes" in changes:
            warn_of_narrow_buses(self, changed)
        return changed

    def with_link_bandwidth(self, links: Links, bandwidth: Quantity) -> Package:
        """Return a package in which some links have another bandwidth.

        Parameters
        ----------
        links
            Links to change: a channel ``"sw3->e12"`` (that direction alone), ``"sw3<->e12"`` (both
            directions), a wildcard (``"sw2->*"``), a link kind (``"d2d"``), several of these, or a function
            of a `Link`. A half-duplex link has one bandwidth for both directions.
        bandwidth
            Bandwidth of each, in B/s per direction.

        Raises
        ------
        UnknownNameError
            If a name or a wildcard matches no link.

        Examples
        --------
        >>> ring = Package("ring", [Chiplet(n) for n in "abc"],
        ...                [Link(*pair, "1 GB/s") for pair in ("ab", "bc", "ca")])
        >>> [channel.bandwidth / 1e9 for channel in ring.with_link_bandwidth("a->*", "4 GB/s").channels]
        [4.0, 1.0, 1.0, 1.0, 1.0, 4.0]
        >>> ring.with_link_bandwidth(["a<->b", "b<->c"], "2 GB/s").total_bandwidth / 1e9
        10.0
        """
        return with_link_bandwidth(self, links, bandwidth)

    def with_memory_bandwidth(
        self, stacks: str | Iterable[str], bandwidth: Quantity, *, links: bool = True
    ) -> Package:
        """Return a package in which some memory stacks, with their links, have another bandwidth.

        Parameters
        ----------
        stacks
            Names of memory stacks, or wildcards such as ``"hbm*"``.
        bandwidth
            Bandwidth of each stack's port, in B/s.
        links
            Whether its links change too: by the same factor, to no less in all than the port.

        Raises
        ------
        UnknownNameError
            If a name or a wildcard matches no memory stack.

        Examples
        --------
        >>> pair = Package("pair", [Chiplet("a"), Memory("hbm", "256 GB/s")],
        ...                [Link("a", "hbm", "256 GB/s", kind="memory", half_duplex=True)])
        >>> fast = pair.with_memory_bandwidth("hbm*", "1 TB/s")
        >>> fast.memories[0].bandwidth == fast.links[0].bandwidth == 1e12
        True
        """
        return with_memory_bandwidth(self, stacks, bandwidth, links=links)

    def without(self, *names: str) -> Package:
        """Return the package that is left when some nodes, or single links, are lost.

        Parameters
        ----------
        names
            Node names, or channel names such as ``"sw0->e3"`` or ``"sw0<->e3"`` (the whole link goes).

        Raises
        ------
        UnknownNameError
            If a name is neither.
        TopologyError
            If terminals that are left cannot reach each other any more.

        Examples
        --------
        >>> ring = Package("ring", [Chiplet(n) for n in "abc"],
        ...                [Link(*pair, "1 GB/s") for pair in ("ab", "bc", "ca")])
        >>> ring.without("a->b").links[0].b, ring.without("c").terminals
        ('c', ('a', 'b'))
        """
        return without(self, names)


def expect_package(thing: object) -> None:
    """Raise TopologyError if a thing is not a package: a preset's name, mostly."""
    if not isinstance(thing, Package):
        raise TopologyError(
            f"{thing!r} is not a Package; use load_topology() to build one from a name or a file"
        )
