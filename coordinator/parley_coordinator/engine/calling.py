"""Calls of agents, through as many questions and incidents as it takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from parley_cards import strict_json

from parley_coordinator.delegation import intents
from parley_coordinator.delegation.outcomes import Answer, Asked, Output, Uncertain, Working
from parley_coordinator.inbox import questions
from parley_coordinator.model import Wait
from parley_coordinator.store.tables import from_text, to_text
from parley_coordinator.workflow.effects import Call, Parked, Request
from parley_coordinator.workflow.errors import NO_RESULT, Standard, WorkflowError

if TYPE_CHECKING:
    from datetime import datetime

    from parley_coordinator.delegation.delegation import Delegation
    from parley_coordinator.engine.asking import Asking
    from parley_coordinator.model import Entry, Run
    from parley_coordinator.store.log import RunLog

AUTH_POLL: Final = timedelta(seconds=30)
"""An agent in AUTH_REQUIRED may resume by itself (A2A 1.0 section 7.6): look this often."""
AGAIN: Final = timedelta(hours=1)
"""What an undo call that an operator has sent again may take."""

C = TypeVar("C", Call, Request)


@dataclass(frozen=True, slots=True)
class _Told:
    """What a decision means for the agent: an answer, or that the message goes out once more."""

    answer: Answer | None = None
    resend: int = 0


class Calling:
    """Has agents do the steps of one run."""

    def __init__(self, run: Run, log: RunLog, delegation: Delegation, asking: Asking) -> None:
        self._run = run
        self._log = log
        self._delegation = delegation
        self._asking = asking

    async def call(self, call: Call) -> Any:
        """Implement `Effects.call`."""
        observed = self._log.recall(call.place, "observed")
        if observed is not None:
            return await self._log.output(observed)
        failed = self._log.recall(call.place, "failed")
        if failed is not None:
            raise WorkflowError.from_json(failed.body["error"])
        try:
            return await self._perform(call)
        except WorkflowError as exc:
            if exc.instance is None:
                exc.instance = call.place.path
            body: dict[str, Any] = {"error": exc.as_json(), "title": call.title}
            if self._may_have_run(call, exc):
                body["sent"] = True
            closing = self._asking.closing(call.place)
            await self._log.append(call.place, "failed", body, also=closing)
            raise

    def _may_have_run(self, call: Call, error: WorkflowError) -> bool:
        """Tell whether the error leaves it open that the step has had its effect.

        An agent's FAILED, REJECTED and CANCELED are taken at their word: it was not done.
        """
        if intents.of(self._log, call.place).nothing_begun:
            return False
        open_ended = error.is_a(Standard.TIMEOUT) or error.is_a(Standard.AUTHORIZATION)
        return open_ended or error.status == NO_RESULT

    async def _perform(self, call: Call) -> Any:
        """Carry on a call, through as many questions as there are.

        An undo call that is sent again is a transaction of its own: what is known of the one that
        failed does not count.
        """
        ordinal = 0
        told = _Told()
        current = call
        unfit: Uncertain | None = None
        while True:
            ordinal += 1
            asked = self._log.recall(call.place, f"asked.{ordinal}")
            if asked is None:
                result = unfit or await self._try(current, told)
                if isinstance(result, Output):
                    if current.place != call.place:
                        await self._log.observe(call.place, result.value, {"task": ""})
                    return result.value
                if isinstance(result, Working):
                    self._wait_for_agent(current, result.agent, result.pause)
                asked = await self._ask_about(call, ordinal, result)
            unfit = None
            try:
                answered = await self._answered(current, asked, ordinal)
                if asked.body["kind"] == "incident" and answered.body["outcome"] == "ran":
                    return await self._ruled(call, answered)
                told = await self._told(current, asked, answered, ordinal)
            except WorkflowError as error:
                if not call.compensates or asked.body["kind"] == "incident":
                    raise
                unfit = undo_failed(self._log, current, error)
                continue
            if told.resend and call.compensates:
                current, told = once_more(call, answered, ordinal), _Told()
            elif told.resend:
                current = replace(call, deadline=self._anew(call, answered))

    def _anew(self, call: Call, answered: Entry) -> datetime | None:
        """Return the deadline of what an operator has sent again: as much time as it had at first."""
        if call.deadline is None:
            return None
        started = self._log.recall(call.place, "time.started")
        begun = None if started is None else from_text(started.body["at"])
        if begun is None:
            intended = intents.of(self._log, call.place).newest
            begun = call.deadline if intended is None else intended.at
        again = from_text(answered.body["at"]) + (call.deadline - begun)
        return max(call.deadline, again)

    async def _answered(self, call: Call, asked: Entry, ordinal: int) -> Entry:
        """Return the answer to a question, or wait for it.

        Raises:
            WorkflowError: `timeout`, if nobody has answered in time; the task is cancelled.
        """
        place = asked.place
        try:
            answered = await self._asking.decision(
                place, asked, f"answered.{ordinal}", call.deadline
            )
        except WorkflowError:
            await self._delegation.give_up(self._log, call.place)
            raise
        return answered or await self._unanswered(call, asked, ordinal)

    async def _try(self, call: Call, told: _Told) -> Output | Asked | Working | Uncertain:
        """Carry the call as far as it goes; an undo call that fails is a question, not an error."""
        try:
            return await self._delegation.perform(call, self._log, told.answer, resend=told.resend)
        except WorkflowError as error:
            if not call.compensates:
                raise
            return undo_failed(self._log, call, error)

    async def _unanswered(self, call: Call, asked: Entry, ordinal: int) -> Entry:
        """Wait for the person; an agent that needs an authorization may go on by itself.

        Returns:
            That the agent went on, as the answer to its question.
        """
        kind = asked.body["kind"]
        if kind != "auth":
            self._asking.wait(asked, until=None if kind == "incident" else call.deadline)
        result = await self._try(call, _Told())
        if isinstance(result, Asked) and result.question.authorization:
            look = self._log.now() + AUTH_POLL
            self._asking.wait(
                asked, until=look if call.deadline is None else min(look, call.deadline)
            )
        body = {
            "item": asked.body["item"],
            "outcome": "resumed",
            "by": f"agent:{asked.body['agent']}",
            "at": to_text(self._log.now()),
            "digest": asked.body["digest"],
            "comment": "",
            "values": {},
        }
        closing = self._asking.closing(asked.place)
        return await self._log.append(asked.place, f"answered.{ordinal}", body, also=closing)

    async def _told(self, call: Call, asked: Entry, answered: Entry, ordinal: int) -> _Told:
        """Turn a decision into what the agent is told.

        Raises:
            WorkflowError: `authorization`, if the person declined; the task is cancelled.
        """
        match asked.body["kind"], answered.body["outcome"]:
            case "incident", "resend":
                return _Told(resend=ordinal)
            case _, "decline" | "stop":
                await self._delegation.give_up(self._log, call.place)
                raise stopped(call, answered)
            case "auth", _:
                return _Told()  # authorized out of band: nothing is said in the conversation
            case _:
                values = answered.body["values"]
                return _Told(answer=Answer(ordinal, asked.body["key"], values))

    async def _ruled(self, call: Call, answered: Entry) -> Any:
        """An operator says that it ran, with this result."""
        value = ruled_result(answered)
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
        return await self._asking.ask(call.place, f"asked.{ordinal}", item, key=key)

    def _wait_for_agent(self, call: Call, agent: str, pause: timedelta) -> NoReturn:
        now = self._log.now()
        until = now + pause
        if call.deadline is not None:
            until = min(until, call.deadline)
        self._log.waits.append(
            Wait(kind="agent", path=call.place.path, since=now, until=until, subject=agent)
        )
        raise Parked


def once_more(call: C, answered: Entry, ordinal: int) -> C:
    """Return an undo call that an operator has sent again: at a place and with a time of its own."""
    attempt = f"{call.place.attempt}.{ordinal + 1}"
    deadline = from_text(answered.body["at"]) + AGAIN
    return replace(call, place=replace(call.place, attempt=attempt), deadline=deadline)


def undo_failed(log: RunLog, call: Call, error: WorkflowError) -> Uncertain:
    """Gather what is known of an undo call that failed, for the operator who decides about it."""
    intended = intents.of(log, call.place).newest
    known: dict[str, Any] = {} if intended is None else dict(intended.body)
    known["intendedAt"] = "" if intended is None else intended.at.isoformat()
    known["task"] = log.task_at(call.place)
    known["undoes"] = call.compensates
    known["why"] = str(error)
    agent = known.get("agent", {}).get("name", "") if intended is not None else ""
    return Uncertain(agent, known)


def stopped(call: Call | Request, answered: Entry) -> WorkflowError:
    """Return the error of a step that a person did not let go on."""
    return WorkflowError(
        Standard.AUTHORIZATION,
        f"{answered.body['by']} chose to {answered.body['outcome']}",
        answered.body["comment"] or None,
        instance=call.place.path,
    )


def ruled_result(answered: Entry) -> Any:
    """Return the result that an operator wrote down for an effect that did happen; None: none."""
    text = str(answered.body["values"].get("result") or "").strip()
    return strict_json.loads(text) if text else None
