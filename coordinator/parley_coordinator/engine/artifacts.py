"""What callers do with large outputs: read them, if they may see a run that has them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from parley_coordinator.errors import UnknownArtifactError, UnknownRunError
from parley_coordinator.store import artifacts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from parley_wire.database import Database

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


async def read_artifact(
    database: Database, digest: str, see: Callable[[str], Awaitable[object]]
) -> str:
    """Return the JSON of an artifact.

    Args:
        see: Reads a run for the caller, or raises UnknownRunError.

    Raises:
        UnknownArtifactError: If there is none, or the caller may see no run that has it.
    """
    if _DIGEST.fullmatch(digest):
        for run_id in await database.read(lambda c: artifacts.runs_with(c, digest)):
            try:
                await see(run_id)
            except UnknownRunError:
                continue
            written = await database.read(lambda c: artifacts.get(c, digest))
            if written is not None:
                return written
    raise UnknownArtifactError(digest)
