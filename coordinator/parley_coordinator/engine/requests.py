"""Requests of protocols, each a transaction: what leaves is in the journal before its first byte.

The journal of a place tells how far it is::

    intended   what is sent and to whom, and whether sending it twice is harmless
    sent       the task that an agent has named for it
    asked.N    nobody knows whether it was done, or it undoes something and failed: a person decides
    resent.N   the person has ruled that it did not run, and it is about to go out once more
    observed   the output
    failed     the error, final for this attempt; `sent`: it may have been done all the same

After a crash, what is idempotent is sent again, what can be asked about is looked up, and everything
else is a question to an operator. Secrets are replaced before anything is written down, so the
workflow goes on with what the journal holds.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn

from parley_cards.delegation import NO_BUDGET
from parley_cards.delegation_json import read_delegation

from parley_coordinator.delegation.outcomes import Uncertain
from parley_coordinator.delegation.terms import is_message
from parley_coordinator.engine.calling import once_more, ruled_result, stopped
from parley_coordinator.inbox import questions
from parley_coordinator.model import Wait
from parley_coordinator.protocols.outcome import Following, LostError, Trail
from parley_coordinator.protocols.redaction import Redaction, basic, confidential, large
from parley_coordinator.workflow.effects import Parked
from parley_coordinator.workflow.errors import Standard, WorkflowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from parley_cards.delegation import DelegationContract

    from parley_coordinator.delegation.terms import Terms
    from parley_coordinator.engine.asking import Asking
    from parley_coordinator.model import Entry, Run
    from parley_coordinator.protocols.outcome import Prepared
    from parley_coordinator.protocols.performer import Performer
    from parley_coordinator.store.log import RunLog
    from parley_coordinator.workflow.effects import Request

BUDGET: Final = timedelta(minutes=5)
"""How long an answer is waited for in memory; what can be asked about again parks after that."""
LOOK_AGAIN: Final = timedelta(seconds=5)
"""When an agent that was sent a message, and of which the card is not to be had, is looked at again."""
MAX_SUBJECT: Final = 200
"""Characters of whom a run waits for."""
WITHDRAW_S: Final = 10.0
"""So long is an agent asked to cancel a task before that is given up."""


class Requests:
    """Makes the requests of one run.

    Args:
        secrets: What must not be written down, beside the credentials of the request itself.
        terms: Of what is passed on to agents.
    """

    def __init__(
        self,
        run: Run,
        log: RunLog,
        performer: Performer,
        asking: Asking,
        secrets: Callable[[], Iterable[str]],
        terms: Terms,
    ) -> None:
        self._run = run
        self._log = log
        self._performer = performer
        self._asking = asking
        self._secrets = secrets
        self._terms = terms

    async def request(self, request: Request) -> Any:
        """Implement `Effects.request`."""
        place = request.place
        observed = self._log.recall(place, "observed")
        if observed is not None:
            return observed.body["output"]
        failed = self._log.recall(place, "failed")
        if failed is not None:
            raise WorkflowError.from_json(failed.body["error"])
        try:
            return await self._carry(request)
        except WorkflowError as exc:
            error = {**exc.as_json(), "instance": exc.instance or place.path}
            body = self._redaction(request).value({"error": error, "title": request.title})
            body["sent"] = self._log.recall(place, "intended") is not None and _may_be_done(exc)
            closing = self._asking.closing(place)
            entry = await self._log.append(place, "failed", body, also=closing)
            self._performer.open_tasks.drop(self._run.id, place)
            raise WorkflowError.from_json(entry.body["error"]) from None

    async def _carry(self, request: Request) -> Any:
        """Carry on a request through as many incidents as there are.

        An undo call that is sent again is a transaction of its own, with a new idempotency key: whoever
        serves it may have kept its failure under the old one.
        """
        place, current = request.place, request
        ordinal = resent = 0
        while True:
            ordinal += 1
            asked = self._log.recall(place, f"asked.{ordinal}")
            if asked is None:
                result = await self._try(current, resent)
                if not isinstance(result, Uncertain):
                    return await self._observe(request, current, result)
                asked = await self._ask(request, ordinal, result)
            answered = await self._asking.decision(place, asked, f"answered.{ordinal}", None)
            if answered is None:
                self._asking.wait(asked, until=None)
            if answered.body["outcome"] == "stop":
                await self._withdraw(current, resent)
                raise stopped(request, answered)
            if answered.body["outcome"] == "ran":
                return await self._ruled(request, current, answered)
            resent = ordinal
            if request.compensates:
                current, resent = once_more(request, answered, ordinal), 0

    async def _try(self, request: Request, resent: int) -> Any | Uncertain:
        """Carry the request as far as it goes; an undo call that fails is a question, not an error."""
        try:
            return await self._perform(request, resent)
        except WorkflowError as error:
            if not request.compensates:
                raise
            return self._uncertain(request, str(error))

    async def _perform(self, request: Request, resent: int) -> Any | Uncertain:
        """Send the request, or go on with one that was sent.

        Args:
            resent: Ordinal of the incident in which a person has ruled that it did not run; 0: none.
        """
        intended = self._log.recall(request.place, "intended")
        again = self._log.recall(request.place, f"resent.{resent}") if resent else None
        begun = intended is not None if not resent else again is not None
        if begun and intended is not None and not _may_go_on(intended):
            return self._uncertain(
                request, "it was sent, and its answer did not come into the journal"
            )
        # A person has decided to send it: not in vain, whatever time it took them.
        left = BUDGET if resent else self._left(request)
        if left <= timedelta(0):
            raise _late(request, await self._withdraw(request, resent))
        prepared = await self._prepared(request, left, intended if begun else None, resent)
        if isinstance(prepared, Uncertain):
            return prepared
        if intended is None:
            intended = await self._intend(request, prepared)
        if resent and again is None:
            again = await self._log.append(request.place, f"resent.{resent}", {}, exclusive=True)
        since = intended.at if again is None else again.at
        trail = self._trail(request, since, begun=begun)
        self._performer.open_tasks.keep(trail, prepared)
        try:
            async with asyncio.timeout(left.total_seconds()):
                result = await prepared.send(trail)
        except TimeoutError:
            await self._log.flush()
            if not resent and self._left(request) <= timedelta(0):
                raise _late(request, f"it was sent; {await prepared.cancel(trail)}") from None
            if prepared.traceable:
                self._park(request, prepared.who, trail.pause())
            return self._lost(request, prepared, f"no answer within {left.total_seconds():g} s")
        except LostError as exc:
            return self._lost(request, prepared, str(exc))
        if isinstance(result, Following):
            self._park(request, prepared.who, result.pause)
        return result

    async def _prepared(
        self, request: Request, left: timedelta, begun: Entry | None, resent: int
    ) -> Prepared | Uncertain:
        """Make the request complete; what has begun already does not fail because that does not work.

        Args:
            begun: That the request was sent before, if it was.
            resent: See `_perform`.
        """
        try:
            async with asyncio.timeout(left.total_seconds()):
                if is_message(request.protocol, request.arguments):
                    request = replace(request, contract=self._contract(request, resent))
                return await self._performer.prepare(request, self._run.id)
        except TimeoutError:
            if self._left(request) <= timedelta(0):
                raise _late(request, "what describes it did not come in time") from None
            detail = "what describes it did not come in time"
            title = f"{request.title} could not begin"
            error = WorkflowError(Standard.COMMUNICATION, title, detail, status=504)
        except WorkflowError as exc:
            error = exc
        if begun is None or begun.body["idempotent"]:
            raise error
        if error.is_a(Standard.COMMUNICATION):
            self._park(request, begun.body["who"], LOOK_AGAIN)
        return self._uncertain(request, f"it was sent, and cannot be asked about: {error}")

    def _contract(self, request: Request, resent: int) -> DelegationContract:
        """Return the contract of a message; what is sent again is the same to the byte.

        What a person has sent again has no deadline: the first one may have passed.
        """
        intended = self._log.recall(request.place, "intended")
        if intended is None:
            return self._terms.of_request(request, self._log)
        if "contract" in intended.body:
            contract = read_delegation(intended.body["contract"])
        else:
            # The agent is not told, or it was before budgets were.
            contract = replace(self._terms.of_request(request, self._log), budget=NO_BUDGET)
        return replace(contract, deadline=None) if resent else contract

    def _trail(self, request: Request, since: datetime, *, begun: bool) -> Trail:
        return Trail(
            log=self._log,
            place=request.place,
            begun=begun,
            since=since,
            # It may be kept for long: without the journal of this run.
            confidential=partial(_confidential, request, self._performer, self._secrets),
        )

    async def _intend(self, request: Request, prepared: Prepared) -> Entry:
        body = {
            "title": request.title,
            "who": prepared.who,
            **prepared.facts,
            "traceable": prepared.traceable,
            **({"compensates": request.compensates} if request.compensates else {}),
        }
        body = self._redaction(request).value(body)
        # Nothing is awaited from here to the row: two branches cannot both get the last call.
        self._terms.check_budget(request, self._log)
        return await self._log.append(request.place, "intended", body, exclusive=True)

    async def _withdraw(self, request: Request, resent: int) -> str:
        """Call back what was sent, as far as that goes; return what came of it, in words."""
        intended = self._log.recall(request.place, "intended")
        if intended is None:
            return "nothing was sent"
        if not intended.body["traceable"]:
            return "it was sent; a request cannot be called back"
        again = self._log.recall(request.place, f"resent.{resent}")
        since = intended.at if again is None else again.at
        trail = self._trail(request, since, begun=True)
        try:
            async with asyncio.timeout(WITHDRAW_S):
                prepared = await self._performer.prepare(request, self._run.id)
                return f"it was sent; {await prepared.cancel(trail)}"
        except (WorkflowError, LostError, TimeoutError) as exc:
            return f"it was sent, and could not be called back: {str(exc) or 'no answer in time'}"

    def _lost(self, request: Request, prepared: Prepared, why: str) -> Uncertain:
        """An answer was lost: an error where the request may be repeated, else a question."""
        if not prepared.idempotent:
            return self._uncertain(request, why)
        title = f"The answer of {prepared.who} was lost"
        raise WorkflowError(Standard.COMMUNICATION, title, why, status=504)

    def _uncertain(self, request: Request, why: str) -> Uncertain:
        intended = self._log.recall(request.place, "intended")
        known: dict[str, Any] = {} if intended is None else dict(intended.body)
        known["intendedAt"] = "" if intended is None else intended.at.isoformat()
        known["task"] = self._log.task_at(request.place)
        known["why"] = self._redaction(request).text(why)
        if request.compensates:
            known["undoes"] = request.compensates
        return Uncertain(str(known.get("who", "")), known)

    async def _ask(self, request: Request, ordinal: int, result: Uncertain) -> Entry:
        at = self._log.now()
        item = questions.incident(
            self._run, request, ordinal=ordinal, at=at, agent=result.agent, known=result.known
        )
        return await self._asking.ask(request.place, f"asked.{ordinal}", item)

    async def _observe(self, request: Request, current: Request, output: Any) -> Any:
        hidden = self._redaction(request)
        shown = (
            await asyncio.to_thread(hidden.value, output) if large(output) else hidden.value(output)
        )
        body = {"output": shown, "task": ""}
        body["task"] = self._log.task_at(current.place) or ""
        return await self._observed(request, current, body)

    async def _ruled(self, request: Request, current: Request, answered: Entry) -> Any:
        """An operator says that it ran, with this result."""
        body = {"output": ruled_result(answered), "task": "", "by": answered.body["by"]}
        return await self._observed(request, current, body)

    async def _observed(self, request: Request, current: Request, body: dict[str, Any]) -> Any:
        if current.place != request.place and self._log.recall(current.place, "intended"):
            await self._log.append(current.place, "observed", body)
        entry = await self._log.append(request.place, "observed", body)
        for place in (current.place, request.place):
            self._performer.open_tasks.drop(self._run.id, place)
        return entry.body["output"]

    def _park(self, request: Request, who: str, pause: timedelta) -> NoReturn:
        now = self._log.now()
        until = now + pause
        if request.deadline is not None:
            until = min(until, max(request.deadline, now))
        subject = self._redaction(request).text(who)[:MAX_SUBJECT]
        self._log.waits.append(
            Wait(kind="agent", path=request.place.path, since=now, until=until, subject=subject)
        )
        raise Parked

    def _left(self, request: Request) -> timedelta:
        if request.deadline is None:
            return BUDGET
        return min(BUDGET, request.deadline - self._log.now())

    def _redaction(self, request: Request) -> Redaction:
        return Redaction(_confidential(request, self._performer, self._secrets))


def _confidential(
    request: Request, performer: Performer, secrets: Callable[[], Iterable[str]]
) -> Iterator[str]:
    yield from secrets()
    yield from performer.confidential()
    policy = request.authentication or {}
    yield from confidential(policy)
    if policy.get("scheme") == "basic":
        yield basic(policy["username"], policy["password"])


def _may_go_on(intended: Entry) -> bool:
    return bool(intended.body["idempotent"] or intended.body["traceable"])


def _may_be_done(error: WorkflowError) -> bool:
    """Its deadline passed, its answer was lost on the way, or is there and cannot be read."""
    return error.is_a(Standard.TIMEOUT) or error.status in (502, 504)


def _late(request: Request, detail: str) -> WorkflowError:
    title = f"{request.title or request.protocol} was not done in time"
    return WorkflowError(Standard.TIMEOUT, title, detail, instance=request.place.path)
