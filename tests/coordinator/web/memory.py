"""The ports of the web over plain Python objects: small, honest, without a mesh.

Workflows are the real ones. What a run does is not read from their documents: it is that of
`REVIEW`: input `{"amount": "120.00"}`. Up to 100.00 it completes at once; above, it
asks the role approver, never the one who started it, and completes or faults as they decide.
`{"stuck": true}` makes it wait for an agent for ever.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from parley_cards.canonical import digest
from parley_cards.delegation import UNLIMITED, DelegationContract
from parley_coordinator.engine.lifecycle import lifecycle
from parley_coordinator.engine.workflows import Workflows
from parley_coordinator.errors import (
    AlreadyDecidedError,
    IdempotencyConflictError,
    InvalidDecisionError,
    InvalidInputError,
    NotEligibleError,
    RunFinishedError,
    StaleDigestError,
    UnknownArtifactError,
    UnknownItemError,
    UnknownRunError,
)
from parley_coordinator.governance.access import Permission, Principal, require
from parley_coordinator.inbox.rules import as_seen_by
from parley_coordinator.model import (
    Decision,
    Effect,
    Entry,
    Fact,
    ItemKind,
    ItemState,
    MessageRef,
    Page,
    Phase,
    Run,
    RunState,
    Thread,
    Why,
    WhyStep,
    WorkItem,
)
from parley_coordinator.model import phase as phase_of

REVIEW = b"""\
document:
  dsl: '1.0.3'
  namespace: tests
  name: review
  version: '1.0.0'
  title: Review an amount
  summary: Asks a person about amounts above 100.00.
input:
  schema:
    document:
      type: object
      properties: {amount: {type: string}, stuck: {type: boolean}}
timeout: {after: {hours: 1}}
do:
  - review:
      metadata: {label: Review}
      set: {approved: true}
"""


class Memory:
    """`Runs` and `Inbox` share this state."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.rows: dict[str, list[Entry]] = {}
        self.items: dict[str, WorkItem] = {}
        self.keys: dict[tuple[str, str], tuple[str, str]] = {}
        self.changed = asyncio.Condition()
        self.broken = False
        self.contracts: list[DelegationContract] = []
        """Under which runs were started, oldest first."""
        self._ticks = 0

    def now(self) -> datetime:
        """A clock that never stands still, so that each update is later than the one before."""
        self._ticks += 1
        return datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC) + timedelta(milliseconds=self._ticks)

    async def row(self, run_id: str, kind: str, path: str = "/do/0/review", **body: Any) -> None:
        rows = self.rows.setdefault(run_id, [])
        rows.append(
            Entry(
                run_id=run_id,
                seq=len(rows) + 1,
                path=path,
                attempt="1",
                kind=kind,
                at=self.now(),
                body=body,
            )
        )
        async with self.changed:
            self.changed.notify_all()

    async def change(self, run_id: str, **changes: Any) -> Run:
        self.runs[run_id] = dataclasses.replace(self.runs[run_id], updated_at=self.now(), **changes)
        async with self.changed:
            self.changed.notify_all()
        return self.runs[run_id]


