"""Algorithms of today, in synchronous steps, to measure against the optimum."""
