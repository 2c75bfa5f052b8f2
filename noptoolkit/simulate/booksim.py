"""The same experiment for BookSim2, and router designs out of its configuration files.

BookSim2 has one bandwidth for all channels, merges parallel links, and has no multicast: what of a package
it cannot say, `noptoolkit.formats` reports. Its stage delays above one are not pipelined and are not copied.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.errors import FormatError
from noptoolkit.formats.booksim_export import BookSimOptions, anynet_losses, dump_anynet, node_numbers
from noptoolkit.formats.results import made_folder, replace_file
from noptoolkit.package import Package
from noptoolkit.simulate.booksim_traffic import words_of
from noptoolkit.simulate.injection import Pattern, pattern_of
from noptoolkit.simulate.protocol import Sampling
from noptoolkit.simulate.router import Router
from noptoolkit.traffic import Traffic

__all__ = ["read_booksim_config", "write_booksim"]

WHOLE = {"num_vcs": "vcs", "vc_buf_size": "depth", "packet_size": "packet"}
FIXED = {
    "routing_delay": "0", "vc_alloc_delay": "1", "sw_alloc_delay": "1", "st_final_delay": "1",
    "credit_delay": "1", "input_speedup": "1", "output_speedup": "1", "vc_allocator": "islip",
    "wait_for_tail_credit": "0", "hold_switch_for_packet": "0", "injection_process": "bernoulli",
    "use_noc_latency": "0",
}  # fmt: skip
SAMPLING = {"sample_period": "period", "warmup_periods": "warmup", "max_samples": "most"}
SWITCH = re.compile(r"islip(?:\((\d+)\))?$")


def write_booksim(
    package: Package,
    traffic: Traffic | Pattern | str,
    rate: float,
    folder: str | Path,
    *,
    router: Router | None = None,
    sampling: Sampling | None = None,
) -> tuple[str, ...]:
    """Write network and configuration of an experiment into a folder; return what BookSim2 cannot say of it.

    Parameters
    ----------
    package, traffic, rate, router, sampling
        As in `noptoolkit.simulate.simulate`, with ``routing="booksim-min"``.
    folder : path
        Gets ``network.anynet`` and ``booksim.cfg``; run ``booksim booksim.cfg`` there.

    Raises
    ------
    FormatError
        If BookSim2 cannot express the traffic (`noptoolkit.simulate.booksim_traffic`), or an endpoint is
        no node there.
    """
    router, sampling = router or Router(), sampling or Sampling()
    pattern = pattern_of(package, traffic)
    options = BookSimOptions(
        clock=router.clock, packet_size=router.packet, vcs=router.vcs, vc_buffer=router.depth,
        injection_rate=min(1.0, rate / router.packet), concentration=False,
    )  # fmt: skip
    lost = [*anynet_losses(package, options)]
    words, unit, themselves = words_of(_by_node(package, pattern), pattern.name)
    sends = pattern.weight.sum(axis=1)
    load = float(f"{rate * unit / float(sends[sends > 0].mean()):.12g}")  # without the noise of sums
    if themselves:
        lost.append(
            f"traffic between different nodes only: in BookSim2 {themselves} send to themselves too, at a "
            f"rate of {load:.6g} instead of {rate:g}, with which every pair has its own load"
        )
    if load > router.packet:
        raise FormatError(
            f"pattern {pattern.name!r}: a rate of {rate:g} needs {load:.4g} flits per cycle and node in "
            f"BookSim2, and {router.packet} are the most; give a rate of "
            f"{rate * router.packet / load:.4g} or less"
        )
    if router.pipeline:
        lost.append(f"{router.pipeline} cycles of pipeline: BookSim2's delays above one are not pipelined")
    if router.sums != Router().sums or router.parallel != "merged":
        lost.append("tables of sums, parallel links")
    values = {
        "topology": "anynet",
        "network_file": "network.anynet",
        "routing_function": "min",
        "traffic": words,
        "injection_rate": repr(load / router.packet),
        "sw_allocator": f"islip({router.iterations})" if router.iterations > 1 else "islip",
        "internal_speedup": repr(float(router.speedup)),
        "sim_type": "latency",
        "sim_count": "1",
        "latency_thres": repr(float(sampling.latency_limit)),
        "seed": "1",
    }
    values |= FIXED
    values |= {key: str(getattr(router, name)) for key, name in WHOLE.items()}
    values |= {key: str(getattr(sampling, name)) for key, name in SAMPLING.items()}
    place = made_folder(Path(folder))
    replace_file(place / "network.anynet", dump_anynet(package, options))
    replace_file(place / "booksim.cfg", "".join(f"{key} = {value};\n" for key, value in values.items()))
    return tuple(lost)


def _by_node(package: Package, pattern: Pattern) -> Floats:
    """Return a pattern's weights by the numbers that BookSim2's nodes get, [nodes, nodes]."""
    number = dict(zip(package.terminals, node_numbers(package), strict=True))
    foreign = [name for name in pattern.endpoints if name not in number]
    if foreign:
        raise FormatError(
            f"pattern {pattern.name!r}: {foreign[0]!r} is not a chiplet, and only "
            "chiplets are nodes in BookSim2; leave it out of the traffic"
        )
    place = [number[name] for name in pattern.endpoints]
    weight = np.zeros((len(number), len(number)))
    weight[np.ix_(place, place)] = pattern.weight
    return weight


def read_booksim_config(text: str, place: str = "configuration") -> tuple[Router, Sampling, tuple[str, ...]]:
    """Return the router design and sampling of a BookSim2 configuration, and what was left over.

    Parameters
    ----------
    text : str
        Contents of the file.
    place : str
        Its name, for messages.

    Raises
    ------
    FormatError
        If a line is not ``name = value;``, or a value is not a number.

    Examples
    --------
    >>> router, sampling, left = read_booksim_config("num_vcs = 4; vc_buf_size = 8; topology = torus;")
    >>> router.vcs, router.depth, router.speedup, left
    (4, 8, 1.0, ('topology = torus',))
    """
    changes: dict[str, object] = {"depth": 8, "speedup": 1.0}
    periods: dict[str, object] = {}
    left: list[str] = []
    plain = re.sub(r"//[^\n]*|/\*(?:.*?\*/|.*)", "", text, flags=re.S)  # an open comment goes on to the end
    for part in filter(None, (piece.strip() for piece in plain.split(";"))):
        key, sign, value = (x.strip() for x in part.partition("="))
        if not sign or not key.isidentifier():
            raise FormatError(f"{place}: {part[:40]!r} is not 'name = value;'")
        try:
            if key in WHOLE:
                changes[WHOLE[key]] = int(value)
            elif key == "internal_speedup":
                changes["speedup"] = float(value)
            elif key == "sw_allocator" and (found := SWITCH.match(value.strip('"'))):
                changes["iterations"] = int(found[1] or 1)
            elif key in SAMPLING:
                periods[SAMPLING[key]] = int(value)
            elif key == "latency_thres":
                periods["latency_limit"] = float(value)
            elif FIXED.get(key) != value.strip('"'):
                left.append(f"{key} = {value}")
        except (ValueError, OverflowError):
            raise FormatError(f"{place}: {key} = {value[:20]!r} is not a number") from None
    base = Router(speedup=1.0, injection=1.0, ejection=1.0, fit_buffers=False)
    return base.with_(**changes), Sampling(**periods), tuple(left)  # type: ignore[arg-type]
