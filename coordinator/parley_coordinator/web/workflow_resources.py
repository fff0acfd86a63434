"""What goes out over REST about workflows and their versions."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Self

from parley_coordinator.web.resources import Resource

if TYPE_CHECKING:
    from parley_coordinator.model import DeployedDocument, Versions
    from parley_coordinator.web.ports import Document


class DeploymentResource(Resource):
    name: str
    version: str
    digest: str
    state: Literal["active", "deprecated"]
    """A deprecated version takes no new runs."""
    current: bool
    """Runs that name no version get this one."""
    deployed_by: str
    """`files`: it lay in the coordinator's folder of workflows."""
    deployed_at: datetime


class WorkflowSummary(Resource):
    name: str
    version: str
    """The current one."""
    title: str
    summary: str
    digest: str
    url: str
    """Where the workflow is an A2A agent."""
    deployed_by: str
    deployed_at: datetime
    versions: list[DeploymentResource]
    """Newest first."""

    @classmethod
    def of(cls, document: Document, versions: Versions, *, url: str) -> Self:
        return cls(
            name=document.name,
            version=document.version,
            title=document.title,
            summary=document.summary,
            digest=document.digest,
            url=url,
            deployed_by=versions.current.deployed_by,
            deployed_at=versions.current.deployed_at,
            versions=[DeploymentResource.model_validate(each) for each in versions.deployments],
        )


class WorkflowResource(WorkflowSummary):
    input_schema: dict[str, Any] | None
    output_schema: dict[str, Any] | None
    document: dict[str, Any]

    @classmethod
    def of(cls, document: Document, versions: Versions, *, url: str) -> Self:
        return cls(
            **WorkflowSummary.of(document, versions, url=url).model_dump(by_alias=False),
            input_schema=document.input_schema or None,
            output_schema=document.output_schema or None,
            document=document.json,
        )


class WorkflowList(Resource):
    workflows: list[WorkflowSummary]


class ActResource(Resource):
    at: datetime
    by: str
    act: Literal["deployed", "rolled-back", "deprecated"]
    version: str
    from_version: str | None
    """The current version before; null if it was the first."""
    to_version: str
    """The current version after."""


class VersionsResource(Resource):
    name: str
    current: str
    previous: str | None
    """What a roll-back that names no version makes current."""
    versions: list[DeploymentResource]
    """Newest first."""
    acts: list[ActResource]
    """Who did what, oldest first."""

    @classmethod
    def of(cls, versions: Versions) -> Self:
        return cls(
            name=versions.name,
            current=versions.current.version,
            previous=versions.previous,
            versions=[DeploymentResource.model_validate(each) for each in versions.deployments],
            acts=[ActResource.model_validate(each) for each in versions.acts],
        )


class VersionResource(DeploymentResource):
    document: dict[str, Any]
    text: str
    """What was deployed, comments and all."""

    @classmethod
    def of(cls, found: DeployedDocument) -> Self:
        summary = DeploymentResource.model_validate(found.deployment)
        return cls(**summary.model_dump(by_alias=False), document=found.json, text=found.text)


class DiffResource(Resource):
    diff: str
    """Unified; empty if the texts are the same."""


class FindingResource(Resource):
    line: int
    """From 1; 0 if it is not known."""
    column: int
    path: str
    """JSON pointer."""
    rule: str
    message: str
    fix: str


class CheckedResource(Resource):
    findings: list[FindingResource]
    """In the order of the text; empty if the document may be deployed."""
    name: str | None
    """This and the next two are null if the document does not load."""
    version: str | None
    digest: str | None
