"""The command line: words in, one call, tables and files out. No arithmetic."""

from noptoolkit.cli.application import main

__all__ = ["main"]