class MemoryRuns:
    def __init__(self, memory: Memory, workflows: Workflows) -> None:
        self._memory = memory
        self._workflows = workflows

    async def start(
        self,
        principal: Principal,
        workflow: str,
        input: Any,  # noqa: A002 - the port's word
        *,
        key: str | None = None,
        context_id: str | None = None,
        version: str | None = None,
        contract: DelegationContract = UNLIMITED,
        message_id: str = "",
    ) -> tuple[Run, bool]:
        require(principal, Permission.RUN_START)
        self._memory.contracts.append(contract)
        document = await self._workflows.startable(workflow, version)
        memory = self._memory
        request = digest({"workflow": workflow, "input": input, "context": context_id})
        if key is not None and (principal.subject, key) in memory.keys:
            known, run_id = memory.keys[principal.subject, key]
            if known != request:
                raise IdempotencyConflictError("the key was used for another request")
            return memory.runs[run_id], False
        if not isinstance(input, dict) or not ({"amount", "stuck"} & input.keys()):
            raise InvalidInputError("the input needs an amount")
        run_id = f"run-{len(memory.runs) + 1}"
        at = memory.now()
        run = Run(
            id=run_id,
            workflow=workflow,
            version=document.version,
            digest=document.digest,
            state=RunState.RUNNING,
            input=input,
            output=None,
            error=None,
            waiting_for=[],
            requested_by=principal.subject,
            created_at=at,
            updated_at=at,
            context_id=context_id or run_id,
        )
        memory.runs[run_id] = run
        if key is not None:
            memory.keys[principal.subject, key] = (request, run_id)
        await memory.row(run_id, "started", path="", by=principal.subject, message=message_id)
        await self._go_on(run)
        return run, True

    async def _go_on(self, run: Run) -> None:
        memory = self._memory
        if run.input.get("stuck"):
            wait = {"kind": "agent", "path": "/do/0/review", "agent": "slow"}
            await memory.change(run.id, state=RunState.WAITING, waiting_for=[wait])
            return
        if Decimal(run.input["amount"]) <= 100:
            await memory.row(run.id, "completed", path="")
            await memory.change(run.id, state=RunState.COMPLETED, output={"approved": True})
            return
        proposal = {"action": "approve", "arguments": {"amount": run.input["amount"]}}
        item = WorkItem(
            id=f"item-{len(memory.items) + 1}",
            version=1,
            kind=ItemKind.APPROVAL,
            state=ItemState.READY,
            run_id=run.id,
            workflow=run.workflow,
            path="/do/0/review",
            attempt="1",
            title=f"Approve {run.input['amount']}?",
            summary=[Fact(name="amount", value=run.input["amount"], source="input")],
            reason="The amount is above 100.00.",
            proposal=proposal,
            digest=digest({"run": run.id, "proposal": proposal}),
            outcomes=["approve", "reject"],
            form={},
            candidates=["role:approver"],
            excluded=[run.requested_by],
            origin={},
            created_at=memory.now(),
            decide_by=None,
        )
        memory.items[item.id] = item
        await memory.row(run.id, "asked", item=item.id)
        wait = {"kind": "item", "path": item.path, "item": item.id}
        await memory.change(run.id, state=RunState.WAITING, waiting_for=[wait])

    async def decided(self, run_id: str, outcome: str) -> None:
        memory = self._memory
        await memory.change(run_id, state=RunState.RUNNING, waiting_for=[])
        if outcome == "approve":
            await memory.row(run_id, "completed", path="")
            await memory.change(run_id, state=RunState.COMPLETED, output={"approved": True, "n": 2})
        else:
            error = {"type": "urn:test:refused", "status": 400, "title": "a person said no"}
            await memory.row(run_id, "faulted", path="", error=error)
            await memory.change(run_id, state=RunState.FAULTED, error=error)

    async def get(self, principal: Principal, run_id: str) -> Run:
        if self._memory.broken:
            raise RuntimeError("password=hunter2")
        run = self._memory.runs.get(run_id)
        if run is None or not self._sees(principal, run):
            raise UnknownRunError(run_id)
        return run

    def _sees(self, principal: Principal, run: Run) -> bool:
        return (
            principal.may(Permission.RUN_READ_ALL)
            or run.requested_by == principal.subject
            or any(
                not principal.titles.isdisjoint(item.candidates)
                for item in self._memory.items.values()
                if item.run_id == run.id
            )
        )

    async def list(
        self,
        principal: Principal,
        *,
        workflow: str | None = None,
        state: RunState | None = None,
        context_id: str | None = None,
        stuck: bool = False,  # noqa: ARG002 - none is
        limit: int = 50,
        cursor: str = "",
    ) -> Page[Run]:
        found = [
            run
            for run in reversed(self._memory.runs.values())
            if self._sees(principal, run)
            and workflow in (None, run.workflow)
            and state in (None, run.state)
            and context_id in (None, run.context_id)
        ]
        start = int(cursor or 0)
        more = len(found) > start + limit
        return Page(
            entries=found[start : start + limit], next_cursor=str(start + limit) if more else ""
        )

    async def thread(self, principal: Principal, run_id: str) -> Thread:
        run = await self.get(principal, run_id)
        rows = self._memory.rows[run_id]
        asked = reversed(self._memory.items.values())
        return Thread(
            run=run,
            seq=rows[-1].seq,
            items=as_seen_by(principal, [item for item in asked if item.run_id == run_id]),
            message_id=rows[0].body["message"],
        )

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
        found = sorted(
            (
                run
                for run in self._memory.runs.values()
                if self._sees(principal, run)
                and run.workflow == workflow
                and context_id in (None, run.context_id)
                and phase in (None, phase_of(run, self._open_kinds(run)))
                and (changed_since is None or run.updated_at >= changed_since)
            ),
            key=lambda run: run.updated_at,
            reverse=True,
        )
        start = int(cursor or 0)
        shown = [await self.thread(principal, run.id) for run in found[start : start + limit]]
        more = str(start + limit) if len(found) > start + limit else ""
        return Page(entries=shown, next_cursor=more), len(found)

    def _open_kinds(self, run: Run) -> Sequence[ItemKind]:
        return [
            item.kind
            for item in self._memory.items.values()
            if item.run_id == run.id and not item.state.final
        ]

    async def cancel(self, principal: Principal, run_id: str, reason: str) -> Run:
        run = await self.get(principal, run_id)
        require(principal, Permission.RUN_CANCEL)
        if run.state.final:
            raise RunFinishedError("the run has ended", run=run_id)
        await self._memory.row(run_id, "cancelled", path="", by=principal.subject, reason=reason)
        return await self._memory.change(run_id, state=RunState.CANCELLED, waiting_for=[])

    async def aftermath(self, principal: Principal, run_id: str) -> tuple[Effect, ...]:
        await self.get(principal, run_id)
        return ()

    async def why(self, principal: Principal, run_id: str) -> Why:
        run = await self.get(principal, run_id)
        steps = [_STEPS(entry, self._memory) for entry in self._memory.rows[run_id]]
        return Why(run=run, steps=steps)

    async def artifact(self, principal: Principal, digest: str) -> str:  # noqa: ARG002
        raise UnknownArtifactError(digest)

    async def lifecycle(self, principal: Principal, run_id: str) -> Sequence[dict[str, Any]]:
        return lifecycle(
            await self.get(principal, run_id), "tests", await self.journal(principal, run_id)
        )

    async def journal(self, principal: Principal, run_id: str, after: int = 0) -> Sequence[Entry]:
        await self.get(principal, run_id)
        return [entry for entry in self._memory.rows[run_id] if entry.seq > after]

    async def wait(self, run_id: str, *, after_seq: int, timeout_s: float) -> bool:
        memory = self._memory
        try:
            async with asyncio.timeout(timeout_s), memory.changed:
                run = memory.runs[run_id]
                await memory.changed.wait_for(
                    lambda: memory.rows[run_id][-1].seq > after_seq or memory.runs[run_id] != run
                )
        except TimeoutError:
            return False
        return True

    async def wait_for_state(self, seen: Run, *, timeout_s: float) -> bool:
        memory = self._memory
        try:
            async with asyncio.timeout(timeout_s), memory.changed:
                await memory.changed.wait_for(lambda: memory.runs[seen.id] != seen)
        except TimeoutError:
            return False
        return True


