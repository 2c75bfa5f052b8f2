"""The table of the resources that a routing, or a schedule of a collective, uses most."""

from __future__ import annotations

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.network import FlowNetwork
from noptoolkit.tables import Column, Table

__all__ = ["busiest_resources"]


def busiest_resources(
    network: FlowNetwork,
    use: Floats,
    time: float,
    *,
    what: str,
    title: str,
    notes: list[str],
    efficiency: float = 1.0,
    most: int | None = 8,
) -> Table:
    """Return the channels, crossbars and ports that are busy longest, the longest first.

    Parameters
    ----------
    network
        Network with the names and capacities of the resources.
    use
        Bytes through each resource, in B, [resources].
    time
        Time that the shares refer to, in s.
    what
        What takes that time, for the meaning of the share.
    title, notes
        Title and notes of the table.
    efficiency
        Share of each capacity that can be used.
    most
        Number of rows; all resources where ``None``.
    """
    busy = use / network.capacity / efficiency
    columns = [
        Column("resource", meaning="channel, crossbar or port"),
        Column("load", unit="B", meaning="bytes that it carries"),
        Column("capacity", unit="B/s", meaning="bandwidth"),
        Column("time", "busy for", unit="s", meaning="load / capacity"),
        Column("share", "share of time", form=".1%", meaning=f"busy time over the time of the {what}"),
    ]
    rows = [
        [network.names[r], use[r], network.capacity[r], busy[r], busy[r] / time if time > 0 else None]
        for r in np.argsort(-busy, kind="stable")[:most].tolist()
    ]
    return Table(columns, rows, title=title, notes=notes)
