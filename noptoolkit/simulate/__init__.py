"""What routers with buffers and virtual channels do, cycle by cycle: latency, saturation, runs until done."""

from noptoolkit.simulate.injection import Bursts, Pattern, uniform
from noptoolkit.simulate.protocol import Sampling
from noptoolkit.simulate.result import Simulation
from noptoolkit.simulate.router import BOOKSIM, BOOKSIM_SPEEDUP, Router
from noptoolkit.simulate.simulating import simulate

__all__ = [
    "BOOKSIM",
    "BOOKSIM_SPEEDUP",
    "Bursts",
    "Pattern",
    "Router",
    "Sampling",
    "Simulation",
    "simulate",
    "uniform",
]
