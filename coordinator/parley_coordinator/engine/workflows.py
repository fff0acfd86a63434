"""What people do with workflows: check, deploy, compare, deprecate, roll back (ADR-0009)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from parley_coordinator.engine import deploying
from parley_coordinator.engine.deploying import By, Written
from parley_coordinator.engine.difference import difference
from parley_coordinator.errors import InvalidWorkflowError
from parley_coordinator.governance.access import Permission, Principal, require
from parley_coordinator.store import deployments
from parley_coordinator.workflow.findings import Finding, refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from parley_wire.database import Database
    from sqlalchemy import Connection

    from parley_coordinator.engine.checking import Checks, Deployed
    from parley_coordinator.model import DeployedDocument, Deployment, Versions
    from parley_coordinator.workflow.document import Document

FILES: Final = "files"
"""Who deploys what lies in the folder of workflows when the coordinator starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The answer to the question whether a text may be deployed."""

    findings: list[Finding]
    """In the order of the text; empty if it may."""
    name: str | None
    """This and the next two are None if the text does not load."""
    version: str | None
    digest: str | None


class Workflows:
    """Every use case checks its permission first, then what it was given, then acts.

    What is deployed is in the database alone, so that all who look see the same.

    Args:
        changed: Called when another version may have become current.
    """

    def __init__(
        self,
        database: Database,
        checks: Checks,
        *,
        now: Callable[[], datetime],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._checks = checks
        self._now = now
        self._changed = changed

    async def documents(self) -> list[Document]:
        """Return the current version of every workflow, by name."""
        found = await self._database.read(deployments.every)
        return [await self._taken_back(each) for each in found if each.current]

    async def document(self, name: str, version: str | None = None) -> Document:
        """Return a version of a workflow; the current one if `version` is None.

        Raises:
            UnknownWorkflowError, UnknownVersionError
        """
        found = await self._database.read(lambda c: deploying.find(c, name, version))
        return await self._taken_back(found)

    async def startable(self, name: str, version: str | None = None) -> Document:
        """Return the version that a new run gets.

        Raises:
            UnknownWorkflowError, UnknownVersionError, VersionDeprecatedError
        """
        found = await self._database.read(lambda c: deploying.startable(c, name, version))
        return await self._taken_back(found)

    async def opening(self, name: str, version: str | None = None) -> tuple[Document, Deployed]:
        """Return what `startable` does, and for `prove` what is deployed: one look at the database.

        Raises:
            UnknownWorkflowError, UnknownVersionError, VersionDeprecatedError
        """
        found, active = await self._database.read(
            lambda c: (deploying.startable(c, name, version), deploying.active(c))
        )
        return await self._taken_back(found), active

    async def prove(self, document: Document, active: Deployed | None = None) -> None:
        """Let a deployed document pass if it may run with the agents that there are now.

        Args:
            active: From `opening`.

        Raises:
            InvalidWorkflowError: With every reason in `facts["findings"]`.
        """
        if active is None:
            active = await self._database.read(deploying.active)
        await self._checks.prove(document, active)

    async def check(self, principal: Principal, raw: bytes, source: str) -> Checked:
        """Say what keeps a text from being deployed; a text that does not load is an answer too.

        Args:
            source: What to call it in messages.

        Raises:
            NotPermittedError, ChecksBusyError
            ParleyError: If the registry cannot be asked.
        """
        require(principal, Permission.WORKFLOW_READ)
        try:
            document = await self._checks.load(raw, source)
        except InvalidWorkflowError as exc:
            findings = [Finding(**each) for each in exc.facts["findings"]]
            return Checked(findings=findings, name=None, version=None, digest=None)
        return Checked(
            findings=await self._findings(document, source),
            name=document.name,
            version=document.version,
            digest=document.digest,
        )

    async def deploy(
        self, principal: Principal, raw: bytes, source: str
    ) -> tuple[Deployment, bool]:
        """Store a document that may run, and make it the current version.

        A document that is deployed already stays as it is, current or not.

        Args:
            source: What to call it in messages.

        Returns:
            The version, and whether it is new.

        Raises:
            NotPermittedError, ChecksBusyError
            InvalidWorkflowError: With every reason in `facts["findings"]`; nothing was stored.
            VersionTakenError: If the version is deployed with other content.
            ParleyError: If the registry cannot be asked.
        """
        require(principal, Permission.WORKFLOW_DEPLOY)
        document = await self._checks.load(raw, source)
        findings = await self._findings(document, source)
        if findings:
            raise refuse(source, findings)
        given, by = Written(document, raw, source), self._by(principal)
        deployed = await self._database.write(lambda c: deploying.deploy(c, given, by))
        self._changed()
        return deployed

    async def deploy_files(self, documents: Sequence[Written]) -> None:
        """Deploy what was never deployed before, all or nothing; the rest stays as it is.

        So a roll-back survives a restart. Agents join later: what the documents need of them is
        checked before each run.

        Raises:
            VersionTakenError: If a version is deployed with other content.
        """
        by = By(FILES, self._now())

        def write(connection: Connection) -> None:
            for each in documents:
                deploying.deploy(connection, each, by)

        await self._database.write(write)

    async def overview(self) -> list[Versions]:
        """Return every workflow as it is deployed, by name."""
        return await self._database.read(
            lambda c: [deploying.versions(c, name) for name in deployments.names(c)]
        )

    async def versions(self, principal: Principal, name: str) -> Versions:
        """Return the versions of a workflow and everything that was done to them.

        Raises:
            NotPermittedError, UnknownWorkflowError
        """
        require(principal, Permission.WORKFLOW_READ)
        return await self._database.read(lambda c: deploying.versions(c, name))

    async def version(self, principal: Principal, name: str, version: str) -> DeployedDocument:
        """Return one version with its content.

        Raises:
            NotPermittedError, UnknownWorkflowError, UnknownVersionError
        """
        require(principal, Permission.WORKFLOW_READ)
        return await self._content(name, version)

    async def diff(
        self, principal: Principal, name: str, one: str, other: str | None = None
    ) -> str:
        """Return the unified diff from the text of `one` to that of `other`, by default the current.

        Empty if they are the same, line by line.

        Raises:
            NotPermittedError, UnknownWorkflowError, UnknownVersionError, ChecksBusyError
        """
        require(principal, Permission.WORKFLOW_READ)
        before = await self._content(name, one)
        after = await self._content(name, other)
        return await self._checks.apart(lambda: _diff(before, after))

    async def deprecate(self, principal: Principal, name: str, version: str) -> Deployment:
        """Let no new run start on a version; runs under way go on. Doing it again changes nothing.

        Raises:
            NotPermittedError, UnknownWorkflowError, UnknownVersionError
            CurrentVersionError: If it is the current one.
        """
        require(principal, Permission.WORKFLOW_DEPLOY)
        by = self._by(principal)
        return await self._database.write(lambda c: deploying.deprecate(c, name, version, by))

    async def roll_back(
        self, principal: Principal, name: str, version: str | None = None
    ) -> Deployment:
        """Make a version current that was deployed before: a named one, or the previous one.

        Naming the current one changes nothing.

        Raises:
            NotPermittedError, UnknownWorkflowError, UnknownVersionError, VersionDeprecatedError
            NoPreviousVersionError: If none is named and there is none.
        """
        require(principal, Permission.WORKFLOW_DEPLOY)
        by = self._by(principal)
        current = await self._database.write(lambda c: deploying.roll_back(c, name, version, by))
        self._changed()
        return current

    async def _findings(self, document: Document, source: str) -> list[Finding]:
        active = await self._database.read(deploying.active)
        return await self._checks.findings(document, source, active)

    def _by(self, principal: Principal) -> By:
        return By(principal.subject, self._now())

    async def _taken_back(self, found: Deployment) -> Document:
        """Return the document of a version; its content never changes, so it is read once."""

        async def content() -> DeployedDocument:
            return await self._database.read(lambda c: deployments.content(c, found))

        return await self._checks.deployed(found.digest, content)

    async def _content(self, name: str, version: str | None) -> DeployedDocument:
        return await self._database.read(
            lambda c: deployments.content(c, deploying.find(c, name, version))
        )


def _diff(before: DeployedDocument, after: DeployedDocument) -> str:
    one, other = (f"{each.deployment.name} {each.deployment.version}" for each in (before, after))
    return difference(one, other, before.text, after.text)
