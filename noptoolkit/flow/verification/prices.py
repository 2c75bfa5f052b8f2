"""What the messages of a result cost at least under its prices; see `noptoolkit.flow.verification`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit.flow.verification.messages import Endpoints
from noptoolkit.flow.verification.trees import cheapest_tree_costs, cuts_cost, program_steps
from noptoolkit.traffic import DestinationSets

if TYPE_CHECKING:
    from noptoolkit.flow.result import FlowResult
    from noptoolkit.routing.solution import CutPacking

__all__ = ["PricedMessages"]


MOST_STEPS = (
    2e10  # of the program over subsets, some twenty seconds; sets beyond are priced by one member only
)
CHUNK = 1 << 16  # messages at a time


class PricedMessages:
    """The least that multicasts, or reductions, cost.

    Parameters
    ----------
    result
        Result that holds the cuts.
    sets
        Its multicasts, or its reductions.
    distance
        Distance from each vertex to each other under the prices, [vertices, vertices].
    per_copy
        Price of each copy that a root sends (or collects), [nodes].
    """

    def __init__(
        self, result: FlowResult, sets: DestinationSets, distance: Floats, per_copy: Floats, *, reverse: bool
    ) -> None:
        self.result, self.sets, self.reverse = result, sets, reverse
        self.ends = Endpoints(result, reverse=reverse)
        self.distance = distance.T if reverse else distance
        self.per_copy = per_copy[self.ends.node[sets.root]]
        self.root = self.ends.root_of[sets.root]
        self.faults: list[str] = []
        self.rough = 0
        self.at_members = np.zeros(len(result.package.nodes))

    def cost(self, *, trees: bool) -> float:
        """Return the cost of all: the farthest member's at least, and what cuts prove.

        Parameters
        ----------
        trees
            Whether to work out the cheapest trees besides, as far as that is affordable.
        """
        sets = self.sets
        each = np.zeros(len(sets))
        size = np.zeros(len(sets), np.int64)
        for begin in range(0, len(sets), CHUNK):
            chunk = slice(begin, begin + CHUNK)
            members = self.ends.members(sets, np.arange(len(sets))[chunk])
            size[chunk] = members.sum(axis=1)
            far = np.where(members, self.distance[self.root[chunk]][:, self.ends.member_of], 0.0)
            each[chunk] = far.max(axis=1, initial=0.0)
            np.add.at(self.at_members, self.ends.node, sets.bytes[chunk] @ members)
        each[size > 0] += self.per_copy[size > 0]
        left = (size > 1) & (sets.bytes > 0)
        for packing in self.result.packings:
            if packing.reverse == self.reverse:
                self._check_cuts(packing, each)
                left[packing.messages] = False
        if trees:
            self._work_out(np.flatnonzero(left), each)
        return float(sets.bytes @ each)

    def _check_cuts(self, packing: CutPacking, each: Floats) -> None:
        size = len(self.distance)
        bit = np.arange(size)
        inside = packing.cuts[:, bit // 64] >> (bit % 64).astype(np.uint64) & np.uint64(1) > 0
        members = self.ends.members(self.sets, packing.messages)
        for row, message in enumerate(packing.messages.tolist()):
            mine = slice(packing.begins[row], packing.begins[row + 1])
            proved = cuts_cost(
                inside[mine],
                packing.weights[mine],
                self.distance,
                self.ends.helps,
                int(self.root[message]),
                self.ends.member_of[members[row]],
                float(self.per_copy[message]),
            )
            if proved < 0:
                self.faults.append(f"the cuts of message {message} do not hold")
                return
            each[message] = max(each[message], proved)

    def _work_out(self, messages: Ints, each: Floats) -> None:
        """Work out the cheapest trees of the smaller sets, as long as the steps last."""
        members = self.ends.members(self.sets, messages)
        self._join_roots(members, messages)
        size = members.sum(axis=1)
        steps = MOST_STEPS
        for k in np.unique(size):
            mine = messages[size == k]
            members_k = members[size == k]
            _, first, which = np.unique(_keys(members_k), return_index=True, return_inverse=True)
            steps -= program_steps(len(first), int(k), len(self.distance))
            if steps < 0:
                self.rough += len(mine)
                continue
            at = self.ends.member_of[np.nonzero(members_k[first])[1].reshape(-1, int(k))]
            each[mine] = cheapest_tree_costs(
                at, self.distance, self.ends.helps, which.ravel(), self.root[mine], self.per_copy[mine]
            )

    def _join_roots(self, members: Bools, messages: Ints) -> None:
        """Let a root that can copy be a member of its set, at no cost, where that makes it another's set."""
        root = self.sets.root[messages]
        at = self.ends.root_of[root]
        some = np.flatnonzero(self.ends.helps[at] & (at == self.ends.member_of[root]))
        joined = members[some]
        joined[np.arange(len(some)), root[some]] = True
        some = some[np.isin(_keys(joined), _keys(members))]
        members[some, root[some]] = True


def _keys(members: Bools) -> NDArray[Any]:
    """Return something to compare whole rows by, [messages]."""
    packed = np.ascontiguousarray(np.packbits(members, axis=1))
    return packed.view(f"V{packed.shape[1]}").ravel()
