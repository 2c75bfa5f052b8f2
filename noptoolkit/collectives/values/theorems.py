"""The statements by which a time and a bound of collectives meet, or why they need not."""

from __future__ import annotations

__all__ = ["CONCURRENT", "EDMONDS", "GIVEN", "NOTHING", "OPEN", "PARTITIONS", "STREAM", "TREES", "TUTTE"]

GIVEN = "a schedule that was given"
NOTHING = "no bytes, no time"
EDMONDS = "Edmonds: trees reach the slowest cut, which no schedule undercuts, copying or coding included"
STREAM = "max-flow min-cut: one source (or sink), so a flow reaches the slowest cut"
CONCURRENT = "duality of concurrent flows: no routing, and so no schedule, is faster"
TUTTE = "Tutte, Nash-Williams, Cunningham: spanning trees reach the strength; no uncoded schedule is faster"
PARTITIONS = "partitions: every part with a member sends one partial sum and receives one result"
TREES = "duality: trees of the members, relays that copy and add nothing"
OPEN = f"{TREES}; whether schedules other than trees can be faster is open"
