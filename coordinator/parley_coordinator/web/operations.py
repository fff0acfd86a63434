"""The table of REST operations; the routes and the OpenAPI document are both made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parley_coordinator.web import requests as q
from parley_coordinator.web import resources as r
from parley_coordinator.web import workflow_resources as w
from parley_coordinator.web.cloudevents import BATCH, STRUCTURED
from parley_coordinator.web.workflows import TEXT_TYPES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic import BaseModel
    from starlette.requests import Request
    from starlette.responses import Response

    from parley_coordinator.web.events_rest import EventRest
    from parley_coordinator.web.rest import Rest
    from parley_coordinator.web.workflows import WorkflowRest


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
    text: tuple[str, ...] = ()
    """Media types of a body that is a document, instead of `body`."""
    query: type[q.Query] | None = None
    headers: tuple[str, ...] = ()
    """Request headers that matter to it, all optional."""
    problems: tuple[int, ...] = ()
    """Besides 401 and 403."""


def operations(rest: Rest, workflows: WorkflowRest, events: EventRest) -> list[Operation]:
    """Return every operation of the API; a more special path comes before a more general one."""
    return [*_of_runs(rest), *_of_workflows(workflows), *_of_events(events)]


def _of_runs(rest: Rest) -> list[Operation]:
    return [
        Operation(
            method="POST",
            path="/v1/runs",
            id="startRun",
            summary="Start a run of a workflow",
            endpoint=rest.start_run,
            body=q.StartRun,
            headers=("Idempotency-Key", "traceparent"),
            answers={201: r.RunResource, 200: r.RunResource},
            problems=(400, 404, 409, 413, 504),
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
            summary="Cancel a run, and read what it leaves behind",
            endpoint=rest.cancel_run,
            body=q.CancelRun,
            answers={200: r.CancelledRun},
            problems=(400, 404, 409),
        ),
        Operation(
            method="POST",
            path="/v1/runs/{run}:repair",
            id="repairRun",
            summary="Have a new run go on for one that ended without success",
            endpoint=rest.repair_run,
            body=q.RepairRun,
            answers={201: r.RunResource},
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
            path="/v1/artifacts/{digest}",
            id="getArtifact",
            summary="Read a large output of a run, by the digest of its JSON",
            endpoint=rest.artifact,
            answers={200: "application/json"},
            problems=(404,),
        ),
        Operation(
            method="GET",
            path="/v1/runs/{run}/lifecycle",
            id="listLifecycle",
            summary="Read what happened in a run, as CloudEvents of the workflow language",
            endpoint=rest.lifecycle,
            answers={200: BATCH},
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
            path="/v1/agents",
            id="listAgents",
            summary="List the agents of the mesh",
            endpoint=rest.list_agents,
            query=q.AgentQuery,
            answers={200: r.AgentList},
            problems=(400, 503),
        ),
        Operation(
            method="GET",
            path="/v1/agents/{agent}/calls",
            id="listCalls",
            summary="Read what people had an agent do through the coordinator, newest first",
            endpoint=rest.list_calls,
            query=q.CallQuery,
            answers={200: r.CallList},
            problems=(400,),
        ),
    ]


def _of_workflows(rest: WorkflowRest) -> list[Operation]:
    return [
        Operation(
            method="GET",
            path="/v1/workflows",
            id="listWorkflows",
            summary="List the workflows that may be started",
            endpoint=rest.list_workflows,
            answers={200: w.WorkflowList},
        ),
        Operation(
            method="POST",
            path="/v1/workflows",
            id="deployWorkflow",
            summary="Make a document the current version of its workflow",
            endpoint=rest.deploy,
            text=TEXT_TYPES,
            query=q.SourceQuery,
            answers={201: w.DeploymentResource, 200: w.DeploymentResource},
            problems=(400, 409, 413, 503),
        ),
        Operation(
            method="POST",
            path="/v1/workflows:check",
            id="checkWorkflow",
            summary="Ask what keeps a document from being deployed",
            endpoint=rest.check,
            text=TEXT_TYPES,
            query=q.SourceQuery,
            answers={200: w.CheckedResource},
            problems=(400, 413, 503),
        ),
        Operation(
            method="POST",
            path="/v1/workflows/{workflow}:roll-back",
            id="rollBackWorkflow",
            summary="Make a version current that was deployed before",
            endpoint=rest.roll_back,
            body=q.RollBack,
            answers={200: w.DeploymentResource},
            problems=(400, 404, 409),
        ),
        Operation(
            method="GET",
            path="/v1/workflows/{workflow}",
            id="getWorkflow",
            summary="Read the current document of a workflow",
            endpoint=rest.get_workflow,
            answers={200: w.WorkflowResource},
            problems=(404,),
        ),
        Operation(
            method="GET",
            path="/v1/workflows/{workflow}/diff",
            id="compareVersions",
            summary="Read what two versions of a workflow differ in",
            endpoint=rest.diff,
            query=q.DiffQuery,
            answers={200: w.DiffResource},
            problems=(400, 404, 503),
        ),
        Operation(
            method="GET",
            path="/v1/workflows/{workflow}/versions",
            id="listVersions",
            summary="List the versions of a workflow, and who deployed them",
            endpoint=rest.list_versions,
            answers={200: w.VersionsResource},
            problems=(404,),
        ),
        Operation(
            method="POST",
            path="/v1/workflows/{workflow}/versions/{version}:deprecate",
            id="deprecateVersion",
            summary="Let no new run start on a version",
            endpoint=rest.deprecate,
            answers={200: w.DeploymentResource},
            problems=(404, 409),
        ),
        Operation(
            method="GET",
            path="/v1/workflows/{workflow}/versions/{version}",
            id="getVersion",
            summary="Read a version of a workflow as it was written",
            endpoint=rest.get_version,
            answers={200: w.VersionResource},
            problems=(404,),
        ),
    ]


def _of_events(events: EventRest) -> list[Operation]:
    return [
        Operation(
            method="POST",
            path="/v1/events",
            id="publishEvents",
            summary="Send CloudEvents to whoever listens",
            endpoint=events.publish,
            text=(STRUCTURED, BATCH, "application/json"),
            answers={202: r.TakenResource},
            problems=(400, 409, 413),
        ),
        Operation(
            method="GET",
            path="/v1/events",
            id="listEvents",
            summary="Read the event log, oldest first",
            endpoint=events.list_events,
            query=q.EventQuery,
            answers={200: r.EventList},
            problems=(400,),
        ),
        Operation(
            method="GET",
            path="/v1/schedules",
            id="listSchedules",
            summary="List what starts by itself, and when it is due",
            endpoint=events.list_schedules,
            answers={200: r.ScheduleList},
        ),
    ]
