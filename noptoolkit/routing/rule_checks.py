"""Checks of rules that a user brings: shares, dead ends, loops.

The model. A rule is sound towards destination d if, in every state that has entries, shares are at least 0
and sum to one; every entry leads to d or to a state with entries; and states can be numbered so that the
number falls along every entry. Then whatever enters a state with entries arrives at d, in finitely many
hops, and nothing is lost.
"""

from __future__ import annotations

import numpy as np

from noptoolkit._arrays import Bools, Ints
from noptoolkit.errors import RoutingError
from noptoolkit.network import FlowNetwork
from noptoolkit.routing.forwarding import Forwarding, ForwardingRule

__all__ = ["checked", "levels_of"]

ROUNDING = 1e-9


def checked(name: str, rule: ForwardingRule) -> ForwardingRule:
    """Return a rule whose arrays are checked each time; errors call it by its name."""

    def checked_rule(network: FlowNetwork, destinations: Ints) -> Forwarding:
        try:
            forwarding = rule(network, destinations)
        except RoutingError:
            raise
        except Exception as error:
            raise RoutingError(
                f"the rule of routing {name!r} failed ({type(error).__name__}: {error}); it is called with a "
                "FlowNetwork and an array of vertices and returns a Forwarding"
            ) from error
        check_forwarding(name, network, destinations, forwarding)
        return forwarding

    return checked_rule


def check_forwarding(name: str, network: FlowNetwork, destinations: Ints, forwarding: Forwarding) -> None:
    """Raise where arrays are not a rule for some destinations.

    Raises
    ------
    RoutingError
        If shapes or indices do not fit, shares are negative or do not sum to 1, or an entry leads nowhere or
        to a level that is not lower.
    """
    place = f"routing {name!r}"
    if not isinstance(forwarding, Forwarding):
        raise RoutingError(f"{place}: {type(forwarding).__name__} is not a Forwarding")
    if not np.array_equal(forwarding.destinations, destinations):
        raise RoutingError(f"{place}: the rule answers for other destinations than those asked for")
    size, states = network.num_vertices, forwarding.num_states
    to, arc, tail, head = forwarding.to, forwarding.arc, forwarding.tail, forwarding.head
    columns = (to, arc, forwarding.share, forwarding.level, tail, head, forwarding.virtual_channel)
    if len({np.shape(column) for column in columns}) != 1:
        raise RoutingError(f"{place}: to, arc, share, level, tail, head and virtual_channel differ in length")
    if len(to) == 0:
        return
    for values, limit, what in (
        (to, len(destinations), "to"),
        (arc, network.num_arcs, "arc"),
        (tail, states, "tail"),
        (head, states, "head"),
        (forwarding.virtual_channel, np.inf, "virtual_channel"),
    ):
        if values.min() < 0 or values.max() >= limit:
            raise RoutingError(f"{place}: an index in {what!r} is not in 0 .. {limit - 1:g}")
    if states % size or (tail % size != network.tail[arc]).any() or (head % size != network.head[arc]).any():
        raise RoutingError(
            f"{place}: the vertex of a state is its number modulo {size}; some arc ends elsewhere"
        )
    total = np.bincount(to * states + tail, forwarding.share, len(destinations) * states)
    used = _has_entries(to * states + tail, len(destinations) * states)
    if not np.isfinite(forwarding.share).all() or forwarding.share.min() < 0:
        raise RoutingError(f"{place}: a share is negative or not finite")
    wrong = np.flatnonzero(used & (abs(total - 1) > ROUNDING))
    if len(wrong):
        where = _between(network, destinations, wrong[0], states)
        raise RoutingError(f"{place} {where}: shares sum to {total[wrong[0]]:.9g}; they must sum to 1")
    _check_heads(name, network, destinations, to, head, used)
    level = np.zeros(len(used), np.int64)
    level[to * states + tail] = forwarding.level
    onward = head % size != destinations[to]
    if (forwarding.level <= np.where(onward, level[to * states + head], -1)).any():
        raise RoutingError(f"{place}: the level must fall along every entry")


def levels_of(
    name: str, network: FlowNetwork, destinations: Ints, to: Ints, tail: Ints, head: Ints, num_states: int
) -> Ints:
    """Return the level of the tail of each entry: the most hops that are left to the destination, [entries].

    Parameters
    ----------
    name : str
        Name of the routing, for messages.
    to, tail, head : arrays of int
        Entries of a `Forwarding`.

    Raises
    ------
    RoutingError
        If entries form a loop or lead to a state without entries.
    """
    begin, end = to * num_states + tail, to * num_states + head
    size = len(destinations) * num_states
    used = _has_entries(begin, size)
    _check_heads(name, network, destinations, to, head, used)
    level = np.zeros(size, np.int64)
    open_entries = np.bincount(begin, minlength=size)  # of each state, those whose heads have no level yet
    waiting = np.arange(len(to))
    arrived = head % network.num_vertices == destinations[to]
    done = np.zeros(size, bool)
    for hops in range(1, num_states + 2):
        ready = arrived[waiting] | done[end[waiting]]
        np.subtract.at(open_entries, begin[waiting[ready]], 1)
        finished = begin[waiting[ready]]
        finished = finished[open_entries[finished] == 0]
        level[finished], done[finished] = hops, True
        waiting = waiting[~ready]
        if len(waiting) == 0 or not ready.any():
            break
    if len(waiting):
        raise RoutingError(
            f"routing {name!r} {_between(network, destinations, begin[waiting[0]], num_states)}: "
            f"packets can go round in a loop"
        )
    found: Ints = level[begin]
    return found


def _has_entries(begin: Ints, size: int) -> Bools:
    used = np.zeros(size, bool)
    used[begin] = True
    return used


def _check_heads(
    name: str, network: FlowNetwork, destinations: Ints, to: Ints, head: Ints, used: Bools
) -> None:
    """Raise where an entry leads neither to its destination nor to a state with entries."""
    states = len(used) // max(len(destinations), 1)
    end = to * states + head
    stuck = np.flatnonzero((head % network.num_vertices != destinations[to]) & ~used[end])
    if len(stuck):
        where = _between(network, destinations, end[stuck[0]], states)
        raise RoutingError(f"routing {name!r} {where}: packets get there, but no next hop is given")


def _between(network: FlowNetwork, destinations: Ints, place: int, states: int) -> str:
    row, state = divmod(int(place), states)
    here = network.node_of_vertex(state % network.num_vertices)
    return f"at {here!r} towards {network.node_of_vertex(int(destinations[row]))!r}"
