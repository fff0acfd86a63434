"""What callers do with runs: start, look, cancel, ask why."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_URL, uuid5

from parley_cards.canonical import digest
from parley_cards.delegation import UNLIMITED
from parley_cards.errors import ParleyError

from parley_coordinator.engine import threads
from parley_coordinator.engine.aftermath import aftermath, children
from parley_coordinator.engine.artifacts import read_artifact
from parley_coordinator.engine.beginning import begin
from parley_coordinator.engine.deploying import startable
from parley_coordinator.engine.ending import end
from parley_coordinator.engine.lifecycle import lifecycle
from parley_coordinator.engine.why import explain
from parley_coordinator.errors import (
    IdempotencyConflictError,
    InvalidInputError,
    InvalidRequestError,
    RunFinishedError,
    UnknownArtifactError,
    UnknownRunError,
)
from parley_coordinator.governance.access import Permission, Principal, require
from parley_coordinator.model import Effect, Entry, Page, Phase, Run, RunState, Thread, Why
from parley_coordinator.store import journal, runs
from parley_coordinator.store.cursor import read_cursor, write_cursor
from parley_coordinator.store.tables import to_text
from parley_coordinator.workflow.schemas import problems

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from parley_cards.delegation import DelegationContract
    from parley_wire.database import Database
    from sqlalchemy import Connection

    from parley_coordinator.delegation.terms import Terms
    from parley_coordinator.engine.engine import Engine
    from parley_coordinator.engine.workflows import Workflows
    from parley_coordinator.store.runs import Stored
    from parley_coordinator.workflow.document import Document

_NAMESPACE: Final = uuid5(NAMESPACE_URL, "urn:parley:run")
SILENT: Final = timedelta(minutes=10)
"""A run that works writes more often than this, or it parks."""
MAX_KEY: Final = 256


class Runs:
    """Every use case checks its permission first, then what it was given, then acts.

    Args:
        workflows: What may be started.
        terms: On which work is taken that others pass on.
        new_id: For runs without an idempotency key.
    """

    def __init__(
        self,
        database: Database,
        engine: Engine,
        *,
        workflows: Workflows,
        terms: Terms,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._database = database
        self._engine = engine
        self._workflows = workflows
        self._terms = terms
        self._now = now
        self._new_id = new_id

    async def start(
        self,
        principal: Principal,
        workflow: str,
        input: Any,  # noqa: A002 - the DSL's word
        *,
        key: str | None = None,
        context_id: str | None = None,
        version: str | None = None,
        contract: DelegationContract = UNLIMITED,
        message_id: str = "",
    ) -> tuple[Run, bool]:
        """Start a run; with a key that was used before, return the run that it started.

        Args:
            version: Of the workflow; the current one if it is None.
            contract: Under which the work was passed on; the document's own budget narrows it.
            message_id: Of the A2A message that asks for it.

        Returns:
            The run, and whether it is new.

        Raises:
            NotPermittedError: If the caller may not start runs.
            UnknownWorkflowError, UnknownVersionError: If there is no such workflow.
            VersionDeprecatedError: If the version takes no new runs.
            InvalidInputError: If the input does not fit the workflow's schema.
            InvalidWorkflowError: If the workflow cannot run with the agents that there are.
            IdempotencyConflictError: If the key was used for another request.
            DelegationError: If the contract does not let it begin.
        """
        require(principal, Permission.RUN_START)
        if key is not None and not 0 < len(key) <= MAX_KEY:
            raise InvalidRequestError(f"an idempotency key has 1 to {MAX_KEY} characters")
        named = {} if version is None else {"version": version}
        request = digest({"workflow": workflow, "input": input, "context": context_id, **named})
        try:
            document = await self._checked(workflow, version, input, contract)
        except ParleyError:
            # What may not start now may have started long ago.
            known = None if key is None else await self._known(principal, key, request)
            if known is None:
                raise
            return known, False
        contract = replace(contract, budget=contract.budget.narrowed(document.budget))
        run_id = (
            self._new_id()
            if key is None
            else str(uuid5(_NAMESPACE, f"{principal.subject}|{workflow}|{key}"))
        )
        run = self._new(run_id, document, input, principal, context_id or run_id)

        def write(connection: Connection) -> bool:
            if key is not None and runs.get_request(connection, principal.subject, key):
                return False
            startable(connection, document.name, document.version)
            begin(connection, run, contract=contract, message_id=message_id)
            if key is not None:
                runs.keep_request(
                    connection,
                    caller=principal.subject,
                    key=key,
                    digest=request,
                    run_id=run_id,
                    at=run.created_at,
                )
            return True

        if not await self._database.write(write):
            known = await self._known(principal, key or "", request)
            return (known or run), False
        await self._engine.start(run_id)
        return run, True

    async def get(self, principal: Principal, run_id: str) -> Run:
        """Return a run.

        Raises:
            UnknownRunError: If there is none, or the caller may not see it.
        """
        return (await self._visible(principal, run_id)).run

    async def list(
        self,
        principal: Principal,
        *,
        workflow: str | None = None,
        state: RunState | None = None,
        context_id: str | None = None,
        stuck: bool = False,
        limit: int = 50,
        cursor: str = "",
    ) -> Page[Run]:
        """Return the runs that the caller may see, newest first.

        Args:
            stuck: Only those under way that do not get on without somebody.

        Raises:
            InvalidRequestError: If the cursor is not one of ours.
        """
        sees_all = principal.may(Permission.RUN_READ_ALL)
        require(principal, Permission.RUN_READ_ALL if sees_all else Permission.RUN_READ_OWN)
        before = read_cursor(cursor)
        stuck_since = self._now() - SILENT if stuck else None
        found = await self._database.read(
            lambda c: runs.page(
                c,
                limit=limit + 1,
                before=before,
                workflow=workflow,
                states=None if state is None else [state],
                context_id=context_id,
                visible_to=None if sees_all else (principal.subject, principal.titles),
                stuck_since=stuck_since,
            )
        )
        more = len(found) > limit
        entries = [stored.run for stored in found[:limit]]
        last = entries[-1] if more else None
        return Page(
            entries=entries,
            next_cursor="" if last is None else write_cursor(to_text(last.created_at), last.id),
        )

    async def thread(self, principal: Principal, run_id: str) -> Thread:
        """Raises UnknownRunError also for a run that the caller may not see."""
        return await threads.thread(self._database, principal, run_id)

    async def tasks(
        self,
        principal: Principal,
        *,
        workflow: str,
        phase: Phase | None = None,
        context_id: str | None = None,
        changed_since: datetime | None = None,
        limit: int = 50,
        cursor: str = "",
    ) -> tuple[Page[Thread], int]:
        """Raises InvalidRequestError if the cursor is not one of ours."""
        return await threads.tasks(
            self._database,
            principal,
            workflow=workflow,
            phase=phase,
            context_id=context_id,
            changed_since=changed_since,
            limit=limit,
            cursor=cursor,
        )

    async def cancel(self, principal: Principal, run_id: str, reason: str) -> Run:
        """Cancel a run: nothing more is started, and its open tasks and items are withdrawn.

        Cancelling a cancelled run returns it. What an agent has done is not undone; `aftermath` says
        what that is.

        Raises:
            UnknownRunError: If there is none, or the caller may not see it.
            NotPermittedError: If the caller neither requested it nor operates the mesh.
            RunFinishedError: If it has completed or faulted.
        """
        run = await self.get(principal, run_id)
        if run.requested_by != principal.subject:
            require(principal, Permission.RUN_CANCEL)
        at = self._now()

        body = {"by": principal.subject, "reason": reason}
        cancelled = await self._database.write(lambda c: end(c, run, RunState.CANCELLED, body, at))
        run = await self.get(principal, run_id)
        if not cancelled and run.state is not RunState.CANCELLED:
            raise RunFinishedError(f"the run is {run.state} already", state=str(run.state))
        await self._engine.cancel(run_id)
        return run

    async def aftermath(self, principal: Principal, run_id: str) -> Sequence[Effect]:
        """Return what a run and those that it waited for have done or begun elsewhere.

        Raises:
            UnknownRunError: If there is none, or the caller may not see it.
        """
        await self._visible(principal, run_id)

        def read(connection: Connection) -> list[Effect]:
            found: list[Effect] = []
            waiting = [run_id]
            while waiting:
                entries = journal.read(connection, waiting.pop())
                found += aftermath(entries)
                waiting += children(entries)
            return found

        return await self._database.read(read)

    async def why(self, principal: Principal, run_id: str) -> Why:
        """Explain a run from its journal and its pinned document.

        Raises:
            UnknownRunError: If there is none, or the caller may not see it.
        """
        run = await self.get(principal, run_id)
        return explain(run, await self._database.read(lambda c: journal.read(c, run_id)))

    async def artifact(self, principal: Principal, digest: str) -> str:
        """Return the JSON of a large output of a run.

        Raises:
            UnknownArtifactError: If there is none, or the caller may see no run that has it.
        """
        if principal.may(Permission.RUN_READ_ALL):
            return await read_artifact(self._database, digest, None)
        if not principal.may(Permission.RUN_READ_OWN):
            raise UnknownArtifactError(digest)
        return await read_artifact(self._database, digest, (principal.subject, principal.titles))

    async def lifecycle(self, principal: Principal, run_id: str) -> Sequence[dict[str, Any]]:
        """Return what happened in a run as CloudEvents, oldest first.

        Raises:
            UnknownRunError: If there is none, or the caller may not see it.
        """
        run = await self.get(principal, run_id)
        document, entries = await self._database.read(
            lambda c: (runs.get_document(c, run.digest), journal.read(c, run_id))
        )
        return lifecycle(run, (document or {})["document"]["namespace"], entries)

    async def journal(self, principal: Principal, run_id: str, after: int = 0) -> Sequence[Entry]:
        """Return the rows with `seq > after`, oldest first.

        Raises:
            UnknownRunError: If there is none, or the caller may not see it.
        """
        await self._visible(principal, run_id)
        return await self._database.read(lambda c: journal.read(c, run_id, after))

    async def wait(self, run_id: str, *, after_seq: int, timeout_s: float) -> bool:
        """Wait until the journal has rows beyond `after_seq`, or anything else has changed.

        May return True for nothing; False after `timeout_s`.
        """
        with self._engine.watch(run_id) as watch:
            if await self._database.read(lambda c: journal.last(c, run_id)) > after_seq:
                return True
            return await watch.change(timeout_s)

    async def wait_for_state(self, seen: Run, *, timeout_s: float) -> bool:
        """Wait until the run is no longer as it was seen; its journal may grow meanwhile.

        May return True for nothing; False after `timeout_s`.
        """
        with self._engine.watch(seen.id, state_only=True) as watch:
            stored = await self._database.read(lambda c: runs.get(c, seen.id))
            if stored is None or stored.run.updated_at != seen.updated_at:
                return True
            return await watch.change(timeout_s)

    async def _checked(
        self, workflow: str, version: str | None, given: Any, contract: DelegationContract
    ) -> Document:
        """Return the document of a run that may start now."""
        document, active = await self._workflows.opening(workflow, version)
        self._terms.admit(contract, document.name, self._now())
        self._check_input(document, given)
        await self._workflows.prove(document, active)
        return document

    def _new(
        self, run_id: str, document: Document, given: Any, principal: Principal, context_id: str
    ) -> Run:
        at = self._now()
        return Run.starting(
            at=at,
            id=run_id,
            workflow=document.name,
            version=document.version,
            digest=document.digest,
            input=given,
            requested_by=principal.subject,
            context_id=context_id,
        )

    async def _known(self, principal: Principal, key: str, request: str) -> Run | None:
        def read(connection: Connection) -> tuple[str, Stored | None] | None:
            known = runs.get_request(connection, principal.subject, key)
            return None if known is None else (known.digest, runs.get(connection, known.run_id))

        known = await self._database.read(read)
        if known is None:
            return None
        kept, stored = known
        if kept != request or stored is None:
            raise IdempotencyConflictError(
                "this idempotency key was used for another request; use a new one", key=key
            )
        return stored.run

    async def _visible(self, principal: Principal, run_id: str) -> Stored:
        def read(connection: Connection) -> tuple[Stored | None, bool]:
            stored = runs.get(connection, run_id)
            if stored is None or stored.run.requested_by == principal.subject:
                return stored, True
            return stored, runs.asked(connection, run_id, principal.titles)

        stored, own = await self._database.read(read)
        if stored is None:
            raise UnknownRunError(run_id)
        if not (
            principal.may(Permission.RUN_READ_ALL)
            or (own and principal.may(Permission.RUN_READ_OWN))
        ):
            raise UnknownRunError(run_id)
        return stored

    def _check_input(self, document: Document, given: Any) -> None:
        if document.input_schema is None:
            return
        found = problems(document.input_schema, given)
        if found:
            raise InvalidInputError(
                f"the input does not fit {document.name}: {'; '.join(found)}", problems=found
            )
