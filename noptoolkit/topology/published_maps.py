"""The interposer topologies of 20 chiplets as their papers draw them: 4 rows of 5.

Kite medium and large: Bharadwaj et al., DAC 2020; ButterDonut and Double Butterfly: Kannan, Enright Jerger
and Loh, MICRO-48, 2015. Read off the adjacency maps that come with NetSmith (Green and Thottethodi, ICPP
2024, arXiv 2404.02357; github.com/cgreen18/netsmith_icpp24). Kite small and the folded torus need no
drawing: the rules that generalise them give the same links.
"""

from __future__ import annotations

__all__ = ["COLUMNS", "ROWS", "drawn_wires"]

ROWS, COLUMNS = 4, 5

# of each chiplet, row by row, its neighbours of higher number
DRAWINGS: dict[str, str] = {
    "kite_medium": (
        "1 2 5 10/3 7 11/4 6 8/4 7 13/9 14/6 7 15/8 16/9/9 18/19/11 12 15/13 17/14 16 18/14 17/"
        "19/16 17/18/19/19"
    ),
    "kite_large": (
        "1 5 7 11/8/5 9 11 13/4 6/7 9 13/6 12/15 17/10 14/9 17 19/12/11 15 17/18/15 19/14 16/17 19/16///19"
    ),
    "butter_donut": (
        "1 2 6/3 5 12/4 11 13/4 9 12/8/6 7/8 17/9 16 18/9 17//11 12 16/13 15/14/14 19/18/16 17/18/19/19"
    ),
    "double_butterfly": (
        "1 6/2 5 12/3 11 13/4 9 12/8/6/7 17/8 16 18/9 17//11 16/12 15/13/14 19/18/16/17/18/19"
    ),
}


def drawn_wires(name: str) -> list[tuple[str, str]]:
    """Return the links of a drawing.

    Examples
    --------
    >>> len(drawn_wires("kite_medium")), drawn_wires("kite_medium")[0]
    (40, ('e0', 'e1'))
    """
    higher = [part.split() for part in DRAWINGS[name].split("/")]
    return [(f"e{chiplet}", f"e{other}") for chiplet, others in enumerate(higher) for other in others]
