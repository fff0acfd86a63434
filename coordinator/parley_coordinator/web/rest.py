"""REST: `/v1/runs`, `/v1/items`, `/v1/agents`.

`parley_coordinator.web.operations` has the table of what is where.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from parley_wire.limits import is_json, media_type
from starlette.responses import JSONResponse, Response

from parley_coordinator.errors import InvalidRequestError
from parley_coordinator.governance.access import Permission, require
from parley_coordinator.model import ItemState, Repair, RunState
from parley_coordinator.web import requests as q
from parley_coordinator.web import resources as r
from parley_coordinator.web.authentication import principal_of
from parley_coordinator.web.cloudevents import BATCH
from parley_coordinator.web.events import events_response

if TYPE_CHECKING:
    from pydantic import BaseModel
    from starlette.requests import Request

    from parley_coordinator.web.a2a.relay_ports import RelayedActs
    from parley_coordinator.web.ports import Agents, Inbox, Repairs, Runs

MAX_KEY_CHARS: Final = 200


class Rest:
    """The endpoints."""

    def __init__(
        self,
        *,
        runs: Runs,
        repairs: Repairs,
        inbox: Inbox,
        registry: Agents,
        acts: RelayedActs,
    ) -> None:
        self._runs = runs
        self._repairs = repairs
        self._inbox = inbox
        self._registry = registry
        self._acts = acts

    async def start_run(self, request: Request) -> Response:
        body = q.read_body(q.StartRun, await json_body(request))
        run, created = await self._runs.start(
            principal_of(request),
            body.workflow,
            body.input,
            key=_idempotency_key(request),
            context_id=body.context_id,
            version=body.version,
            contract=body.contract(request.headers.get("traceparent", "")),
        )
        return answer(
            r.RunResource.model_validate(run),
            status=201 if created else 200,
            headers={"location": f"/v1/runs/{run.id}"},
        )

    async def list_runs(self, request: Request) -> Response:
        query = q.read_query(q.RunQuery, request.query_params.multi_items())
        page = await self._runs.list(
            principal_of(request),
            workflow=query.workflow,
            state=None if query.state is None else RunState(query.state),
            context_id=query.context_id,
            stuck=query.stuck,
            limit=query.limit,
            cursor=query.cursor,
        )
        return answer(r.RunList.of(page))

    async def get_run(self, request: Request) -> Response:
        run = await self._runs.get(principal_of(request), request.path_params["run"])
        return answer(r.RunResource.model_validate(run))

    async def cancel_run(self, request: Request) -> Response:
        raw = await request.body()
        body = q.read_body(q.CancelRun, await json_body(request)) if raw else q.CancelRun()
        run = await self._runs.cancel(
            principal_of(request), request.path_params["run"], body.reason
        )
        effects = await self._runs.aftermath(principal_of(request), run.id)
        return answer(r.CancelledRun.of(run, effects))

    async def repair_run(self, request: Request) -> Response:
        body = q.read_body(q.RepairRun, await json_body(request))
        told = {name: getattr(body, name) for name in body.model_fields_set}
        run = await self._repairs.repair(
            principal_of(request), request.path_params["run"], Repair(**{"act": body.act, **told})
        )
        return answer(
            r.RunResource.model_validate(run),
            status=201,
            headers={"location": f"/v1/runs/{run.id}"},
        )

    async def why(self, request: Request) -> Response:
        why = await self._runs.why(principal_of(request), request.path_params["run"])
        return answer(r.WhyResource.of(why))

    async def artifact(self, request: Request) -> Response:
        digest = request.path_params["digest"]
        written = await self._runs.artifact(principal_of(request), digest)
        # It never changes; who may see it does.
        headers = {"cache-control": "private, no-cache", "etag": f'"{digest}"'}
        return Response(written, headers=headers, media_type="application/json")

    async def lifecycle(self, request: Request) -> Response:
        found = await self._runs.lifecycle(principal_of(request), request.path_params["run"])
        return JSONResponse(list(found), headers={"cache-control": "no-store"}, media_type=BATCH)

    async def events(self, request: Request) -> Response:
        return await events_response(
            self._runs,
            principal_of(request),
            request.path_params["run"],
            last_event_id=request.headers.get("last-event-id"),
            scope=request.scope,
        )

    async def list_items(self, request: Request) -> Response:
        query = q.read_query(q.ItemQuery, request.query_params.multi_items())
        page = await self._inbox.list(
            principal_of(request),
            state=None if query.state == "any" else ItemState(query.state),
            run_id=query.run,
            limit=query.limit,
            cursor=query.cursor,
        )
        return answer(r.ItemList.of(page))

    async def get_item(self, request: Request) -> Response:
        item = await self._inbox.get(principal_of(request), request.path_params["item"])
        return answer(r.ItemResource.model_validate(item))

    async def decide_item(self, request: Request) -> Response:
        body = q.read_body(q.DecideItem, await json_body(request))
        item = await self._inbox.decide(
            principal_of(request),
            request.path_params["item"],
            outcome=body.outcome,
            digest=body.digest,
            comment=body.comment,
            values=body.values,
        )
        return answer(r.ItemResource.model_validate(item))

    async def list_agents(self, request: Request) -> Response:
        require(principal_of(request), Permission.AGENT_READ)
        query = q.read_query(q.AgentQuery, request.query_params.multi_items())
        agents = await self._registry.agents(skill=query.skill, tag=query.tag, health=query.health)
        return answer(r.AgentList.of(agents, self._registry.load))

    async def list_calls(self, request: Request) -> Response:
        query = q.read_query(q.CallQuery, request.query_params.multi_items())
        acts = await self._acts.page(
            principal_of(request),
            agent=request.path_params["agent"],
            before=query.before,
            limit=query.limit + 1,
        )
        return answer(r.CallList.of(acts, limit=query.limit))


async def json_body(request: Request) -> bytes:
    """Return the body as it came.

    Raises:
        InvalidRequestError: If it does not say that it is JSON.
    """
    if not is_json(media_type(request.scope)):
        raise InvalidRequestError("send a JSON body with Content-Type: application/json")
    return await request.body()


def _idempotency_key(request: Request) -> str | None:
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        return None
    key = keys[0].strip()
    if len(keys) > 1 or not key or len(key) > MAX_KEY_CHARS or not key.isprintable():
        raise InvalidRequestError(
            f"send one Idempotency-Key of 1 to {MAX_KEY_CHARS} printable characters"
        )
    return key


def answer(
    resource: BaseModel, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    return Response(
        resource.model_dump_json(),
        status_code=status,
        headers={"cache-control": "no-store", **(headers or {})},
        media_type="application/json",
    )


async def healthy(_: Request) -> Response:
    """Answer that this process serves; says nothing about its agents."""
    return JSONResponse({"status": "ok"})
