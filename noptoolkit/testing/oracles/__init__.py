"""Answers by brute force, by code that knows nothing of the solvers, for `noptoolkit.testing.differential`.

Each reads a package's nodes and links, or tasks, or a trace, and nothing else of noptoolkit; HiGHS (through
scipy) and CP-SAT (OR-tools, where it is installed) solve what is a program.
"""
