"""The rules of versions, each applied inside one transaction (ADR-0009)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parley_coordinator.errors import (
    CurrentVersionError,
    NoPreviousVersionError,
    UnknownVersionError,
    UnknownWorkflowError,
    VersionDeprecatedError,
    VersionTakenError,
)
from parley_coordinator.model import (
    DeployedDocument,
    Deployment,
    DeploymentAct,
    DeploymentState,
    Versions,
)
from parley_coordinator.store import deployments

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from parley_coordinator.workflow.document import Document


@dataclass(frozen=True, slots=True)
class Written:
    """A document and the text that it was loaded from."""

    document: Document
    raw: bytes
    source: str
    """What to call it in messages."""

    @property
    def text(self) -> str:
        return self.raw.decode("utf-8-sig")


@dataclass(frozen=True, slots=True)
class By:
    """Who acts, and when."""

    subject: str
    at: datetime


def find(connection: Connection, name: str, version: str | None = None) -> Deployment:
    """Return a version; the current one if `version` is None.

    Raises:
        UnknownWorkflowError, UnknownVersionError
    """
    found = deployments.get(connection, name, version)
    if found is not None:
        return found
    known = [each.version for each in deployments.of(connection, name)]
    if version is None or not known:
        raise UnknownWorkflowError(name, known=deployments.names(connection))
    raise UnknownVersionError(name, version, known=known)


def startable(connection: Connection, name: str, version: str | None = None) -> Deployment:
    """Return the version that a new run gets.

    Raises:
        UnknownWorkflowError, UnknownVersionError, VersionDeprecatedError
    """
    found = find(connection, name, version)
    if found.state is DeploymentState.DEPRECATED:
        current = find(connection, name).version
        raise VersionDeprecatedError(name, found.version, current=current)
    return found


def versions(connection: Connection, name: str) -> Versions:
    """Return everything that is known of a workflow.

    Raises:
        UnknownWorkflowError
    """
    find(connection, name)
    return Versions(
        name=name,
        deployments=deployments.of(connection, name),
        acts=deployments.acts(connection, name),
    )


def active(connection: Connection) -> dict[str, set[str]]:
    """Return the versions that new runs may get, of every workflow."""
    found: dict[str, set[str]] = {}
    for each in deployments.every(connection):
        if each.state is DeploymentState.ACTIVE:
            found.setdefault(each.name, set()).add(each.version)
    return found


def deploy(connection: Connection, given: Written, by: By) -> tuple[Deployment, bool]:
    """Add a version and make it current; a document that is there already stays as it is.

    Returns:
        The version, and whether it is new.

    Raises:
        VersionTakenError: If the version is another document.
    """
    document = given.document
    name, version = document.name, document.version
    found = deployments.get(connection, name, version)
    if found is not None and found.digest != document.digest:
        raise VersionTakenError(given.source, name, version, deployed=found.digest)
    if found is not None:
        return found, False
    before = deployments.get(connection, name)
    deployment = Deployment(
        name=name,
        version=version,
        digest=document.digest,
        state=DeploymentState.ACTIVE,
        current=True,
        deployed_by=by.subject,
        deployed_at=by.at,
    )
    added = DeployedDocument(deployment=deployment, json=document.json, text=given.text)
    deployments.insert(connection, added)
    deployments.make_current(connection, name, version)
    current = None if before is None else before.version
    _log(connection, name, "deployed", version, by, current, version)
    return deployment, True


def deprecate(connection: Connection, name: str, version: str, by: By) -> Deployment:
    """Let no new run start on a version; doing it again changes nothing.

    Raises:
        UnknownWorkflowError, UnknownVersionError
        CurrentVersionError: If it is the current one.
    """
    found = find(connection, name, version)
    if found.current:
        raise CurrentVersionError(name, version)
    if found.state is DeploymentState.DEPRECATED:
        return found
    current = find(connection, name).version
    deployments.deprecate(connection, name, version)
    _log(connection, name, "deprecated", version, by, current, current)
    return find(connection, name, version)


def roll_back(connection: Connection, name: str, version: str | None, by: By) -> Deployment:
    """Make a named version current, or the previous one; naming the current one changes nothing.

    Raises:
        UnknownWorkflowError, UnknownVersionError, VersionDeprecatedError
        NoPreviousVersionError: If none is named and there is none.
    """
    current = find(connection, name)
    wanted = version or versions(connection, name).previous
    if wanted is None:
        raise NoPreviousVersionError(name, current.version)
    if startable(connection, name, wanted).current:
        return current
    deployments.make_current(connection, name, wanted)
    _log(connection, name, "rolled-back", wanted, by, current.version, wanted)
    return find(connection, name)


def _log(
    connection: Connection,
    name: str,
    what: str,
    version: str,
    by: By,
    before: str | None,
    after: str,
) -> None:
    act = DeploymentAct(
        at=by.at, by=by.subject, act=what, version=version, from_version=before, to_version=after
    )
    deployments.log(connection, name, act)
