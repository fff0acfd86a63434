"""How a work item is made: from a human task of the workflow, an agent's question, an incident.

What people read is made from the workflow document and the journal. An agent's words appear only
as values that are marked with their source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_URL, uuid5

from parley_cards.canonical import NotCanonicalError, digest

from parley_coordinator.inbox.forms import EMPTY, UnrenderableFormError, check_form
from parley_coordinator.model import Fact, ItemKind, ItemState, Run, WorkItem
from parley_coordinator.workflow.errors import Standard, WorkflowError

if TYPE_CHECKING:
    from datetime import datetime

    from parley_coordinator.workflow.effects import Call, Request

_NAMESPACE: Final = uuid5(NAMESPACE_URL, "urn:parley:item")
_TEXT_FORM: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"text": {"type": "string", "title": "Your answer", "minLength": 1}},
    "required": ["text"],
}
_SHOWN: Final = (
    *("skill", "version", "protocol", "method", "uri", "intendedAt", "task", "message"),
    *("undoes", "why"),
)
_RESULT_FORM: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"result": {"type": "string", "title": "Its result, as JSON (if it ran)"}},
    "required": [],
}


def human_task(run: Run, call: Call, *, at: datetime) -> WorkItem:
    """Make the item of a `call: human-task`.

    Raises:
        WorkflowError: If the arguments that the workflow computed are no question.
    """
    arguments = call.arguments
    problem = _argument_problem(arguments)
    if problem:
        raise WorkflowError(
            Standard.VALIDATION,
            "the human task is not a question",
            problem,
            instance=call.place.path,
        )
    try:
        form = check_form(arguments["form"]) if arguments.get("form") else EMPTY
    except UnrenderableFormError as exc:
        raise WorkflowError(
            Standard.VALIDATION, "the form cannot be shown", exc.message, instance=call.place.path
        ) from exc
    try:
        return _item(
            run,
            call,
            ItemKind.APPROVAL,
            ordinal=0,
            at=at,
            title=arguments["title"],
            summary=[_fact(entry) for entry in arguments.get("summary") or []],
            reason=arguments.get("reason") or "",
            proposal=arguments["proposal"],
            outcomes=arguments["outcomes"],
            form=form,
            candidates=arguments["candidates"],
            excluded=arguments.get("excludeActors") or [],
            origin={"answers": "decided"},
        )
    except NotCanonicalError as exc:
        raise WorkflowError(
            Standard.VALIDATION,
            "the proposal cannot be pinned",
            exc.message,
            instance=call.place.path,
        ) from exc


def agent_question(  # noqa: PLR0913 - the parts of a question
    run: Run,
    call: Call,
    *,
    ordinal: int,
    at: datetime,
    agent: str,
    task: str,
    context: str,
    message: str,
    schema: dict[str, Any] | None,
    authorization: bool,
) -> WorkItem:
    """Make the item of an agent that went INPUT_REQUIRED or AUTH_REQUIRED."""
    reason = f"{agent} cannot go on without it"
    form: dict[str, Any] = EMPTY if authorization else _TEXT_FORM
    if schema is not None and not authorization:
        try:
            form = check_form(schema)
        except UnrenderableFormError as exc:
            reason += f"; its form cannot be shown ({exc.message}), so the answer is text"
    return _item(
        run,
        call,
        ItemKind.AUTH if authorization else ItemKind.INPUT,
        ordinal=ordinal,
        at=at,
        title=f"{agent} needs {'an authorization' if authorization else 'an answer'}"
        f" for: {call.title}",
        summary=[Fact(name="question", value=message, source=f"agent:{agent}")],
        reason=reason,
        proposal={"action": "answer", "agent": agent, "task": task, "question": message},
        outcomes=["done", "decline"] if authorization else ["answer", "decline"],
        form=form,
        candidates=["role:operator"] if authorization else ["role:operator", "role:approver"],
        excluded=[],
        origin={
            "agent": agent,
            "task": task,
            "context": context,
            "answers": f"answered.{ordinal}",
        },
    )


def incident(
    run: Run, call: Call | Request, *, ordinal: int, at: datetime, agent: str, known: dict[str, Any]
) -> WorkItem:
    """Make the item of an effect whose outcome nobody can tell, or of an undo call that failed."""
    who = agent or "nobody"
    title = f"Did {who} do this or not: {call.title}"
    reason = "the message left, the answer was lost, and sending it again could do it twice"
    if call.compensates:
        title = f"This was not undone: {call.title}"
        reason = "what it undoes has happened, and undoing it failed; the run waits for somebody"
    return _item(
        run,
        call,
        ItemKind.INCIDENT,
        ordinal=ordinal,
        at=at,
        title=title,
        summary=[
            Fact(name=name, value=value, source="journal")
            for name, value in known.items()
            if name in _SHOWN
        ],
        reason=reason,
        proposal={"action": "resolve", "agent": agent, "known": known},
        outcomes=["ran", "resend", "stop"],
        form=_RESULT_FORM,
        candidates=["role:operator"],
        excluded=[],
        origin={"agent": agent, "answers": f"answered.{ordinal}"},
    )


def _item(  # noqa: PLR0913 - the parts of an item
    run: Run,
    call: Call | Request,
    kind: ItemKind,
    *,
    ordinal: int,
    at: datetime,
    title: str,
    summary: list[Fact],
    reason: str,
    proposal: dict[str, Any],
    outcomes: list[str],
    form: dict[str, Any],
    candidates: list[str],
    excluded: list[str],
    origin: dict[str, Any],
) -> WorkItem:
    place = call.place
    # The proposal names its run and place, so no two proposals share a digest.
    bound = {**proposal, "run": run.id, "workflow": run.digest, "path": place.path}
    return WorkItem(
        id=str(uuid5(_NAMESPACE, f"{run.id}|{place.path}|{place.attempt}|{ordinal}")),
        version=1,
        kind=kind,
        state=ItemState.READY,
        run_id=run.id,
        workflow=run.workflow,
        path=place.path,
        attempt=place.attempt,
        title=title,
        summary=summary,
        reason=reason,
        proposal=bound,
        digest=digest(bound),
        outcomes=outcomes,
        form=form,
        candidates=candidates,
        excluded=excluded,
        origin=origin,
        created_at=at,
        decide_by=None if kind is ItemKind.INCIDENT else call.deadline,
    )


def _fact(entry: dict[str, Any]) -> Fact:
    return Fact(
        name=entry["name"], value=entry.get("value"), source=entry.get("source") or "workflow"
    )


def _argument_problem(arguments: dict[str, Any]) -> str:
    if not isinstance(arguments.get("title"), str) or not arguments["title"].strip():
        return "it has no title"
    for name in ("outcomes", "candidates"):
        value = arguments.get(name)
        if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
            return f"{name} is not a list of at least one text"
    if not all(c.startswith(("role:", "user:")) for c in arguments["candidates"]):
        return "a candidate is written role:NAME or user:NAME"
    if not isinstance(arguments.get("proposal"), dict):
        return "it has no proposal"
    excluded = arguments.get("excludeActors") or []
    if not isinstance(excluded, list) or not all(isinstance(v, str) for v in excluded):
        return "excludeActors is not a list of texts"
    summary = arguments.get("summary") or []
    if not isinstance(summary, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("name"), str) for entry in summary
    ):
        return "summary is not a list of {name, value, source}"
    return ""
