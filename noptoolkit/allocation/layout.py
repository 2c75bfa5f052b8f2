"""Where each expert sits, and what that costs the tokens of a trace.

With chiplets D_t that hold at least one of token t's top-k experts, the numbers that matter are

* C_T = mean over tokens of |D_t|: copies sent per token (Mozart, arXiv 2603.07006). It is the connectivity
  of a hypergraph whose vertices are experts and whose edges are the tokens' top-k sets: C_T = km1/T + 1;
* C_G, the same for groups of chiplets, which is what an uplink of a tree carries;
* imbalance: activations of the hottest chiplet over the mean of all chiplets. A layer waits for its hottest
  chiplet, and a layout of small C_T tends to pile hot experts up: always read the two together.

All three are means over the layers of the trace.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from noptoolkit._arrays import Bools, Ints
from noptoolkit._digests import digest
from noptoolkit._names import did_you_mean
from noptoolkit.errors import WorkloadError
from noptoolkit.package import Package
from noptoolkit.trace import RoutingTrace

__all__ = ["Allocation", "count_distinct"]

MOST_NAMED = 4
Ids = NDArray[np.integer[Any]]
Choice = Literal["balanced", "local"]


@dataclass(frozen=True, eq=False, repr=False)
class Allocation:
    """The chiplet of every expert, in one layer or in each.

    Parameters
    ----------
    experts
        Names of the expert chiplets, as in ``package.experts``.
    chiplet_of_expert
        Indices into ``experts``, [layers, experts]; one row is shared by all layers of a trace.
    groups
        Indices into ``experts`` of the chiplets of each group, as in ``package.expert_groups``.
    method
        Name of the allocator that made it; ``auto`` adds the winner.
    replicas
        Further copies of experts as pairs (expert, chiplet), [layers, copies, 2]; (-1, -1) is none. A
        chiplet may hold several copies of an expert, as maps of servers do: its share of the turns grows
        with them, its weights do not.
    choice
        Which copy an activation uses: the copies of an expert serve its activations in turn (``balanced``,
        so that their numbers differ by one at most, in any order of the tokens), or a copy on a
        chiplet that the token visits anyway, and the others in turn (``local``).

    Raises
    ------
    WorkloadError
        If an index is not a whole number or out of range, or a name or a group's member occurs twice.

    Examples
    --------
    >>> layout = Allocation(("e0", "e1"), [[0, 0, 1, 1]], method="by hand")
    >>> layout
    Allocation(4 experts on 2 chiplets, 1 layout, by hand)
    >>> trace = RoutingTrace([[0, 1], [0, 2], [2, 3], [1, 3]], num_experts=4)
    >>> layout.c_t(trace), layout.imbalance(trace)
    (1.5, 1.0)
    """

    experts: tuple[str, ...]
    chiplet_of_expert: Ints
    groups: tuple[tuple[int, ...], ...]
    method: str
    replicas: Ints
    choice: Choice

    def __init__(
        self,
        experts: tuple[str, ...],
        chiplet_of_expert: ArrayLike,
        groups: tuple[tuple[int, ...], ...] | None = None,
        method: str = "given",
        replicas: ArrayLike | None = None,
        choice: Choice = "balanced",
    ) -> None:
        given = np.asarray(chiplet_of_expert)
        if given.size and not np.issubdtype(given.dtype, np.integer):
            raise WorkloadError(f"allocation holds {given.dtype}; chiplets are whole numbers")
        places = np.array(given, dtype=np.int64)
        if places.ndim == 1:
            places = places[None]
        if places.ndim != 2 or places.size == 0:
            raise WorkloadError(f"allocation has shape {places.shape}; give chiplets as [layers, experts]")
        if places.min() < 0 or places.max() >= len(experts):
            wrong = int(places.min() if places.min() < 0 else places.max())
            raise WorkloadError(f"allocation: chiplet {wrong} is out of range 0 to {len(experts) - 1}")
        parts = tuple(map(tuple, groups)) if groups else tuple((i,) for i in range(len(experts)))
        if sorted(i for part in parts for i in part) != list(range(len(experts))):
            raise WorkloadError(f"allocation: groups need each of 0 to {len(experts) - 1} once")
        if len(set(experts)) < len(experts):
            raise WorkloadError("allocation: the name of a chiplet occurs twice")
        copies = np.zeros((len(places), 0, 2), np.int64) if replicas is None else np.array(replicas, np.int64)
        _check_replicas(copies, places, len(experts))
        places.flags.writeable = copies.flags.writeable = False
        object.__setattr__(self, "experts", tuple(experts))
        object.__setattr__(self, "chiplet_of_expert", places)
        object.__setattr__(self, "groups", parts)
        object.__setattr__(self, "method", method)
        object.__setattr__(self, "replicas", copies)
        object.__setattr__(self, "choice", choice)

    def __repr__(self) -> str:
        layouts = f"{self.num_layers} layout" + ("s" if self.num_layers != 1 else "")
        where = f"{self.num_experts} experts on {len(self.experts)} chiplets"
        return f"Allocation({where}, {layouts}, {self.method})"

    @property
    def num_layers(self) -> int:
        """Layouts held: 1 if it is shared by all layers."""
        return int(self.chiplet_of_expert.shape[0])

    @property
    def num_experts(self) -> int:
        """Experts placed in each layer."""
        return int(self.chiplet_of_expert.shape[1])

    @property
    def group_of_chiplet(self) -> Ints:
        """Group of each chiplet, [chiplets]."""
        group = np.empty(len(self.experts), dtype=np.int64)
        for g, members in enumerate(self.groups):
            group[list(members)] = g
        return group

    @property
    def holds(self) -> Bools:
        """Whether a chiplet holds a copy of an expert, [layers, chiplets, experts]."""
        held = np.zeros((self.num_layers, len(self.experts), self.num_experts), dtype=np.bool_)
        rows, columns = np.indices(self.chiplet_of_expert.shape)
        held[rows, self.chiplet_of_expert, columns] = True
        layer, copy = np.nonzero(self.replicas[:, :, 0] >= 0)
        expert, chiplet = self.replicas[layer, copy].T
        held[layer, chiplet, expert] = True
        return held

    def layer(self, index: int) -> Allocation:
        """Return the layout of one layer; a shared one serves every layer."""
        if self.num_layers == 1:
            return self
        if not -self.num_layers <= index < self.num_layers:
            raise WorkloadError(f"no layer {index}: the allocation has layers 0 to {self.num_layers - 1}")
        return dataclasses.replace(
            self, chiplet_of_expert=self.chiplet_of_expert[index], replicas=self.replicas[index][None]
        )

    def digest(self) -> str:
        """Return the sha256 of the layout: chiplets by name, groups, place of every expert and copy.

        ``method`` does not count; see `noptoolkit._digests`.
        """
        copies = [layer[layer[:, 0] >= 0] for layer in self.replicas]
        content: dict[str, object] = {
            "experts": self.experts,
            "groups": self.groups,
            "places": self.chiplet_of_expert,
        }
        if any(len(layer) for layer in copies):
            content |= {"replicas": copies, "choice": self.choice}
        return digest("allocation", content)

    def check_fits(self, package: Package) -> None:
        """Raise WorkloadError if the package has other expert chiplets, or other groups of them.

        Groups of one chiplet each say nothing about groups and fit every package.
        """
        if self.experts != package.experts:
            raise WorkloadError(
                f"the allocation is for {len(self.experts)} chiplets ({', '.join(self.experts[:3])}, ...), "
                f"package {package.name!r} has {len(package.experts)}{self._beside(package.experts)}; "
                "allocate again for this package"
            )
        mine, its = ({frozenset(part) for part in groups} for groups in (self.groups, package.expert_groups))
        if mine != its and len(mine) < len(self.experts):
            here, there = _sizes(package.expert_groups), _sizes(self.groups)
            raise WorkloadError(
                f"the allocation is for groups of {there} chiplets, package {package.name!r} has the same "
                f"chiplets in groups of {here}; allocate again, or accept it with allocation.on(package)"
            )

    def _beside(self, there: tuple[str, ...]) -> str:
        """Return which chiplets of the layout a package lacks, or that they stand in another order."""
        strange = [name for name in self.experts if name not in set(there)]
        if not strange:
            return " in another order" if len(there) == len(self.experts) else ""
        free = [name for name in there if name not in set(self.experts)]
        named = ", ".join(map(repr, strange[:MOST_NAMED])) + (", ..." if len(strange) > MOST_NAMED else "")
        return f", no expert chiplet named {named} ({did_you_mean(strange[0], free or there)})"

    def on(self, package: Package) -> Allocation:
        """Return this layout for a package with the same expert chiplets, in the groups of that package.

        Raises
        ------
        WorkloadError
            If the package has other expert chiplets.
        """
        changed = dataclasses.replace(self, groups=package.expert_groups) if package.experts else self
        changed.check_fits(package)
        return changed

    def chiplets(self, trace: RoutingTrace) -> Ids:
        """Return the chiplet that serves each choice of each token, [layers, tokens, k].

        Raises
        ------
        WorkloadError
            If the trace has other experts, or other layers than the allocation has layouts.
        """
        if trace.num_experts != self.num_experts:
            raise WorkloadError(
                f"the trace is over {trace.num_experts} experts, the allocation places {self.num_experts}; "
                "give another layout, or allocate anew for this trace"
            )
        if self.num_layers not in (1, trace.num_layers):
            raise WorkloadError(
                f"the trace has {trace.num_layers} layers, the allocation {self.num_layers} layouts; "
                "take allocation.layer(i) and trace.layer(i) of the same layer"
            )
        places = self.chiplet_of_expert.astype(np.min_scalar_type(len(self.experts)))
        if self.num_layers == 1 and not self.replicas.size:
            shared: Ids = places[0][trace.topk]
            return shared
        rows = range(trace.num_layers) if self.num_layers > 1 else [0] * trace.num_layers
        return np.stack(
            [
                _serving(trace.topk[layer], places[row], self.replicas[row], self.choice)
                for layer, row in enumerate(rows)
            ]
        )

    def load(self, trace: RoutingTrace) -> Ints:
        """Return the activations that each chiplet computes, [layers, chiplets]."""
        served = self.chiplets(trace)
        count = len(self.experts)
        return np.stack([np.bincount(layer.ravel(), minlength=count) for layer in served]).astype(np.int64)

    def c_t(self, trace: RoutingTrace) -> float:
        """Return the mean number of chiplets that a token is sent to."""
        return float(count_distinct(self.chiplets(trace)).mean())

    def c_g(self, trace: RoutingTrace) -> float:
        """Return the mean number of groups that a token is sent to."""
        group = self.group_of_chiplet.astype(np.min_scalar_type(len(self.groups) - 1))
        return float(count_distinct(group[self.chiplets(trace)]).mean())

    def imbalance(self, trace: RoutingTrace) -> float:
        """Return the load of the hottest chiplet over the mean load, averaged over layers."""
        load = self.load(trace)
        return float((load.max(axis=1) / load.mean(axis=1)).mean())

    def group_imbalance(self, trace: RoutingTrace) -> float:
        """Return the load per chiplet of the hottest group over the mean load, averaged over layers."""
        load = self.load(trace)
        per_group = np.stack([load[:, list(members)].mean(axis=1) for members in self.groups])
        return float((per_group.max(axis=0) / load.mean(axis=1)).mean())


def _sizes(groups: tuple[tuple[int, ...], ...]) -> str:
    """Return the sizes of groups as text: ``6, 6, 4``."""
    shown = [str(len(members)) for members in groups[:6]]
    return ", ".join(shown) + (", ..." if len(groups) > 6 else "")


def _serving(topk: Ids, places: Ids, replicas: Ints, choice: Choice) -> Ids:
    """Return the chiplet that serves each choice of each token of one layer, [tokens, k]."""
    served: Ids = places[topk]
    if not replicas.size:
        return served
    hosts = [[place] for place in places]
    for expert, chiplet in replicas[replicas[:, 0] >= 0]:
        hosts[expert].append(places.dtype.type(chiplet))
    number = np.array([len(row) for row in hosts])
    table = np.array([row + row[:1] * (int(number.max()) - len(row)) for row in hosts], dtype=places.dtype)
    several = number[topk] > 1
    if choice == "balanced":
        used = topk[several]
        served[several] = table[used, _turns(used, np.zeros_like(number)) % number[used]]
        return served
    visited = np.zeros((len(topk), int(table.max()) + 1), dtype=np.bool_)
    tokens = np.arange(len(topk))
    for j in range(topk.shape[1]):
        single = ~several[:, j]
        visited[tokens[single], served[single, j]] = True
    so_far = np.zeros_like(number)  # activations of each expert that took their turn
    for j in range(topk.shape[1]):
        rows = tokens[several[:, j]]
        used = topk[rows, j]
        options = table[used]
        near = visited[rows[:, None], options]
        chosen = options[np.arange(len(rows)), near.argmax(axis=1)]
        far = ~near.any(axis=1)
        chosen[far] = options[far, _turns(used[far], so_far) % number[used[far]]]
        so_far += np.bincount(used[far], minlength=len(number))
        served[rows, j] = chosen
        visited[rows, chosen] = True
    return served


def _turns(used: Ids, so_far: Ints) -> Ints:
    """Return how many activations of the same expert came before each one, [activations].

    Parameters
    ----------
    used : array of int
        Expert of each activation, in order, [activations].
    so_far : array of int
        Activations of each expert before the first of these, [experts].
    """
    order = np.argsort(used, kind="stable")
    count = np.bincount(used, minlength=len(so_far))
    first = np.cumsum(count) - count
    turn = np.empty(len(used), np.int64)
    turn[order] = np.arange(len(used)) - np.repeat(first, count)
    return turn + so_far[used]


def _check_replicas(replicas: Ints, places: Ints, chiplets: int) -> None:
    layers, count = places.shape
    if replicas.ndim != 3 or replicas.shape[0] != layers or replicas.shape[2] != 2:
        raise WorkloadError(
            f"replicas have shape {replicas.shape}; give (expert, chiplet) pairs as [{layers}, copies, 2]"
        )
    for layer, pairs in enumerate(replicas.tolist()):
        for expert, chiplet in pairs:
            if [expert, chiplet] != [-1, -1] and not (0 <= expert < count and 0 <= chiplet < chiplets):
                raise WorkloadError(
                    f"layer {layer}: no expert {expert} or no chiplet {chiplet} for a replica"
                )


def count_distinct(ids: Ids) -> NDArray[np.uint8]:
    """Return how many distinct ids the last axis holds, [..., k] -> [...].

    Examples
    --------
    >>> count_distinct(np.array([[3, 3, 1], [2, 2, 2]]))
    array([2, 1], dtype=uint8)
    """
    columns = np.ascontiguousarray(np.moveaxis(ids, -1, 0))
    distinct = np.ones(columns.shape[1:], dtype=np.uint8)
    for j in range(1, len(columns)):
        new = columns[j] != columns[0]
        for i in range(1, j):
            new &= columns[j] != columns[i]
        distinct += new
    return distinct
