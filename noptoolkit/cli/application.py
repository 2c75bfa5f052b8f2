"""The commands, and what becomes of errors: one message, exit code 1; usage errors exit with 2."""

from __future__ import annotations

import _thread
import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from noptoolkit import __version__
from noptoolkit.cli import (
    allocating,
    changing,
    collecting,
    comparing,
    converting,
    degrading,
    doctoring,
    listing,
    planning,
    plotting,
    reading,
    reporting,
    reproducing,
    scheduling,
    searching,
    serving,
    simulating,
    structuring,
    sweeping,
)
from noptoolkit.cli.command import Command
from noptoolkit.cli.screen import errors, output, warned
from noptoolkit.errors import NopError

__all__ = ["app", "main"]

app = typer.Typer(
    name="noptoolkit",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _tell_version(asked: bool) -> None:
    if asked:
        output.print(f"noptoolkit {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """A network-on-package as a typed graph, and what a mixture-of-experts workload does to it."""


COMMANDS: dict[str, Callable[..., None]] = {
    "list": listing.list_presets,
    "show": listing.show,
    "compare": comparing.compare,
    "plot": plotting.plot,
    "allocate": allocating.allocate,
    "schedule": scheduling.schedule,
    "serve": serving.serve,
    "collective": collecting.collective,
    "resilience": degrading.resilience,
    "what-if": changing.what_if,
    "simulate": simulating.simulate,
    "plan": planning.plan,
    "search": structuring.search,
    "sweep": sweeping.sweep,
    "results": reading.results,
    "report": reporting.report,
    "optimise": searching.optimise,
    "sensitivity": searching.sensitivity,
    "convert": converting.convert,
    "reproduce": reproducing.reproduce,
    "doctor": doctoring.doctor,
}
for name, function in COMMANDS.items():
    app.command(name, cls=Command)(function)


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line; the only place where errors become text and an exit code.

    Parameters
    ----------
    words
        Arguments of the command; those of the process where ``None``.
    """
    os.environ.setdefault("MPLBACKEND", "Agg")  # pictures go to files; no screen is needed
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the locale has no letters for
    warnings.showwarning = _show_warning
    sys.unraisablehook = _heed_swallowed
    swallowed.clear()
    warned.clear()
    reporting.words[:] = sys.argv[1:] if words is None else words
    try:
        app(args=words)
    except NopError as error:
        errors.print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print("interrupted")
        sys.exit(130)
    except BrokenPipeError:  # the reader has seen enough: no message, and no second one at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        errors.print(
            f"error: {place}{error.strerror or error}", markup=False, highlight=False, soft_wrap=True
        )
        sys.exit(1)
    except Exception as error:
        if swallowed:  # what was compiled, or freed, has come apart
            errors.print("interrupted")
            sys.exit(130)
        if os.environ.get("NOPTOOLKIT_DEBUG"):
            raise
        what = f"{type(error).__name__}: {error}"
        errors.print(f"internal error: {what}", markup=False, highlight=False, soft_wrap=True)
        errors.print("this is a bug in noptoolkit: set NOPTOOLKIT_DEBUG=1 to see where, and report it")
        sys.exit(1)


swallowed: list[BaseException] = []
"""Ctrl-C where Python can raise nothing: in a callback of the compiler, as an object is freed."""


def _heed_swallowed(found: sys.UnraisableHookArgs) -> None:
    """Raise a Ctrl-C that Python could only report, once the code that could not raise it is over."""
    if not isinstance(found.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(found)
        return
    swallowed.append(found.exc_value)
    again = threading.Timer(0.05, _interrupt)
    again.daemon = True
    again.start()


def _interrupt() -> None:
    """Interrupt the main thread, also where it waits."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:  # on Windows
        _thread.interrupt_main()


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    warned.append(str(message))
    errors.print(f"warning: {message}", markup=False, highlight=False, soft_wrap=True)
