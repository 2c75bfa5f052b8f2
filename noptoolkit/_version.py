"""Version of noptoolkit; every recorded result carries it."""

__all__ = ["__version__"]

__version__ = "0.2.0"
