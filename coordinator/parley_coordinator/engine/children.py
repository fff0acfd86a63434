"""Runs that a run starts: once each, and their outcome comes back as a row of the parent's journal.

The row `child` and the child's own row are written in one transaction, and so are the child's end
and the row `observed` or `failed` of its parent: whatever a crash leaves, the two agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import NAMESPACE_URL, uuid5

from parley_cards.delegation import NO_BUDGET

from parley_coordinator.delegation.terms import SPENT, contract_in, of_run, reported, used
from parley_coordinator.engine.beginning import begin
from parley_coordinator.errors import (
    CoordinatorError,
    InvalidWorkflowError,
    UnknownVersionError,
    UnknownWorkflowError,
    VersionDeprecatedError,
)
from parley_coordinator.model import Parent, Place, Run, RunState, Wait
from parley_coordinator.store import journal, runs
from parley_coordinator.store.log import OvertakenError
from parley_coordinator.workflow.effects import Child, Parked
from parley_coordinator.workflow.errors import Standard, WorkflowError
from parley_coordinator.workflow.frame import configuration_error, validation_error

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from parley_coordinator.delegation.terms import Terms
    from parley_coordinator.model import Entry
    from parley_coordinator.store.log import RunLog
    from parley_coordinator.workflow.document import Document

LATEST: Final = "latest"
_NAMESPACE: Final = uuid5(NAMESPACE_URL, "urn:parley:child")


class Nursery(Protocol):
    """Where children come from, and where they are sent to."""

    async def startable(self, name: str, version: str | None) -> Document:
        """Return the version that a new run gets, proved to be able to run now.

        Raises:
            CoordinatorError: If there is none that may start.
        """
        ...

    async def start(self, run_id: str) -> None:
        """Let a run begin whose row is there; harmless if it has begun."""
        ...

    async def cancel(self, run_id: str, reason: str, *, tell: dict[str, Any] | None = None) -> None:
        """Cancel a run and what it has started; nothing happens if it has ended.

        Args:
            tell: The error that the run gets that waits for it; None: that it was cancelled.
        """
        ...


class Children:
    """The children of one run."""

    def __init__(self, run: Run, log: RunLog, nursery: Nursery, terms: Terms) -> None:
        self._run = run
        self._log = log
        self._nursery = nursery
        self._terms = terms

    async def run_workflow(self, child: Child) -> Any:
        """Implement `Effects.run_workflow`."""
        place = child.place
        observed = self._log.recall(place, "observed")
        if observed is not None:
            return observed.body["output"]
        failed = self._log.recall(place, "failed")
        if failed is not None:
            raise _again(failed.body)
        begun = self._log.recall(place, "child")
        overdue = child.deadline is not None and self._log.now() >= child.deadline
        if begun is None and not overdue:
            try:
                begun = await self._begin(child)
            except WorkflowError as error:
                await self._fail(child, error)
                raise
        if begun is not None and not child.awaited:
            return None
        if overdue:
            return await self._overdue(child, begun)
        self._log.waits.append(
            Wait(
                kind="run",
                path=place.path,
                since=self._log.now(),
                until=child.deadline,
                subject="" if begun is None else begun.body["run"],
            )
        )
        raise Parked

    async def _overdue(self, child: Child, begun: Entry | None) -> Any:
        """End the wait; what was first, the child's end or the deadline, is settled in the database.

        Raises:
            WorkflowError: `timeout`, or the error of the child.
        """
        place = child.place
        late = WorkflowError(
            Standard.TIMEOUT, f"{child.name} had not ended in time", instance=place.path
        )
        if begun is None:
            await self._fail(child, late)
            raise late
        reason = "its time ran out"
        await self._nursery.cancel(begun.body["run"], reason, tell=late.as_json())
        await self._log.refresh()
        observed = self._log.recall(place, "observed")
        if observed is not None:
            return observed.body["output"]
        failed = self._log.recall(place, "failed")
        if failed is None:
            raise RuntimeError(f"the child of {place.path} ended without telling its parent")
        raise _again(failed.body)

    async def _begin(self, child: Child) -> Any:
        place = child.place
        document = await self._document(child)
        problems = document.input_problems(child.input)
        if problems:
            raise validation_error(f"input of {child.name}", problems, place.path)
        run = self._new(child, document)
        contract = self._terms.of_child(child, self._log, document.budget)
        body = {
            "run": run.id,
            "workflow": document.name,
            "version": document.version,
            "digest": document.digest,
            "awaited": child.awaited,
            "title": child.title,
        }

        def insert(connection: Connection) -> None:
            parent = runs.get(connection, self._run.id)
            if parent is None or parent.run.state.final:
                raise OvertakenError(f"run {self._run.id} has ended before it could start another")
            begin(connection, run, contract=contract)

        begun = await self._log.append(place, "child", body, also=insert, exclusive=True)
        await self._nursery.start(run.id)
        return begun

    async def _document(self, child: Child) -> Document:
        path = child.place.path
        most = self._terms.max_depth
        if len(of_run(self._log).ancestors) >= most:
            raise configuration_error(f"more than {most} workflows run each other", path)
        version = None if child.version == LATEST else child.version
        try:
            document = await self._nursery.startable(child.name, version)
        except (UnknownWorkflowError, UnknownVersionError, VersionDeprecatedError) as exc:
            raise configuration_error(exc.message, path) from exc
        except InvalidWorkflowError as exc:
            raise configuration_error(exc.message, path) from exc
        except CoordinatorError as exc:
            raise WorkflowError(
                Standard.COMMUNICATION, f"{child.name} could not be started", exc.message
            ) from exc
        if document.namespace != child.namespace:
            detail = f"{child.name} is in the namespace {document.namespace!r}"
            raise configuration_error(detail, path)
        return document

    def _new(self, child: Child, document: Document) -> Run:
        place, at = child.place, self._log.now()
        key = f"{self._run.id}|{place.path}|{place.attempt}"
        return Run.starting(
            at=at,
            id=str(uuid5(_NAMESPACE, key)),
            workflow=document.name,
            version=document.version,
            digest=document.digest,
            input=child.input,
            requested_by=self._run.requested_by,
            context_id=self._run.context_id,
            parent=Parent(
                run=self._run.id, path=place.path, attempt=place.attempt, waits=child.awaited
            ),
            depth=self._run.depth + 1,
        )

    async def _fail(self, child: Child, error: WorkflowError) -> None:
        error.instance = error.instance or child.place.path
        await self._log.append(
            child.place, "failed", {"error": error.as_json(), "title": child.title}
        )


def open_children(log: RunLog) -> list[Entry]:
    """Return the rows `child` of the runs that are waited for."""
    return [
        begun
        for begun in log.below("", "child")
        if begun.body["awaited"]
        and not any(log.recall(begun.place, kind) for kind in ("observed", "failed"))
    ]


def report(
    connection: Connection,
    run: Run,
    state: RunState,
    body: dict[str, Any],
    at: datetime,
    *,
    tell: dict[str, Any] | None = None,
) -> None:
    """Tell the parent that waits how its child has ended; for the transaction that ends it.

    Args:
        body: `{output}`, `{error}`, or anything else: it was cancelled.
        tell: The error of one that was cancelled, in the words of the parent.
    """
    parent = run.parent
    if parent is None or not parent.waits:
        return
    waiting = runs.get(connection, parent.run)
    if waiting is None or waiting.run.state.final:
        return
    place = Place(path=parent.path, attempt=parent.attempt)
    told: dict[str, Any] = {"run": run.id}
    spent = _spent(connection, run.id)
    if spent:
        journal.append(connection, parent.run, place, SPENT, at, spent)
    if state is RunState.COMPLETED:
        told["output"] = body.get("output")
        journal.tell(connection, parent.run, place, "observed", at, told)
        return
    cancelled = WorkflowError(Standard.RUNTIME, f"{run.workflow} was cancelled")
    told["error"] = tell or body.get("error") or cancelled.as_json()
    told["callee"] = tell is None
    told["title"] = run.workflow
    journal.tell(connection, parent.run, place, "failed", at, told)


def _spent(connection: Connection, run_id: str) -> dict[str, Any]:
    """Return the row of what a run has used up; nothing where nobody counts it."""
    started = journal.of_kind(connection, run_id, "started")
    budget = contract_in(started[0].body, run_id).budget if started else NO_BUDGET
    if budget == NO_BUDGET:
        return {}
    return reported(used(journal.read(connection, run_id)), budget)


def _again(body: dict[str, Any]) -> WorkflowError:
    error = WorkflowError.from_json(body["error"])
    error.from_callee = bool(body.get("callee"))
    if error.from_callee:
        error.instance = None  # a place in the document of the child
    return error
