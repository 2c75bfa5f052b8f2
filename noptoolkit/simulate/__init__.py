"""What routers with buffers and virtual channels do, cycle by cycle: latency, saturation, runs until done."""

from noptoolkit.simulate.booksim import read_booksim_config, write_booksim
from noptoolkit.simulate.curves import LatencyCurve, Saturation, latency_curve, repeat, saturation
from noptoolkit.simulate.injection import Bursts, Pattern, uniform
from noptoolkit.simulate.packet_trace import write_packet_trace
from noptoolkit.simulate.protocol import Sampling
from noptoolkit.simulate.referee import Check, check, load_bound
from noptoolkit.simulate.result import Simulation
from noptoolkit.simulate.router import BOOKSIM, BOOKSIM_SPEEDUP, Router
from noptoolkit.simulate.simulating import simulate
from noptoolkit.simulate.transfers import Transfers

__all__ = [
    "BOOKSIM",
    "BOOKSIM_SPEEDUP",
    "Bursts",
    "Check",
    "LatencyCurve",
    "Pattern",
    "Router",
    "Sampling",
    "Saturation",
    "Simulation",
    "Transfers",
    "check",
    "latency_curve",
    "load_bound",
    "read_booksim_config",
    "repeat",
    "saturation",
    "simulate",
    "uniform",
    "write_booksim",
    "write_packet_trace",
]
