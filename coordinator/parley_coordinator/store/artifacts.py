"""Large outputs of steps: kept once under the SHA-256 of their JSON, beside the journal that names them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from parley_wire.errors import DatabaseUnusableError
from sqlalchemy import literal, or_, select, text

from parley_coordinator.store.tables import ARTIFACT_USE, CANDIDATE, RUN

if TYPE_CHECKING:
    from sqlalchemy import Connection

INLINE_BYTES: Final = 262_144

_KEEP = text(
    "INSERT INTO artifact (digest, json) VALUES (:digest, :json) ON CONFLICT (digest) DO NOTHING"
)
_USE = text(
    "INSERT INTO artifact_use (digest, run_id) VALUES (:digest, :run_id)"
    " ON CONFLICT (digest, run_id) DO NOTHING"
)
_CARRY_OVER = text(
    "INSERT INTO artifact_use (digest, run_id)"
    " SELECT digest, :to_run FROM artifact_use WHERE run_id = :from_run"
    " ON CONFLICT (digest, run_id) DO NOTHING"
)
_GET = text("SELECT json FROM artifact WHERE digest = :digest")
_USED = text("SELECT 1 FROM artifact_use WHERE digest = :digest LIMIT 1")


@dataclass(frozen=True, slots=True)
class Artifact:
    """A value as JSON in ASCII."""

    json: str
    digest: str
    """`sha256:` of the JSON."""

    @classmethod
    def of(cls, value: Any) -> Artifact:
        written = json.dumps(value, separators=(",", ":"))
        return cls(written, f"sha256:{hashlib.sha256(written.encode()).hexdigest()}")

    @property
    def reference(self) -> dict[str, Any]:
        """What a row of the journal has in its place."""
        return {"digest": self.digest, "bytes": len(self.json)}


def is_large(value: Any, inline_bytes: int) -> bool:
    """Tell whether a value is too large for a row of the journal."""
    return len(json.dumps(value, separators=(",", ":"))) > inline_bytes


def keep(connection: Connection, run_id: str, artifact: Artifact) -> None:
    """Keep an artifact for a run; one that is there already is only noted."""
    connection.execute(_KEEP, {"digest": artifact.digest, "json": artifact.json})
    connection.execute(_USE, {"digest": artifact.digest, "run_id": run_id})


def carry_over(connection: Connection, from_run: str, to_run: str) -> None:
    """Let a run have what another one has."""
    connection.execute(_CARRY_OVER, {"from_run": from_run, "to_run": to_run})


def get(connection: Connection, digest: str) -> str | None:
    """Return the JSON of an artifact; None: there is none."""
    found: str | None = connection.execute(_GET, {"digest": digest}).scalar_one_or_none()
    return found


def value(connection: Connection, digest: str) -> Any:
    """Raises DatabaseUnusableError if a row names an artifact that is not there, or another one."""
    written = get(connection, digest)
    if written is None or f"sha256:{hashlib.sha256(written.encode()).hexdigest()}" != digest:
        raise DatabaseUnusableError(f"the artifact {digest} is missing or has been changed")
    return json.loads(written)


def is_visible(connection: Connection, digest: str, to: tuple[str, frozenset[str]] | None) -> bool:
    """Whether somebody may see a run that has an artifact.

    Args:
        to: Sees the runs that this subject requested, or with an item for one of these titles; None: all.
    """
    if to is None:
        return connection.execute(_USED, {"digest": digest}).first() is not None
    subject, titles = to
    asked = select(CANDIDATE.c.run_id).where(
        CANDIDATE.c.run_id == RUN.c.id, CANDIDATE.c.title.in_(sorted(titles))
    )
    query = (
        select(literal(1))
        .select_from(ARTIFACT_USE.join(RUN, RUN.c.id == ARTIFACT_USE.c.run_id))
        .where(ARTIFACT_USE.c.digest == digest)
        .where(or_(RUN.c.requested_by == subject, asked.exists()))
        .limit(1)
    )
    return connection.execute(query).first() is not None