class MemoryInbox:
    def __init__(self, memory: Memory, runs: MemoryRuns) -> None:
        self._memory = memory
        self._runs = runs

    async def list(
        self,
        principal: Principal,
        *,
        state: ItemState | None = ItemState.READY,
        run_id: str | None = None,
        limit: int = 50,
        cursor: str = "",
    ) -> Page[WorkItem]:
        require(principal, Permission.ITEM_READ if not _sees_all(principal) else _ALL)
        found = [
            item
            for item in reversed(self._memory.items.values())
            if (_sees_all(principal) or not principal.titles.isdisjoint(item.candidates))
            and state in (None, item.state)
            and run_id in (None, item.run_id)
        ]
        start = int(cursor or 0)
        more = len(found) > start + limit
        return Page(
            entries=found[start : start + limit], next_cursor=str(start + limit) if more else ""
        )

    async def get(self, principal: Principal, item_id: str) -> WorkItem:
        item = self._memory.items.get(item_id)
        if item is None or not (
            _sees_all(principal) or not principal.titles.isdisjoint(item.candidates)
        ):
            raise UnknownItemError(item_id)
        return item

    async def decide(
        self,
        principal: Principal,
        item_id: str,
        *,
        outcome: str,
        digest: str,
        comment: str = "",
        values: dict[str, Any] | None = None,
        message: MessageRef | None = None,
    ) -> WorkItem:
        item = await self.get(principal, item_id)
        require(principal, Permission.ITEM_DECIDE)
        if principal.titles.isdisjoint(item.candidates) or principal.subject in item.excluded:
            raise NotEligibleError(f"{principal.subject} may not decide this item")
        if item.decision is not None:
            made = item.decision
            if (made.by, made.outcome, made.digest) == (principal.subject, outcome, digest):
                return item
            raise AlreadyDecidedError(
                item_id=item.id, decided_by=item.decision.by, outcome=item.decision.outcome
            )
        if digest != item.digest:
            raise StaleDigestError(item_id=item.id, current=item.digest)
        if outcome not in item.outcomes:
            raise InvalidDecisionError(f"choose one of: {', '.join(item.outcomes)}")
        decided = dataclasses.replace(
            item,
            version=2,
            state=ItemState.DECIDED,
            decision=Decision(
                outcome=outcome,
                by=principal.subject,
                at=self._memory.now(),
                digest=digest,
                comment=comment,
                values=values or {},
                message=message,
            ),
        )
        self._memory.items[item.id] = decided
        await self._memory.row(item.run_id, "decided", item=item.id, outcome=outcome)
        await self._runs.decided(item.run_id, outcome)
        return decided


_ALL = Permission.ITEM_READ_ALL


def _sees_all(principal: Principal) -> bool:
    return principal.may(_ALL)


def _STEPS(entry: Entry, memory: Memory) -> WhyStep:  # noqa: N802
    item = memory.items.get(str(entry.body.get("item", "")))
    match entry.kind:
        case "asked" if item is not None:
            return _step(
                entry, f"asked role:approver: {item.title}", rule=item.reason, facts=item.summary
            )
        case "decided" if item is not None and item.decision is not None:
            made = item.decision
            return _step(
                entry,
                f"{made.by} decided: {made.outcome}",
                person={
                    "subject": made.by,
                    "outcome": made.outcome,
                    "comment": made.comment,
                    "digest": made.digest,
                    "at": made.at.isoformat(),
                },
            )
    return _step(entry, entry.kind)


def _step(entry: Entry, title: str, **more: Any) -> WhyStep:
    return WhyStep(
        path=entry.path, attempt=entry.attempt, kind=entry.kind, at=entry.at, title=title, **more
    )
