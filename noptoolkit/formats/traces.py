"""Recorded routing from files: arrays of top-k expert ids."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from noptoolkit.errors import FormatError, NopError
from noptoolkit.trace import RoutingTrace

__all__ = ["load_trace"]

MOST_BYTES = 2_000_000_000


def load_trace(path: str | Path, *, num_experts: int | None = None) -> RoutingTrace:
    """Return the routing trace of a ``.npy`` or ``.npz`` file.

    Parameters
    ----------
    path
        An array of ids [layers, tokens, k] or [tokens, k]; in an ``.npz``, named ``topk``, beside an optional
        ``num_experts``.
    num_experts
        Of the model, where the file does not say; one more than the largest id where nobody does.

    Raises
    ------
    FormatError
        If the file holds no such array.
    """
    file = Path(path)
    try:
        size = file.stat().st_size
        if size > MOST_BYTES:
            raise FormatError(f"{file}: larger than {MOST_BYTES / 1e9:g} GB; record fewer tokens")
        loaded = np.load(file, allow_pickle=False)
    except OSError as error:
        raise FormatError(f"{file}: cannot be read ({error.strerror or error})") from None
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise FormatError(f"{file}: no .npy or .npz of expert ids ({error})") from None
    try:
        if isinstance(loaded, np.ndarray):
            topk = loaded
        else:
            with loaded:
                if "topk" not in loaded:
                    shown = ", ".join(loaded.files[:8])
                    raise FormatError(f"{file}: no array named 'topk'; it has: {shown or 'nothing'}")
                topk = loaded["topk"]
                if "num_experts" in loaded:
                    num_experts = int(loaded["num_experts"])
        count = num_experts if num_experts is not None else int(topk.max()) + 1
        return RoutingTrace(topk, count, source=file.name)
    except (ValueError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{file}: damaged ({error})") from None
    except NopError as error:
        raise FormatError(f"{file}: {error}") from error
