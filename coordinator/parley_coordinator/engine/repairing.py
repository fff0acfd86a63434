"""Runs that ended without success go on: from a step, past a step, with other arguments, or anew.

The run that ended stays as it is; a new one goes on for it (ADR-0021). Who did it, why, and what was
given in the place of what is in the journals of both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from parley_cards.delegation import NO_BUDGET

from parley_coordinator.delegation.terms import SPENT, contract_in, used
from parley_coordinator.engine.beginning import ROOT, begin
from parley_coordinator.engine.carrying import Carried, carry, last_visit, was_idle
from parley_coordinator.errors import (
    InvalidInputError,
    InvalidRequestError,
    NotRepairableError,
    RunFinishedError,
    UnknownRunError,
    UnknownStepError,
    WouldRunAgainError,
)
from parley_coordinator.governance.access import Permission, Principal, require
from parley_coordinator.model import Nothing, Place, Repair, Run, RunState, is_within
from parley_coordinator.store import artifacts, journal, runs
from parley_coordinator.store.tables import to_text
from parley_coordinator.workflow.checks.sites import Site, sites
from parley_coordinator.workflow.document import Document
from parley_coordinator.workflow.effects import NOTE_GIVEN
from parley_coordinator.workflow.errors import WorkflowError
from parley_coordinator.workflow.findings import escape
from parley_coordinator.workflow.schemas import problems
from parley_coordinator.workflow.tasks import CallTask, ForTask, ListenTask, RunTask, TryTask

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from parley_wire.database import Database
    from sqlalchemy import Connection

    from parley_coordinator.delegation.routing import Routing
    from parley_coordinator.engine.engine import Engine
    from parley_coordinator.engine.workflows import Workflows
    from parley_coordinator.model import Entry

CONTINUED: Final = "continued"
"""The row, at the root of a run that ended, that names the run which goes on for it."""


@dataclass(frozen=True, slots=True)
class _Plan:
    run: Run
    carried: Carried
    given: tuple[Place, dict[str, Any]] | None
    step: str


class Repairs:
    """Has runs go on that ended without success."""

    def __init__(
        self,
        database: Database,
        engine: Engine,
        workflows: Workflows,
        routing: Routing,
        *,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._database = database
        self._engine = engine
        self._workflows = workflows
        self._routing = routing
        self._now = now
        self._new_id = new_id

    async def repair(self, principal: Principal, run_id: str, repair: Repair) -> Run:
        """Start the run that goes on for another one, and return it.

        Raises:
            NotPermittedError, UnknownRunError
            RunFinishedError: The run has completed.
            NotRepairableError: It has not ended, has been repaired, or a run waits for it.
            UnknownStepError, InvalidRequestError, InvalidInputError
            WouldRunAgainError: Without `again`.
            InvalidWorkflowError: The workflow cannot run with the agents that there are.
        """
        require(principal, Permission.RUN_REPAIR)
        while (begun := await self._try(principal, run_id, repair)) is None:
            pass
        await self._engine.start(begun.id)
        return begun

    async def _try(self, principal: Principal, run_id: str, repair: Repair) -> Run | None:
        """Begin the new run; None if the journal of the old one has changed meanwhile."""
        old, entries, document = await self._read(run_id)
        _check_repairable(old, entries)
        plan = await self._plan(old, entries, document, repair)
        if plan.carried.again and not repair.again:
            raise WouldRunAgainError([place.path for place in plan.carried.again])
        await self._workflows.prove(document)
        return plan.run if await self._begin(principal, old, entries, plan, repair) else None

    async def _read(self, run_id: str) -> tuple[Run, list[Entry], Document]:
        def read(connection: Connection) -> tuple[Run, list[Entry], Any]:
            stored = runs.get(connection, run_id)
            if stored is None:
                raise UnknownRunError(run_id)
            body = runs.get_document(connection, stored.run.digest)
            return stored.run, journal.read(connection, run_id), body

        run, entries, body = await self._database.read(read)
        return run, entries, Document.from_json(body)

    async def _plan(
        self, old: Run, entries: list[Entry], document: Document, repair: Repair
    ) -> _Plan:
        if not isinstance(repair.input, Nothing):
            return self._anew(old, entries, document, repair, await self._idle(entries))
        found = sites(document)
        step = (
            _stopped_at(found, old, entries) if repair.step is None else _named(found, repair.step)
        )
        attempt = None if step is None else last_visit(entries, step)
        given = await self._given(found, step, attempt, repair)
        carried = carry(entries, step, attempt, await self._idle(entries))
        if repair.arguments is not None:
            _check_undecided(carried)
        if repair.act == "skip" and step is not None:
            again = [p for p in carried.again if not is_within(p.path, step)]
            carried = replace(carried, again=again)
        return _Plan(self._new(old, old.input), carried, given, step or "")

    async def _idle(self, entries: list[Entry]) -> set[str]:
        """Return the runs that a run has started, and that have done nothing outside."""
        children = [each.body["run"] for each in entries if each.kind == "child"]

        def read(connection: Connection) -> set[str]:
            return {each for each in children if was_idle(journal.read(connection, each))}

        return await self._database.read(read) if children else set()

    def _anew(
        self,
        old: Run,
        entries: list[Entry],
        document: Document,
        repair: Repair,
        idle: set[str],
    ) -> _Plan:
        if repair.step is not None or repair.act == "skip" or repair.arguments is not None:
            raise InvalidRequestError(
                "another input means starting over: leave out `step`, `arguments` and `skip`"
            )
        schema = document.input_schema
        found = [] if schema is None else problems(schema, repair.input)
        if found:
            raise InvalidInputError(
                f"the input does not fit {document.name}: {'; '.join(found)}", problems=found
            )
        # From a step before all others: nothing is kept.
        carried = carry(entries, "/do", None, idle)
        return _Plan(self._new(old, repair.input), carried, None, "")

    async def _given(
        self, found: list[Site], step: str | None, attempt: str | None, repair: Repair
    ) -> tuple[Place, dict[str, Any]] | None:
        """Return what goes into the place of the step, and where it goes.

        Raises:
            InvalidRequestError, InvalidInputError
        """
        has_output = not isinstance(repair.output, Nothing)
        if repair.act == "retry" and repair.arguments is None:
            if has_output:
                raise InvalidRequestError("`output` is what a step that is skipped has given")
            return None
        if step is None:
            raise InvalidRequestError("name the step; the run did not stop at one")
        place = Place(path=step, attempt=attempt or _only_visit(found, step))
        if repair.act == "skip":
            if repair.arguments is not None:
                raise InvalidRequestError("a step that is skipped takes no `arguments`")
            if _asks_people(found, step):
                raise InvalidRequestError(
                    "a person decides in this step, or may in the workflow that it runs, and nobody"
                    " decides for them; retry it"
                )
            return place, {"output": repair.output} if has_output else {"passed": True}
        await self._check_arguments(found, step, repair.arguments or {})
        return place, {"arguments": repair.arguments}

    async def _check_arguments(
        self, found: list[Site], step: str, arguments: dict[str, Any]
    ) -> None:
        task = next((site.task for site in found if site.path == step), None)
        if not isinstance(task, CallTask) or task.call.asks_people or not task.call.catalog:
            raise InvalidRequestError("only calls of agents take other arguments; skip the step")
        try:
            choice = await self._routing.choose(task.call.name, task.call.version)
        except WorkflowError as exc:
            raise InvalidRequestError(f"the arguments cannot be checked: {exc}") from exc
        wrong = [] if choice.input_schema is None else choice.input_schema.problems(arguments)
        if wrong:
            raise InvalidInputError(
                f"the arguments do not fit {task.call.name}: {'; '.join(wrong)}", problems=wrong
            )

    def _new(self, old: Run, given: Any) -> Run:
        at = self._now()
        return Run.starting(
            at=at,
            id=self._new_id(),
            workflow=old.workflow,
            version=old.version,
            digest=old.digest,
            input=given,
            # Whoever requested it must not decide about it in the new run either.
            requested_by=old.requested_by,
            context_id=old.context_id,
        )

    async def _begin(
        self, principal: Principal, old: Run, entries: list[Entry], plan: _Plan, repair: Repair
    ) -> bool:
        """Add the new run; False if the plan is not of the journal as it is now."""
        run = plan.run
        # Its budget and its chain go on; the time that a caller gave it was for the first try.
        contract = replace(contract_in(entries[0].body, old.id), deadline=None)
        why = {"by": principal.subject, "reason": repair.reason, "act": repair.act}
        since = entries[0].body.get("continues", {}).get("since") or to_text(old.created_at)
        carried = {(each.path, each.attempt, each.kind) for each in plan.carried.rows}
        # What was called stays called, though it is set aside.
        aside = used(e for e in entries if (e.path, e.attempt, e.kind) not in carried).as_json()

        def write(connection: Connection) -> bool:
            if journal.last(connection, old.id) != entries[-1].seq:
                return False
            body = {**why, "run": run.id, "step": plan.step}
            journal.append(connection, old.id, ROOT, CONTINUED, run.created_at, body)
            begin(
                connection,
                run,
                contract=contract,
                continues={**why, "run": old.id, "step": plan.step, "since": since},
            )
            for entry in plan.carried.rows:
                journal.append(connection, run.id, entry.place, entry.kind, entry.at, entry.body)
            if aside and contract.budget != NO_BUDGET:
                journal.append(connection, run.id, ROOT, SPENT, run.created_at, {"spent": aside})
            artifacts.carry_over(connection, old.id, run.id)
            if plan.given is not None:
                place, given = plan.given
                body = {**given, **why}
                journal.append(connection, run.id, place, NOTE_GIVEN, run.created_at, body)
            return True

        return await self._database.write(write)


def _check_repairable(run: Run, entries: list[Entry]) -> None:
    if run.state is RunState.COMPLETED:
        raise RunFinishedError("the run has completed; there is nothing to repair")
    if not run.state.final:
        raise NotRepairableError(
            f"the run is {run.state}; decide its open items, or cancel it first",
            state=str(run.state),
        )
    if run.parent is not None and run.parent.waits:
        raise NotRepairableError(
            f"the run {run.parent.run} was waiting for it; repair that one", run=run.parent.run
        )
    other = next((entry for entry in entries if entry.kind == CONTINUED and not entry.path), None)
    if other is not None:
        raise NotRepairableError(
            f"the run {other.body['run']} goes on for it; look at that one", run=other.body["run"]
        )


def _stopped_at(found: list[Site], run: Run, entries: list[Entry]) -> str | None:
    """Return the step at which a run stopped; None: at none, as when it was cancelled.

    Where the time of tasks around it ran out, it is the one that was under way.
    """
    if run.error is None:
        return None
    stopped = str(run.error.get("instance") or "")
    failed = [
        entry.path
        for entry in entries
        if entry.kind == "failed"
        and entry.body["error"]["type"] == run.error["type"]
        and is_within(entry.path, stopped)
    ]
    path = failed[-1] if failed else stopped
    holding = [site.path for site in found if is_within(path, site.path)]
    return max(holding, key=len, default=None)


def _asks_people(found: list[Site], step: str) -> bool:
    """Whether a person decides in a step, or in a function of the document that it calls."""
    tasks = [site.task for site in found if is_within(site.path, step)]
    if any(isinstance(task, RunTask) for task in tasks):
        return True  # what another workflow asks is its own document's to say
    calls = [task.call for task in tasks if isinstance(task, CallTask)]
    return any(
        call.asks_people
        or (not call.catalog and _asks_people(found, f"/use/functions/{escape(call.name)}"))
        for call in calls
    )


def _check_undecided(carried: Carried) -> None:
    """Let arguments be replaced that nobody has decided about.

    Raises:
        InvalidRequestError
    """
    decided = next((entry for entry in carried.rows if entry.kind == "decided"), None)
    if decided is not None:
        raise InvalidRequestError(
            f"{decided.body['by']} has decided in this run, and other arguments are not what was"
            f" decided; go on from {decided.path}, so that it is asked again"
        )


def _named(found: list[Site], wanted: str) -> str:
    """Return the pointer of the step that is meant.

    Raises:
        UnknownStepError
    """
    known = [site.path for site in found if not site.path.startswith("/use/")]
    if wanted in known:
        return wanted
    meant = [path for path in known if path.rpartition("/")[2] == wanted]
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise UnknownStepError(
            f"{len(meant)} steps are named {wanted[:80]!r}; name one by its path", steps=meant[:100]
        )
    raise UnknownStepError(
        f"the workflow has no step {wanted[:80]!r}; `parley outline` shows them all",
        steps=known[:100],
    )


def _only_visit(found: list[Site], step: str) -> str:
    """Return the attempt of a step that left no row.

    Raises:
        UnknownStepError: It is repeated, and nothing tells which visit is meant.
    """
    site = next(site for site in found if site.path == step)
    if any(isinstance(around.task, ForTask | TryTask | ListenTask) for around in site.around):
        raise UnknownStepError(
            "this step is repeated, and the run has left no trace of it; take the task around it",
            steps=[around.path for around in site.around],
        )
    return Place(path=step).attempt
