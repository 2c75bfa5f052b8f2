"""Tables of a store, their version, and the way from earlier versions."""

from __future__ import annotations

__all__ = ["MIGRATIONS", "TABLES", "VERSION"]

VERSION = 2
"""Of the tables; ``PRAGMA user_version`` of a store says which it has."""

TABLES: dict[str, str] = {
    "metrics": """CREATE TABLE metrics (
        name TEXT PRIMARY KEY, title TEXT, unit TEXT, better TEXT, meaning TEXT)""",
    "evaluations": """CREATE TABLE evaluations (
        key TEXT PRIMARY KEY, status TEXT NOT NULL, error TEXT, record TEXT NOT NULL,
        package_digest TEXT, workload_digest TEXT, seed TEXT, version TEXT NOT NULL,
        layout_key TEXT, layout TEXT, cpu REAL, warnings TEXT)""",
    "results": """CREATE TABLE results (
        key TEXT NOT NULL, name TEXT NOT NULL, number REAL, text TEXT, missing TEXT,
        UNIQUE (key, name))""",
    "points": """CREATE TABLE points (
        study TEXT NOT NULL, position INTEGER NOT NULL, key TEXT NOT NULL, point TEXT NOT NULL,
        UNIQUE (study, key))""",
    "settings": """CREATE TABLE settings (
        key TEXT NOT NULL, name TEXT NOT NULL, number REAL, text TEXT, UNIQUE (key, name))""",
    "layouts": """CREATE TABLE layouts (key TEXT PRIMARY KEY, body BLOB NOT NULL)""",
    "artefacts": """CREATE TABLE artefacts (
        key TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL, UNIQUE (key, name))""",
    "claims": """CREATE TABLE claims (
        key TEXT PRIMARY KEY, owner TEXT NOT NULL, since REAL NOT NULL)""",
}
"""What creates each table."""

INDICES = (
    "CREATE INDEX results_by_name ON results (name, number)",
    "CREATE INDEX settings_by_name ON settings (name, number)",
)
"""What makes filters quick."""

MIGRATIONS: dict[int, tuple[str, ...]] = {
    1: (
        TABLES["artefacts"],
        TABLES["claims"],
        "ALTER TABLE evaluations ADD COLUMN warnings TEXT",
        *INDICES,
    ),
}
"""From each earlier version to the next one: 1 had no artefacts, claims, warnings and indices."""
