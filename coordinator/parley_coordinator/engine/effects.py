"""The interpreter's port, over the journal, the agents and the inbox."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, NoReturn

from parley_cards import strict_json

from parley_coordinator.delegation.delegation import Delegation
from parley_coordinator.delegation.exchange import Answer, Asked, Output, Uncertain, Working
from parley_coordinator.inbox import questions
from parley_coordinator.model import ItemState, Place, Wait, WorkItem
from parley_coordinator.store import items, journal
from parley_coordinator.store.tables import from_text, to_text
from parley_coordinator.workflow.effects import NOTE_EXPIRED, NOTE_FORK_FAILED, Call, Parked
from parley_coordinator.workflow.errors import Standard, WorkflowError

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley_wire.database import Database
    from sqlalchemy import Connection

    from parley_coordinator.model import Entry, Run
    from parley_coordinator.store.log import RunLog

AUTH_POLL = timedelta(seconds=30)
"""An agent in AUTH_REQUIRED may resume by itself (A2A 1.0 section 7.6): look this often."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What a decision means for the agent: an answer, or that the message goes out once more."""

    answer: Answer | None = None
    resend: int = 0


class JournalEffects:
    """Implements `workflow.effects.Effects` for one advance of one run."""

    def __init__(self, run: Run, log: RunLog, database: Database, delegation: Delegation) -> None:
        self._run = run
        self._log = log
        self._database = database
        self._delegation = delegation

    async def call(self, call: Call) -> Any:
        observed = self._log.recall(call.place, "observed")
        if observed is not None:
            return observed.body["output"]
        failed = self._log.recall(call.place, "failed")
        if failed is not None:
            raise WorkflowError.from_json(failed.body["error"])
        try:
            return await self._perform(call)
        except WorkflowError as exc:
            if exc.instance is None:
                exc.instance = call.place.path
            body = {"error": exc.as_json(), "title": call.title}
            await self._log.append(call.place, "failed", body, also=self._close_items(call.place))
            raise

    async def human_task(self, call: Call) -> dict[str, Any]:
        place = call.place
        failed = self._log.recall(place, "failed")
        if failed is not None:
            raise WorkflowError.from_json(failed.body["error"])
        try:
            asked = self._log.recall(place, "asked")
            if asked is None:
                asked = await self._ask(
                    place, "asked", questions.human_task(self._run, call, at=self._log.now())
                )
            decided = await self._decision(call, asked, "decided")
        except WorkflowError as exc:
            await self._log.append(place, "failed", {"error": exc.as_json(), "title": call.title})
            raise
        if decided is None:
            self._wait("item", asked, until=call.deadline, subject=asked.body["item"])
        return {
            name: decided.body[name]
            for name in ("outcome", "by", "at", "comment", "values", "digest", "item")
        }

    async def time(self, place: Place, name: str) -> datetime:
        entry = self._log.append_soon(place, f"time.{name}", {"at": to_text(self._log.now())})
        return from_text(entry.body["at"])

    async def wait_until(self, place: Place, when: datetime) -> None:
        if self._log.now() >= when:
            return
        self._log.waits.append(
            Wait(kind="timer", path=place.path, since=self._log.now(), until=when)
        )
        raise Parked

    def recall(self, place: Place, kind: str) -> dict[str, Any] | None:
        entry = self._log.recall(place, kind)
        return None if entry is None else entry.body

    async def note(self, place: Place, kind: str, body: dict[str, Any]) -> None:
        if kind not in (NOTE_FORK_FAILED, NOTE_EXPIRED):
            self._log.append_soon(place, kind, body)
            return

        def withdraw(connection: Connection) -> None:
            items.withdraw_below(connection, self._run.id, place.path)

        await self._log.append(place, kind, body, also=withdraw)
        await self._delegation.cancel_below(self._log, place.path)

    async def jitter(self, place: Place, low_s: float, high_s: float) -> float:
        # Seeded by the place, so it needs no randomness of ours and no second look at the journal.
        drawn = Random(f"{self._run.id}|{place.path}|{place.attempt}").uniform(low_s, high_s)  # noqa: S311 - not a secret
        entry = self._log.append_soon(place, "jitter", {"seconds": drawn})
        return float(entry.body["seconds"])

    async def _perform(self, call: Call) -> Any:
        """Carry on a call, through as many questions as the agent has."""
        ordinal = 0
        told = _Told()
        while True:
            ordinal += 1
            asked = self._log.recall(call.place, f"asked.{ordinal}")
            if asked is None:
                result = await self._delegation.perform(
                    call, self._log, told.answer, resend=told.resend
                )
                if isinstance(result, Output):
                    return result.value
                if isinstance(result, Working):
                    self._wait_for_agent(call, result.agent, result.pause)
                asked = await self._ask_about(call, ordinal, result)
            try:
                answered = await self._decision(call, asked, f"answered.{ordinal}")
            except WorkflowError:
                await self._delegation.cancel(self._log, call.place)
                raise
            if answered is None:
                answered = await self._unanswered(call, asked, ordinal)
            if asked.body["kind"] == "incident" and answered.body["outcome"] == "ran":
                return await self._ruled(call, answered)
            told = await self._told(call, asked, answered, ordinal)

    async def _unanswered(self, call: Call, asked: Entry, ordinal: int) -> Entry:
        """Wait for the person; an agent that needs an authorization may go on by itself.

        Returns:
            That the agent went on, as the answer to its question.
        """
        item_id, kind = asked.body["item"], asked.body["kind"]
        if kind != "auth":
            until = None if kind == "incident" else call.deadline
            self._wait("item", asked, until=until, subject=item_id)
        result = await self._delegation.perform(call, self._log)
        if isinstance(result, Asked) and result.question.authorization:
            look = self._log.now() + AUTH_POLL
            until = look if call.deadline is None else min(look, call.deadline)
            self._wait("item", asked, until=until, subject=item_id)
        body = {
            "item": item_id,
            "outcome": "resumed",
            "by": f"agent:{asked.body['agent']}",
            "at": to_text(self._log.now()),
            "digest": asked.body["digest"],
            "comment": "",
            "values": {},
        }
        return await self._log.append(
            call.place, f"answered.{ordinal}", body, also=self._close_items(call.place)
        )

    def _close_items(self, place: Place) -> Callable[[Connection], None]:
        """Withdraw what is still open at exactly this place; for the transaction that ends it."""
        return lambda connection: items.withdraw_at(connection, self._run.id, place)

    async def _told(self, call: Call, asked: Entry, answered: Entry, ordinal: int) -> _Told:
        """Turn a decision into what the agent is told.

        Raises:
            WorkflowError: `authorization`, if the person declined; the task is cancelled.
        """
        match asked.body["kind"], answered.body["outcome"]:
            case "incident", "resend":
                return _Told(resend=ordinal)
            case _, "decline" | "stop" as outcome:
                await self._delegation.cancel(self._log, call.place)
                raise WorkflowError(
                    Standard.AUTHORIZATION,
                    f"{answered.body['by']} chose to {outcome}",
                    answered.body["comment"] or None,
                    instance=call.place.path,
                )
            case "auth", _:
                return _Told()  # authorized out of band: nothing is said in the conversation
            case _:
                values = answered.body["values"]
                return _Told(answer=Answer(ordinal, asked.body["key"], values))

    async def _ruled(self, call: Call, answered: Entry) -> Any:
        """An operator says that it ran, with this result."""
        text = answered.body["values"].get("result", "")
        value = strict_json.loads(text)
        await self._log.append(
            call.place, "observed", {"output": value, "task": "", "by": answered.body["by"]}
        )
        return value

    async def _ask_about(self, call: Call, ordinal: int, result: Asked | Uncertain) -> Entry:
        at = self._log.now()
        if isinstance(result, Uncertain):
            item = questions.incident(
                self._run, call, ordinal=ordinal, at=at, agent=result.agent, known=result.known
            )
            key = ""
        else:
            question = result.question
            key = question.key
            item = questions.agent_question(
                self._run,
                call,
                ordinal=ordinal,
                at=at,
                agent=result.agent,
                task=result.task,
                context=result.context,
                message=question.message,
                schema=question.schema,
                authorization=question.authorization,
            )
        return await self._ask(call.place, f"asked.{ordinal}", item, key=key)

    async def _ask(self, place: Place, kind: str, item: WorkItem, *, key: str = "") -> Entry:
        body = {
            "item": item.id,
            "kind": str(item.kind),
            "title": item.title,
            "reason": item.reason,
            "summary": [fact.as_json() for fact in item.summary],
            "digest": item.digest,
            "candidates": item.candidates,
            "excluded": item.excluded,
            "agent": item.origin.get("agent", ""),
            "key": key,
        }
        return await self._log.append(place, kind, body, also=lambda c: items.insert(c, item))

    async def _decision(self, call: Call, asked: Entry, kind: str) -> Entry | None:
        """Return the decision; None while there is none and time is left.

        Raises:
            WorkflowError: `timeout`, if the deadline passed first. Which of the two was first is
                settled by the item's state, in one transaction.
        """
        decided = self._log.recall(call.place, kind)
        if decided is not None or call.deadline is None or asked.body["kind"] == "incident":
            return decided
        if self._log.now() < call.deadline:
            return None
        item_id, now = asked.body["item"], self._log.now()

        def expire(connection: Connection) -> bool:
            if items.close(connection, item_id, ItemState.EXPIRED):
                journal.append(
                    connection,
                    self._run.id,
                    call.place,
                    f"{kind}.expired",
                    now,
                    {"item": item_id},
                )
                return True
            item = items.get(connection, item_id)
            return item is None or item.state is not ItemState.DECIDED

        if await self._database.write(expire):
            raise WorkflowError(
                Standard.TIMEOUT,
                f"nobody decided in time: {asked.body['title']}",
                "no answer is not a yes",
                instance=call.place.path,
            )
        await self._log.refresh()
        return self._log.recall(call.place, kind)

    def _wait_for_agent(self, call: Call, agent: str, pause: timedelta) -> NoReturn:
        now = self._log.now()
        until = now + pause
        if call.deadline is not None:
            until = min(until, call.deadline)
        self._log.waits.append(
            Wait(kind="agent", path=call.place.path, since=now, until=until, subject=agent)
        )
        raise Parked

    def _wait(self, kind: str, since: Entry, *, until: datetime | None, subject: str) -> NoReturn:
        self._log.waits.append(
            Wait(kind=kind, path=since.path, since=since.at, until=until, subject=subject)
        )
        raise Parked
