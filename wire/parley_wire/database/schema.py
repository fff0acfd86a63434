"""What makes the tables of a database those that the program needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from sqlalchemy import Connection, MetaData

from parley_wire.errors import DatabaseUnusableError

Prepare: TypeAlias = Callable[[Connection], None]
"""Creates or migrates tables in the transaction that it is given; nobody else does so meanwhile.

Raises `DatabaseUnusableError` if the tables are of a version that it does not know.
"""


def creating(metadata: MetaData) -> Prepare:
    """Create the tables that are missing; a SQLite file of another version is refused.

    `metadata.info["schema_version"]` (default 1) is kept in the file as `user_version`. On Postgres
    no version is kept: a service that lives there brings its migrations.
    """
    expected = int(metadata.info.get("schema_version", 1))

    def prepare(connection: Connection) -> None:
        if connection.dialect.name != "sqlite":
            metadata.create_all(connection)
            return
        found = user_version(connection)
        if found not in {0, expected}:
            raise DatabaseUnusableError(
                f"{connection.engine.url.database} has schema version {found}, this program needs"
                f" {expected}; use the program that wrote it, or another file",
                found=found,
                expected=expected,
            )
        metadata.create_all(connection)
        if not found:
            set_user_version(connection, expected)

    return prepare


def user_version(connection: Connection) -> int:
    """Return the number that a SQLite file keeps for its program; 0 in a new one."""
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())


def set_user_version(connection: Connection, version: int) -> None:
    connection.exec_driver_sql(f"PRAGMA user_version={version:d}")
