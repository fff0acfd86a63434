"""The table of REST operations; the routes and the OpenAPI document are both made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parley_coordinator.web import requests as q
from parley_coordinator.web import resources as r

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic import BaseModel
    from starlette.requests import Request
    from starlette.responses import Response

    from parley_coordinator.web.rest import Rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    id: str
    summary: str
    endpoint: Callable[[Request], Awaitable[Response]]
    answers: dict[int, type[BaseModel] | str | None]
    """By status: a model in JSON, a media type, or nothing."""
    body: type[q.RequestBody] | None = None
    query: type[q.Query] | None = None
    headers: tuple[str, ...] = ()
    """Request headers that matter to it, all optional."""
    problems: tuple[int, ...] = ()
    """Besides 401 and 403."""


def operations(rest: Rest) -> list[Operation]:
    """Return every operation of the API; a more special path comes before a more general one."""
    return [
        Operation(
            method="POST",
            path="/v1/runs",
            id="startRun",
            summary="Start a run of a workflow",
            endpoint=rest.start_run,
            body=q.StartRun,
            headers=("Idempotency-Key",),
            answers={201: r.RunResource, 200: r.RunResource},
            problems=(400, 404, 409, 413),
        ),
        Operation(
            method="GET",
            path="/v1/runs",
            id="listRuns",
            summary="List the runs that you may see",
            endpoint=rest.list_runs,
            query=q.RunQuery,
            answers={200: r.RunList},
            problems=(400,),
        ),
        Operation(
            method="POST",
            path="/v1/runs/{run}:cancel",
            id="cancelRun",
            summary="Cancel a run",
            endpoint=rest.cancel_run,
            body=q.CancelRun,
            answers={200: r.RunResource},
            problems=(400, 404, 409),
        ),
        Operation(
            method="GET",
            path="/v1/runs/{run}",
            id="getRun",
            summary="Read a run",
            endpoint=rest.get_run,
            answers={200: r.RunResource},
            problems=(404,),
        ),
        Operation(
            method="GET",
            path="/v1/runs/{run}/why",
            id="explainRun",
            summary="Read why a run ended, or stands, as it does",
            endpoint=rest.why,
            answers={200: r.WhyResource},
            problems=(404,),
        ),
        Operation(
            method="GET",
            path="/v1/runs/{run}/events",
            id="followRun",
            summary="Follow a run: events `entry` (journal row, id = seq) and `run` (its state)",
            endpoint=rest.events,
            headers=("Last-Event-ID",),
            answers={200: "text/event-stream", 204: None},
            problems=(400, 404),
        ),
        Operation(
            method="GET",
            path="/v1/items",
            id="listItems",
            summary="List the questions to people that you may see",
            endpoint=rest.list_items,
            query=q.ItemQuery,
            answers={200: r.ItemList},
            problems=(400,),
        ),
        Operation(
            method="GET",
            path="/v1/items/{item}",
            id="getItem",
            summary="Read a question to people",
            endpoint=rest.get_item,
            answers={200: r.ItemResource},
            problems=(404,),
        ),
        Operation(
            method="POST",
            path="/v1/items/{item}/decision",
            id="decideItem",
            summary="Decide; the first decision wins",
            endpoint=rest.decide_item,
            body=q.DecideItem,
            answers={200: r.ItemResource},
            problems=(400, 404, 409),
        ),
        Operation(
            method="GET",
            path="/v1/workflows",
            id="listWorkflows",
            summary="List the workflows that may be started",
            endpoint=rest.list_workflows,
            answers={200: r.WorkflowList},
        ),
        Operation(
            method="GET",
            path="/v1/workflows/{workflow}",
            id="getWorkflow",
            summary="Read a workflow document",
            endpoint=rest.get_workflow,
            answers={200: r.WorkflowResource},
            problems=(404,),
        ),
        Operation(
            method="GET",
            path="/v1/agents",
            id="listAgents",
            summary="List the agents of the mesh",
            endpoint=rest.list_agents,
            query=q.AgentQuery,
            answers={200: r.AgentList},
            problems=(400, 503),
        ),
    ]
