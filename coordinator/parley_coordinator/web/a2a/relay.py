"""An agent that the registry knows, reached through the coordinator: unchanged, but governed.

What the agent says is passed on as it says it: tasks keep their ids, bare messages stay bare. What is
added: the caller is somebody we know and may call agents, a task is its caller's alone, the agent is
left alone when it is not well, and what it is asked is written down (ADR-0019, ADR-0024).
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from a2a.types import Message, Task
from a2a.utils.errors import (
    A2A_ERROR_REASONS,
    A2AError,
    ExtensionSupportRequiredError,
    TaskNotFoundError,
)
from parley_cards.errors import ParleyError
from parley_wire.agent_errors import AgentProtocolError, AgentRefusedError, TaskUnknownError
from parley_wire.events import event_of, send_result, task_of
from parley_wire.server.endpoint import Batch
from parley_wire.server.forms import invalid
from parley_wire.server.params import list_params, send_params, task_params
from parley_wire.server.push_params import created_config, push_query
from parley_wire.server.texts import dumps
from parley_wire.transport import KNOWN_EXTENSIONS

from parley_coordinator.governance.access import Permission, require
from parley_coordinator.web.a2a import relay_params
from parley_coordinator.web.a2a.relay_card import relayed_extended_card
from parley_coordinator.web.a2a.relay_pages import PAGE, read_cursor, read_page

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection

    from parley_wire.client import Event
    from parley_wire.server.endpoint import Call
    from parley_wire.server.params import ListParams, SendParams

    from parley_coordinator.governance.access import Principal
    from parley_coordinator.web.a2a.reach import Reach
    from parley_coordinator.web.a2a.relay_ports import (
        Line,
        Lines,
        PassedOn,
        RelayedActs,
        RemoteAgent,
    )

logger = logging.getLogger(__name__)

ACTS: Final = frozenset(
    {
        "SendMessage",
        "SendStreamingMessage",
        "CancelTask",
        "CreateTaskPushNotificationConfig",
        "DeleteTaskPushNotificationConfig",
    }
)
"""Operations that change something, and are written down before they do."""
_ERRORS: Final = {reason: error for error, reason in A2A_ERROR_REASONS.items()}


@dataclass(frozen=True, slots=True)
class Relay:
    """What all calls of agents through the coordinator have in common."""

    lines: Lines
    passed_on: PassedOn
    """Whose tasks there are."""
    acts: RelayedActs
    reach: Reach

    def endpoint(self, name: str, line: Line, principal: Principal) -> AgentEndpoint:
        return AgentEndpoint(name, line, self, principal)


@dataclass(slots=True)
class _Act:
    """One operation under way."""

    task_id: str = ""


class AgentEndpoint:
    """One agent, for one caller. An `Endpoint`.

    Args:
        name: Of the agent in the registry.
    """

    def __init__(self, name: str, line: Line, relay: Relay, principal: Principal) -> None:
        self._name = name
        self._line = line
        self._relay = relay
        self._passed_on = relay.passed_on
        self._principal = principal

    async def answer(self, method: str, params: Any, call: Call) -> str:
        async with self._relaying(method, params) as act:
            agent = self._agent(call)
            match method:
                case "SendMessage":
                    return await self._send(agent, params, act)
                case "GetTask" | "CancelTask":
                    return await self._task(agent, method, params)
                case "ListTasks":
                    return await self._list(agent, list_params(params))
                case "GetExtendedAgentCard":
                    result = await agent.call(method, {})
                    return relayed_extended_card(result, self._name, self._relay.reach)
            return await self._push(agent, method, params)

    async def stream(self, method: str, params: Any, call: Call) -> AsyncGenerator[Batch]:
        async with self._relaying(method, params) as act:
            agent = self._agent(call)
            if method == "SendStreamingMessage":
                asked = await self._admitted(send_params(params), params)
            else:
                act.task_id, _ = task_params(params)
                await self._own(act.task_id)
                asked = {"id": act.task_id}
            about = str(asked.get("id", ""))
            events = agent.stream_json(method, asked)
            async with contextlib.aclosing(events):
                async for event in events:
                    about = await self._claim(event_of(self._name, event), about)
                    act.task_id = about
                    yield Batch((dumps(event),), last=False)

    def _agent(self, call: Call) -> RemoteAgent:
        """Return the agent with the extensions active that the caller and its card name.

        Raises:
            ExtensionSupportRequiredError: If the card requires more.
            UnsupportedAgentError: If nothing that the agent offers is spoken here.
        """
        listed = self._line.card.json["capabilities"].get("extensions") or []
        required = {each["uri"] for each in listed if each.get("required")}
        missing = required - KNOWN_EXTENSIONS - call.extensions
        if missing:
            raise ExtensionSupportRequiredError(f"activate {', '.join(sorted(missing))[:500]}")
        return self._line.client(call.extensions)

    async def _send(self, agent: RemoteAgent, params: Any, act: _Act) -> str:
        asked = await self._admitted(send_params(params), params)
        result = await agent.call("SendMessage", asked)
        act.task_id = await self._claim(send_result(self._name, result))
        return dumps(result)

    async def _admitted(self, send: SendParams, params: dict[str, Any]) -> dict[str, Any]:
        """Return what the agent is sent, once it is clear that the caller may say it there."""
        message = send.message
        relay_params.check_ids(message)
        if message.get("taskId"):
            await self._own(message["taskId"])
        referred = message.get("referenceTaskIds", [])
        if referred and {*referred} - await self._owned(referred):
            raise TaskNotFoundError("there is no such task")
        context = message.get("contextId", "")
        if context and await self._passed_on.others_context(self._name, context, self._caller):
            raise invalid("message.contextId", "cannot be used; leave it out, or choose another")
        return relay_params.sent_params(send, params, self._caller)

    async def _task(self, agent: RemoteAgent, method: str, params: Any) -> str:
        task_id, length = task_params(params)
        await self._own(task_id)
        result = await agent.call(method, relay_params.named_params(task_id, length, params))
        if task_of(self._name, result).id != task_id:
            raise AgentProtocolError(f"{self._name} answered with another task than was asked for")
        return dumps(result)

    async def _list(self, agent: RemoteAgent, asked: ListParams) -> str:
        """Return the caller's among the agent's tasks: the agent knows only us."""
        cursor = read_cursor(asked.page_token)
        wanted = relay_params.listed_params(asked, PAGE)

        async def ask(token: str) -> Any:
            more = {"pageToken": token} if token else {}
            return await agent.call("ListTasks", {**wanted, **more})

        page = await read_page(self._name, cursor, asked.page_size, ask=ask, owned=self._owned)
        total = page.counted if cursor.total is None else cursor.total
        if total < 0:
            # Too many to be counted there: all that were ever asked for here.
            total = await self._passed_on.count(self._name, self._caller)
        following = page.following
        return dumps(
            {
                "tasks": page.tasks,
                "nextPageToken": ""
                if following is None
                else replace(following, total=total).text(),
                "pageSize": asked.page_size,
                "totalSize": total,
            }
        )

    async def _push(self, agent: RemoteAgent, method: str, params: Any) -> str:
        if method == "CreateTaskPushNotificationConfig":
            task_id, config = created_config(params)
            await self._own(task_id)
            asked = {"taskId": task_id, **relay_params.config_params(config)}
        else:
            query = push_query(method, params)
            await self._own(query.task_id)
            asked = relay_params.query_params(query)
        return dumps(await agent.call(method, asked))

    @property
    def _caller(self) -> str:
        return self._principal.subject

    async def _own(self, task_id: str) -> None:
        if await self._passed_on.owner(self._name, task_id) != self._caller:
            raise TaskNotFoundError("there is no such task")

    async def _owned(self, task_ids: Collection[str]) -> frozenset[str]:
        return await self._passed_on.owned(self._name, self._caller, task_ids)

    async def _claim(self, result: Event, about: str = "") -> str:
        """Let a task that the agent names belong to the caller, before the caller hears of it.

        Args:
            about: The task that the stream is about, as far as it is known.

        Returns:
            The task that it is about.
        """
        if isinstance(result, Message):
            return about
        task_id = result.id if isinstance(result, Task) else result.task_id
        if about and task_id != about:
            raise AgentProtocolError(f"{self._name} told of another task in the same stream")
        if not about and not await self._passed_on.claim(
            self._name, task_id, self._caller, result.context_id
        ):
            # The agent knows the message already: from somebody else.
            raise invalid("message.messageId", "was used before, for another message")
        return task_id

    @contextlib.asynccontextmanager
    async def _relaying(self, method: str, params: Any) -> AsyncGenerator[_Act]:
        """Check who calls, write down what and how it ended, and call failures what the agent called them."""
        act, outcome, number = _Act(_named(params)), "left", 0
        try:
            require(self._principal, Permission.AGENT_CALL)
            if method in ACTS:
                number = await self._relay.acts.begin(self._caller, self._name, method, act.task_id)
            yield act
            outcome = "answered"
        except TaskUnknownError as exc:
            outcome = exc.code
            raise TaskNotFoundError("there is no such task") from exc
        except AgentRefusedError as exc:
            outcome = exc.a2a_code
            error = _ERRORS.get(exc.a2a_code)
            if error is None:
                raise
            raise error(exc.message) from exc
        except (ParleyError, A2AError) as exc:
            outcome = exc.code if isinstance(exc, ParleyError) else type(exc).__name__
            raise
        finally:
            logger.info(
                "%s by %s to agent %s, task %s: %s",
                method,
                self._caller,
                self._name,
                act.task_id[:80] or "-",
                outcome,
            )
            if number:
                await self._relay.acts.end(number, act.task_id, outcome)


def _named(params: Any) -> str:
    """Return the task that the parameters name, as far as anybody has looked at them."""
    if not isinstance(params, dict):
        return ""
    message = params.get("message")
    places = (
        message.get("taskId") if isinstance(message, dict) else None,
        params.get("taskId"),
        params.get("id"),
    )
    return next((each for each in places if isinstance(each, str) and each), "")
