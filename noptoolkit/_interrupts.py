"""Ctrl-C while the command line loads.

Python's own answer is a traceback of whatever was being imported. This module is imported first of all, acts
when it is, and imports nothing that loads for a while, as ``signal`` does.
"""

import _signal  # type: ignore[import-not-found]
import os
import sys

__all__ = ["heed_interrupts"]


def _is_command() -> bool:
    """Return whether this process is ``noptoolkit`` or ``python -m noptoolkit``, still loading."""
    if sys.argv[:1] == ["-m"]:  # until the module is found
        words = sys.orig_argv
        return "-m" in words and words[words.index("-m") + 1 :][:1] == ["noptoolkit"]
    return bool(sys.argv) and os.path.basename(sys.argv[0]).removesuffix(".exe") == "noptoolkit"


def _leave_quietly() -> None:
    """End the process at once with code 130 on Ctrl-C."""
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        try:
            _signal.signal(_signal.SIGINT, _end)
        except ValueError:  # not the main thread
            return


def heed_interrupts() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again: all is loaded."""
    if _signal.getsignal(_signal.SIGINT) is _end:
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)


def _end(*_: object) -> None:
    os._exit(130)


if _is_command():
    _leave_quietly()
