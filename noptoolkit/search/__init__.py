"""Search over structure: the best package of a class for a purpose, and what none of the class can beat."""

from noptoolkit.search.objective import Figure, Objective
from noptoolkit.search.result import SearchResult
from noptoolkit.search.search_file import SearchFile, load_search
from noptoolkit.search.searching import search
from noptoolkit.search.structure import Structure
from noptoolkit.search.walking import Walk

__all__ = ["Figure", "Objective", "SearchFile", "SearchResult", "Structure", "Walk", "load_search", "search"]
