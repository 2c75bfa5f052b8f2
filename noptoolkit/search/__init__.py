"""Search over structure: the best topology of a class for a traffic, and what no topology of it can beat."""

from noptoolkit.search.result import SearchResult
from noptoolkit.search.search_file import SearchFile, load_search
from noptoolkit.search.searching import search
from noptoolkit.search.walking import Walk

__all__ = ["SearchFile", "SearchResult", "Walk", "load_search", "search"]
