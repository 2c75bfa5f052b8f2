"""Published figures of servers of mixture-of-experts models, with what can be derived from them.

Each row says whether it is quoted or derived. They stand beside results; nothing here is calibrated to them:
the machines are clusters of GPUs, not packages.
"""

from __future__ import annotations

from dataclasses import dataclass

from noptoolkit.tables import Column, Table

__all__ = ["PUBLISHED", "Published", "published_table"]

DEEPEP = "DeepEP's README (deepseek-ai/DeepEP, dd758ca)"
DAY_6 = "DeepSeek-V3/R1 Inference System Overview (deepseek-ai/open-infra-index, 2025)"
PROFILES = "Profiling Data in DeepSeek Infra (deepseek-ai/profile-data)"
V3 = "DeepSeek-V3 Technical Report, arXiv 2412.19437"


@dataclass(frozen=True)
class Published:
    """A figure.

    Parameters
    ----------
    what : str
        What it is of.
    value : float
        Its value.
    unit : str
        Unit of the value.
    origin : str
        ``quoted`` or ``derived``.
    source : str
        Where it stands, or how it follows from what is quoted.
    """

    what: str
    value: float
    unit: str
    origin: str
    source: str


PUBLISHED: tuple[Published, ...] = (
    Published("dispatch, EP 8 x 2, logical", 90, "GB/s", "quoted", DEEPEP),
    Published("combine, EP 8 x 2, logical", 81, "GB/s", "quoted", DEEPEP),
    Published("dispatch and combine, EP 8 x 4, logical", 61, "GB/s", "quoted", DEEPEP),
    Published("dispatch, EP 8 x 2, over a 50 GB/s NIC", 0.90, "", "derived", "90 / 2 nodes / 50"),
    Published("dispatch, EP 8 x 4, over a 50 GB/s NIC", 0.915, "", "derived", "61 x 3 / 4 / 50"),
    Published("dispatch, low latency, EP 8", 77, "us", "quoted", DEEPEP),
    Published("dispatch, low latency, EP 128", 192, "us", "quoted", DEEPEP),
    Published(
        "prefill, input tokens per node of 8 H800, cache hits counted", 73_700, "tokens/s", "quoted", DAY_6
    ),
    Published("decode, output tokens per node of 8 H800", 14_800, "tokens/s", "quoted", DAY_6),
    Published("output speed of a user, low", 20, "tokens/s", "quoted", DAY_6),
    Published("output speed of a user, high", 22, "tokens/s", "quoted", DAY_6),
    Published("prefill, share of input tokens from the cache", 0.563, "", "quoted", DAY_6),
    Published(
        "prefill, input tokens per node that are computed",
        32_207,
        "tokens/s",
        "derived",
        "73,700 x 0.437",
    ),
    Published("keys and values per output token, mean", 4989, "tokens", "quoted", DAY_6),
    Published("sequences at once per GPU", 14_800 / 8 / 21, "", "derived", "14,800 / 8 / 21 tokens/s a user"),
    Published("decode, GPUs of a unit", 144, "", "quoted", DAY_6),
    Published("decode, routed experts of a GPU", 2, "", "quoted", DAY_6),
    Published("prefill, GPUs of a unit", 32, "", "quoted", DAY_6),
    Published("prefill, routed experts of a GPU", 9, "", "quoted", DAY_6),
    Published("experts of a decode unit with copies", 288, "", "derived", "144 x 2 = 256 + 32 redundant"),
    Published("experts of a prefill unit with copies", 288, "", "derived", "32 x 9 = 256 + 32 redundant"),
    Published("decode profile, requests per GPU (EP 128, prompts of 4K)", 128, "", "quoted", PROFILES),
    Published("prefill profile, tokens per GPU (EP 32, prompts of 4K)", 16_384, "", "quoted", PROFILES),
    Published("acceptance of the second token, low", 0.85, "", "quoted", V3),
    Published("acceptance of the second token, high", 0.90, "", "quoted", V3),
    Published("tokens per second with multi-token prediction", 1.8, "x", "quoted", V3),
    Published("tokens per step at 0.85, none lost to proposing", 1.85, "x", "derived", "1 + 0.85"),
)


def published_table() -> Table:
    """Return the published figures as a table.

    Examples
    --------
    >>> len(published_table().rows) == len(PUBLISHED)
    True
    """
    columns = [
        Column("what"),
        Column("value", form=".4g"),
        Column("unit"),
        Column("origin"),
        Column("source"),
    ]
    rows = [(row.what, row.value, row.unit, row.origin, row.source) for row in PUBLISHED]
    return Table(columns, rows, title="Published figures of servers")
