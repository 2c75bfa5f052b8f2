"""Pictures into files, each either whole and new or left as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from noptoolkit._shown import visible
from noptoolkit.errors import FormatError
from noptoolkit.formats.results import file_in_place_of, made_folder
from noptoolkit.plot._style import EMBEDDED_FONTS, figure_of

__all__ = ["save"]


def save(picture: Axes | Figure, path: str | Path) -> Path:
    """Write a picture with its fonts embedded; PNG, PDF, SVG, ... by the name's ending.

    Parameters
    ----------
    picture
        A figure, or axes of it.
    path
        Path of the file; folders are made.

    Returns
    -------
    Path
        The file that was written; the same picture gives the same bytes.

    Raises
    ------
    FormatError
        If the ending is not a format of pictures, or the place cannot be written to.
    """
    figure = figure_of(picture) if isinstance(picture, Axes) else picture
    target = Path(path)
    kind = target.suffix[1:].lower()
    if kind not in figure.canvas.get_supported_filetypes():
        raise FormatError(f"{path}: no picture format {target.suffix!r}; use .png, .svg or .pdf")
    made_folder(target.parent)
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    for text in figure.findobj(Text):  # names from files move nothing and turn nothing
        if (plain := visible(text.get_text())) != text.get_text():
            text.set_text(plain)
    with mpl.rc_context(cast(Any, EMBEDDED_FONTS)), file_in_place_of(target) as part:
        figure.savefig(part, format=kind, dpi=300, metadata=undated)
    return target
