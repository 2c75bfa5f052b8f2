"""Bounds on every routing: the flow program, its prices, cuts."""
