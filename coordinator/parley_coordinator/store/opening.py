"""Opens the coordinator's database."""

from __future__ import annotations

from parley_wire.database import Database

from parley_coordinator.store.migrations import migrate


def open_database(url: str) -> Database:
    """Open it, with tables as this program needs them.

    Raises:
        DatabaseUnusableError: If it cannot be reached or used, or is of a version that is not known.
    """
    return Database(url, migrate)
