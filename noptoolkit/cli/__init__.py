"""The command line: words in, one call, tables and files out. No arithmetic."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress

from noptoolkit._interrupts import heed_interrupts

__all__ = ["main"]


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line, see `cli.application.main`; Ctrl-C is quiet while it loads and ends, too."""
    code: object = 0
    try:
        from noptoolkit.cli.application import main as run_command

        heed_interrupts()
        run_command(words)
    except KeyboardInterrupt:
        code = 130
    except SystemExit as left:
        code = left.code
    if words is not None:
        sys.exit(code)  # type: ignore[arg-type]
    _end(code)


def _end(code: object) -> None:
    """End the process: Python would let Ctrl-C through while it ends, with another code or a traceback."""
    with suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough
        code = code or 1
    except OSError as error:
        code = code or 1
        with suppress(OSError):
            sys.stderr.write(f"error: {error.strerror}\n")
    with suppress(OSError):
        sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1 if code else 0)
