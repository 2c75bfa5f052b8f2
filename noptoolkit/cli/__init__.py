"""The command line: words in, one call, tables and files out. No arithmetic."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line, see `noptoolkit.cli.application.main`; Ctrl-C while it loads is quiet, too."""
    try:
        from noptoolkit.cli.application import main as run_command
    except KeyboardInterrupt:
        sys.exit(130)
    run_command(words)
