"""What callers do with large outputs: read them, if they may see a run that has them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from parley_coordinator.errors import UnknownArtifactError
from parley_coordinator.store import artifacts

if TYPE_CHECKING:
    from parley_wire.database import Database
    from sqlalchemy import Connection

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


async def read_artifact(
    database: Database, digest: str, visible_to: tuple[str, frozenset[str]] | None
) -> str:
    """Return the JSON of an artifact.

    Args:
        visible_to: See `artifacts.is_visible`.

    Raises:
        UnknownArtifactError: If there is none, or the caller may see no run that has it.
    """

    def read(connection: Connection) -> str | None:
        if not artifacts.is_visible(connection, digest, visible_to):
            return None
        return artifacts.get(connection, digest)

    written = await database.read(read) if _DIGEST.fullmatch(digest) else None
    if written is None:
        raise UnknownArtifactError(digest)
    return written
