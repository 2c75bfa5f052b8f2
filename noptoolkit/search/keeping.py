"""The file that a search goes on from: its best structure so far."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from noptoolkit._digests import digest
from noptoolkit.bounds import TopologyClass
from noptoolkit.errors import FormatError
from noptoolkit.formats.results import replace_file
from noptoolkit.search.structure import Structure, bare, keeps_rules

__all__ = ["Kept"]


@dataclass
class Kept:
    """A search's state on disc, if it has a file.

    Parameters
    ----------
    within, figure
        Class, and what is made small in words: another search's file is refused.
    path
        The file, or ``None``.
    rounds
        How often the search was run before.
    """

    within: TopologyClass
    figure: str
    path: Path | None
    rounds: int = 0
    cost: float = np.inf

    @property
    def key(self) -> str:
        """Class and figure in words."""
        template = self.within.template
        nodes = "" if template is None else f" {template.digest()}"
        limits = digest("class", repr([self.within.ports.tolist(), self.within.positions]))
        return f"{self.within.text()}{nodes}; {limits}; {self.figure}"

    def generator(self, rng: np.random.Generator) -> np.random.Generator:
        """Return other random numbers for each round."""
        return np.random.default_rng([int(rng.integers(2**31)), self.rounds])

    def read(self) -> Structure | None:
        """Return the best structure so far, if there is a file.

        Raises
        ------
        FormatError
            If the file is of no search, of another one, or its structure breaks a rule.
        """
        path = self.path
        if path is None or not path.exists():
            return None
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            found = bare(self.within, tuple((int(a), int(b), int(n)) for a, b, n in state["edges"]))
            found = Structure(
                found.edges,
                tuple(int(at) for at in state.get("place", found.place)),
                tuple(int(node) for node in state.get("copiers", found.copiers)),
            )
            key, self.cost, self.rounds = state["search"], float(state["time"]), int(state["rounds"])
        except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as wrong:
            raise FormatError(
                f"{path}: no state of a search ({wrong}); give another file, or remove it"
            ) from None
        if key != self.key:
            raise FormatError(f"{path}: is of another search, {key!r}; give another file, or remove it")
        nodes = range(len(self.within.nodes))
        if not all(a in nodes and b in nodes and a != b and n > 0 for a, b, n in found.edges) or not (
            keeps_rules(self.within, found)
        ):
            raise FormatError(f"{path}: its graph breaks a rule of the class; remove the file")
        return found

    def compare(self, cost: float) -> None:
        """Check what the kept structure comes to against what the file says.

        Raises
        ------
        FormatError
            If it is worse by more than a hundredth.
        """
        if not cost <= self.cost + 0.02 * abs(self.cost):
            raise FormatError(f"{self.path}: its graph takes {cost:g}, not {self.cost:g}; remove the file")

    def write(self, best: Structure, cost: float) -> None:
        """Keep the best so far, if there is a file."""
        if self.path is None:
            return
        state = {
            "schema": 1,
            "search": self.key,
            "time": cost,
            "rounds": self.rounds + 1,
            "edges": [list(edge) for edge in best.edges],
            "place": list(best.place),
            "copiers": list(best.copiers),
        }
        replace_file(self.path, json.dumps(state))
