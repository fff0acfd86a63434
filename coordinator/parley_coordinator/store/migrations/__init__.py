"""Brings the coordinator's tables to the revision of this program, on both databases (ADR-0014).

The revision is kept in `alembic_version`; it is the schema version with leading zeros. SQLite files have
it as `user_version` too, so that a program from before there were revisions refuses a newer file.

An empty database gets the tables as the program knows them; a test compares what the revisions make.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from parley_wire.database.schema import set_user_version, user_version
from parley_wire.errors import DatabaseUnusableError
from sqlalchemy import Column, MetaData, String, Table, inspect, text

from parley_coordinator.store.tables import METADATA

if TYPE_CHECKING:
    from sqlalchemy import Connection

HEAD: Final = "0009"
FIRST: Final = "0002"
"""What a SQLite file with `user_version` 2 and without `alembic_version` has."""
_FOLDER: Final = Path(__file__).parent
_VERSION: Final = text("SELECT version_num FROM alembic_version")
_STAMP: Final = Table(
    "alembic_version", MetaData(), Column("version_num", String(32), primary_key=True)
)
"""As Alembic makes it."""
_ALEMBIC: Final = threading.Lock()
"""Alembic keeps what it works on in a module."""


def migrate(connection: Connection) -> None:
    """Create the tables, or bring them to `HEAD`; for the transaction of who opens the database.

    Raises:
        DatabaseUnusableError: If they are of a version that this program does not know.
    """
    found = revision(connection)
    counted = inspect(connection).has_table("alembic_version")
    if counted and found == HEAD:
        return
    if found is None:
        _refuse_strangers(connection)
        METADATA.create_all(connection)
        _STAMP.create(connection, checkfirst=True)
        connection.execute(_STAMP.insert(), {"version_num": HEAD})
    elif not (_is_older(found) if counted else found == FIRST):
        raise DatabaseUnusableError(
            f"the database has schema version {found.lstrip('0') or found}, this program needs"
            f" {int(HEAD)}; use the program that wrote it, or another database",
            found=found,
            expected=HEAD,
        )
    else:
        upgrade(connection, adopt=not counted)
    if connection.dialect.name == "sqlite":
        set_user_version(connection, int(HEAD))


def revision(connection: Connection) -> str | None:
    """Return the revision of the tables, known or not; None if there are none of ours."""
    if inspect(connection).has_table("alembic_version"):
        return connection.execute(_VERSION).scalar_one_or_none()
    number = user_version(connection) if connection.dialect.name == "sqlite" else 0
    return f"{number:04d}" if number else None


def _refuse_strangers(connection: Connection) -> None:
    known = {"run", "journal", "event", "document", "item"}
    strange = known.intersection(inspect(connection).get_table_names())
    if strange:
        raise DatabaseUnusableError(
            f"the database has tables of another program: {', '.join(sorted(strange))};"
            " give this one an empty database"
        )


def _is_older(found: str) -> bool:
    return found.isdigit() and int(FIRST) <= int(found) < int(HEAD)


def upgrade(connection: Connection, *, adopt: bool = False) -> None:
    """Go through the revisions one by one, from whichever the database has.

    Args:
        connection: In a transaction.
        adopt: The tables are those of `FIRST`, and do not say so.
    """
    # Most starts find nothing to do, and need neither wait for this import nor keep its 7 MB.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    attributes: dict[str, Any] = config.attributes
    attributes["connection"] = connection
    with _ALEMBIC:
        if adopt:
            command.stamp(config, FIRST)
        command.upgrade(config, HEAD)
