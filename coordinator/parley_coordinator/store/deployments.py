"""The versions of workflows: their documents, which one is current, and who made it so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from parley_coordinator.model import (
    DeployedDocument,
    Deployment,
    DeploymentAct,
    DeploymentState,
)
from parley_coordinator.store.tables import from_text, to_text

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

_SELECT = """
    SELECT deployment.*, current_version.version = deployment.version AS is_current
    FROM deployment JOIN current_version ON current_version.name = deployment.name
"""
_GET = text(f"{_SELECT} WHERE deployment.name = :name AND deployment.version = :version")
_GET_CURRENT = text(
    f"{_SELECT} WHERE deployment.name = :name AND current_version.version = deployment.version"
)
_OF_ONE = text(f"{_SELECT} WHERE deployment.name = :name ORDER BY deployment.number DESC")
_OF_ALL = text(f"{_SELECT} ORDER BY deployment.name, deployment.number DESC")
_CURRENT = text("SELECT name, version FROM current_version")
_NAMES = text("SELECT name FROM current_version ORDER BY name")
_KEEP_DOCUMENT = text(
    """
    INSERT INTO document (digest, name, version, json, text, stored_at)
    VALUES (:digest, :name, :version, :json, :text, :at) ON CONFLICT (digest) DO NOTHING
    """
)
_CONTENT = text("SELECT json, text FROM document WHERE digest = :digest")
_INSERT = text(
    """
    INSERT INTO deployment (name, version, number, digest, state, deployed_by, deployed_at)
    SELECT :name, :version, COALESCE(MAX(number), 0) + 1, :digest, 'active', :by, :at
    FROM deployment WHERE name = :name
    """
)
_DEPRECATE = text(
    "UPDATE deployment SET state = 'deprecated' WHERE name = :name AND version = :version"
)
_MAKE_CURRENT = text(
    """
    INSERT INTO current_version (name, version) VALUES (:name, :version)
    ON CONFLICT (name) DO UPDATE SET version = excluded.version
    """
)
_LOG = text(
    """
    INSERT INTO deployment_log (name, at, by, act, version, from_version, to_version)
    VALUES (:name, :at, :by, :act, :version, :from_version, :to_version)
    """
)
_READ_LOG = text("SELECT * FROM deployment_log WHERE name = :name ORDER BY seq")


def get(connection: Connection, name: str, version: str | None = None) -> Deployment | None:
    """Return a version of a workflow; its current one if `version` is None."""
    if version is None:
        row = connection.execute(_GET_CURRENT, {"name": name}).first()
    else:
        row = connection.execute(_GET, {"name": name, "version": version}).first()
    return None if row is None else _deployment(row)


def names(connection: Connection) -> list[str]:
    """Return every workflow that is deployed, sorted."""
    return list(connection.execute(_NAMES).scalars())


def current(connection: Connection) -> dict[str, str]:
    """Return the current version of every workflow."""
    return {row.name: row.version for row in connection.execute(_CURRENT)}


def of(connection: Connection, name: str) -> list[Deployment]:
    """Return the versions of a workflow, the one that was deployed last first."""
    return [_deployment(row) for row in connection.execute(_OF_ONE, {"name": name})]


def every(connection: Connection) -> list[Deployment]:
    """Return every version of every workflow: by name, and the newest first."""
    return [_deployment(row) for row in connection.execute(_OF_ALL)]


def content(connection: Connection, deployment: Deployment) -> DeployedDocument:
    row = connection.execute(_CONTENT, {"digest": deployment.digest}).one()
    return DeployedDocument(deployment=deployment, json=json.loads(row.json), text=row.text)


def insert(connection: Connection, added: DeployedDocument) -> None:
    """Add a version that is not there yet, with its document; that alone makes it not current."""
    deployment = added.deployment
    at = to_text(deployment.deployed_at)
    connection.execute(
        _KEEP_DOCUMENT,
        {
            "digest": deployment.digest,
            "name": deployment.name,
            "version": deployment.version,
            "json": json.dumps(added.json),
            "text": added.text,
            "at": at,
        },
    )
    connection.execute(
        _INSERT,
        {
            "name": deployment.name,
            "version": deployment.version,
            "digest": deployment.digest,
            "by": deployment.deployed_by,
            "at": at,
        },
    )


def deprecate(connection: Connection, name: str, version: str) -> None:
    connection.execute(_DEPRECATE, {"name": name, "version": version})


def make_current(connection: Connection, name: str, version: str) -> None:
    connection.execute(_MAKE_CURRENT, {"name": name, "version": version})


def log(connection: Connection, name: str, act: DeploymentAct) -> None:
    connection.execute(
        _LOG,
        {
            "name": name,
            "at": to_text(act.at),
            "by": act.by,
            "act": act.act,
            "version": act.version,
            "from_version": act.from_version,
            "to_version": act.to_version,
        },
    )


def acts(connection: Connection, name: str) -> list[DeploymentAct]:
    """Return everything that was done to the versions of a workflow, oldest first."""
    return [
        DeploymentAct(
            at=from_text(row.at),
            by=row.by,
            act=row.act,
            version=row.version,
            from_version=row.from_version,
            to_version=row.to_version,
        )
        for row in connection.execute(_READ_LOG, {"name": name})
    ]


def _deployment(row: Row[Any]) -> Deployment:
    return Deployment(
        name=row.name,
        version=row.version,
        digest=row.digest,
        state=DeploymentState(row.state),
        current=bool(row.is_current),
        deployed_by=row.deployed_by,
        deployed_at=from_text(row.deployed_at),
    )
