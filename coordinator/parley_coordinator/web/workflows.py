"""REST: `/v1/workflows`, their versions, and checking what may become one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from parley_wire.limits import media_type

from parley_coordinator.errors import InvalidRequestError
from parley_coordinator.governance.access import Permission, require
from parley_coordinator.web import requests as q
from parley_coordinator.web import workflow_resources as r
from parley_coordinator.web.authentication import principal_of
from parley_coordinator.web.rest import answer, json_body

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from parley_coordinator.web.ports import Workflows

TEXT_TYPES: Final = ("application/yaml", "text/yaml", "application/json")
"""How a document comes in."""


class WorkflowRest:
    """The endpoints.

    Args:
        public_url: How others reach this server; without a slash at the end.
    """

    def __init__(self, *, workflows: Workflows, public_url: str) -> None:
        self._workflows = workflows
        self._public_url = public_url

    async def list_workflows(self, request: Request) -> Response:
        require(principal_of(request), Permission.WORKFLOW_READ)
        listed = [
            r.WorkflowSummary.of(
                await self._workflows.document(each.name, each.current.version),
                each,
                url=self._url(each.name),
            )
            for each in await self._workflows.overview()
        ]
        return answer(r.WorkflowList(workflows=listed))

    async def get_workflow(self, request: Request) -> Response:
        name = request.path_params["workflow"]
        versions = await self._workflows.versions(principal_of(request), name)
        document = await self._workflows.document(name, versions.current.version)
        return answer(r.WorkflowResource.of(document, versions, url=self._url(name)))

    async def check(self, request: Request) -> Response:
        query = q.read_query(q.SourceQuery, request.query_params.multi_items())
        checked = await self._workflows.check(
            principal_of(request), await _document(request), query.source
        )
        return answer(r.CheckedResource.model_validate(checked))

    async def deploy(self, request: Request) -> Response:
        query = q.read_query(q.SourceQuery, request.query_params.multi_items())
        deployment, created = await self._workflows.deploy(
            principal_of(request), await _document(request), query.source
        )
        return answer(
            r.DeploymentResource.model_validate(deployment),
            status=201 if created else 200,
            headers={"location": f"/v1/workflows/{deployment.name}/versions/{deployment.version}"},
        )

    async def list_versions(self, request: Request) -> Response:
        versions = await self._workflows.versions(
            principal_of(request), request.path_params["workflow"]
        )
        return answer(r.VersionsResource.of(versions))

    async def get_version(self, request: Request) -> Response:
        found = await self._workflows.version(
            principal_of(request), request.path_params["workflow"], request.path_params["version"]
        )
        return answer(r.VersionResource.of(found))

    async def diff(self, request: Request) -> Response:
        query = q.read_query(q.DiffQuery, request.query_params.multi_items())
        text = await self._workflows.diff(
            principal_of(request), request.path_params["workflow"], query.from_, query.to
        )
        return answer(r.DiffResource(diff=text))

    async def deprecate(self, request: Request) -> Response:
        deployment = await self._workflows.deprecate(
            principal_of(request), request.path_params["workflow"], request.path_params["version"]
        )
        return answer(r.DeploymentResource.model_validate(deployment))

    async def roll_back(self, request: Request) -> Response:
        raw = await request.body()
        body = q.read_body(q.RollBack, await json_body(request)) if raw else q.RollBack()
        deployment = await self._workflows.roll_back(
            principal_of(request), request.path_params["workflow"], body.version
        )
        return answer(r.DeploymentResource.model_validate(deployment))

    def _url(self, workflow: str) -> str:
        return f"{self._public_url}/workflows/{workflow}"


async def _document(request: Request) -> bytes:
    if media_type(request.scope) not in TEXT_TYPES:
        raise InvalidRequestError(f"send the document with Content-Type: {' or '.join(TEXT_TYPES)}")
    return await request.body()
