"""Calling back what an agent was asked to do, as far as that goes."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Final

from parley_cards.errors import ParleyError
from parley_wire.agent_errors import AgentAuthError, AgentRefusedError

from parley_coordinator.delegation import intents, results
from parley_coordinator.model import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    from a2a.types import Task
    from parley_cards.card import Card
    from parley_wire.client import AgentClient

    from parley_coordinator.delegation.routing import Routing
    from parley_coordinator.model import Entry, Place
    from parley_coordinator.store.log import RunLog

CANCEL_S: Final = 10.0
"""So long is an agent asked to cancel a task before that is given up."""
_ENDED: Final = frozenset(results.state_name(state) for state in results.TERMINAL)
LOOKS_S: Final = (0.1, 0.2, 0.5, 1.0)
"""Pauses between two looks at a task that was to be cancelled and works on; the last one repeats."""


async def cancel(
    routing: Routing, connect: Callable[[Card], AgentClient], log: RunLog, place: Place
) -> Stopped:
    """Cancel the task at a place."""
    known = intents.of(log, place)
    intended = known.newest
    if intended is None:
        return Stopped("nothing was sent", settled=True)
    if "agent" not in intended.body:
        who, traceable = intended.body["who"], bool(intended.body["traceable"])
        if not traceable:
            return Stopped(f"what {who} was asked cannot be called back", settled=True)
        # Whichever coordinator has asked still has what that takes, if it has not ended since.
        outcome = f"what {who} was asked cannot be called back from here; its task may be running"
        return Stopped(outcome, settled=False, elsewhere=True)
    if known.nothing_begun:
        return Stopped(f"{intended.body['agent']['name']} had not begun it", settled=True)
    outcome = await _call_back(routing, connect, intended, log.task_at(place))
    return Stopped(outcome, settled=outcome in _ENDED)


async def _call_back(
    routing: Routing,
    connect: Callable[[Card], AgentClient],
    intended: Entry,
    task_id: str | None,
) -> str:
    agent = intended.body["agent"]
    name = str(agent["name"])
    last: Task | None = None
    try:
        async with asyncio.timeout(CANCEL_S):
            choice = await routing.pinned(name, str(agent["card"]), str(intended.body["skill"]))
            if choice is None:
                return f"{name} is not in the registry any more; its task may be running"
            if choice.moved_to and choice.card.digest != agent["card"]:
                return f"{name} has moved to {choice.moved_to}; its task may be running"
            client = connect(choice.card)
            task_id = task_id or await _found(client, str(intended.body["context"]))
            if task_id is None:
                return f"{name} shows no task for it; it may be running"
            last = await _cancelled(client, task_id)
            pauses = itertools.chain(LOOKS_S, itertools.repeat(LOOKS_S[-1]))
            while last.status.state in results.ACTIVE:
                await asyncio.sleep(next(pauses))
                last = await client.get_task(task_id)
    except (ParleyError, TimeoutError) as exc:
        if last is not None and isinstance(exc, TimeoutError):
            return results.state_name(last.status.state)
        return f"{name} could not cancel: {str(exc) or 'no answer in time'}"
    return results.state_name(last.status.state)


async def _found(client: AgentClient, context: str) -> str | None:
    try:
        tasks = await client.list_tasks(context)
    except (AgentRefusedError, AgentAuthError):
        return None  # it cannot list, or not for us
    return next((task.id for task in tasks if task.context_id == context), None)


async def _cancelled(client: AgentClient, task_id: str) -> Task:
    """Cancel a task; one that has ended before is returned as it is."""
    try:
        return await client.cancel_task(task_id)
    except AgentRefusedError:
        task = await client.get_task(task_id)
        if task.status.state not in results.TERMINAL:
            raise
        return task
