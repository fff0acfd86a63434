"""An agent that the registry knows, reached through the coordinator: unchanged, but governed.

What the agent says is passed on as it says it: tasks keep their ids, bare messages stay bare. What is
added: the caller is somebody we know and may call agents, a task is its caller's alone, and each call is
logged (ADR-0019).
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from a2a.types import Message, Task
from a2a.utils.errors import A2A_ERROR_REASONS, A2AError, TaskNotFoundError
from parley_cards.errors import ParleyError
from parley_cards.extensions import DELEGATION
from parley_wire.agent_errors import AgentProtocolError, AgentRefusedError, TaskUnknownError
from parley_wire.events import event_of, send_result, task_of, tasks_page
from parley_wire.server.endpoint import Batch
from parley_wire.server.forms import invalid
from parley_wire.server.params import list_params, send_params, task_params
from parley_wire.server.push_params import created_config, push_query
from parley_wire.server.texts import dumps

from parley_coordinator.errors import InvalidRequestError
from parley_coordinator.governance.access import Permission, require
from parley_coordinator.store.cursor import read_cursor, write_cursor

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from parley_wire.client import AgentClient, Event
    from parley_wire.server.endpoint import Call
    from parley_wire.server.params import ListParams, SendParams
    from parley_wire.server.push_params import PushConfig

    from parley_coordinator.governance.access import Principal
    from parley_coordinator.web.ports import PassedOn

logger = logging.getLogger(__name__)

MAX_PAGES: Final = 20
MAX_REFERENCES: Final = 100
KEY: Final = "idempotencyKey"
"""Of the delegation contract."""
PAGE: Final = 100
_ERRORS: Final = {reason: error for error, reason in A2A_ERROR_REASONS.items()}


class AgentEndpoint:
    """One agent, for one caller. An `Endpoint`.

    Args:
        name: Of the agent in the registry.
        passed_on: Whose tasks there are.
    """

    def __init__(
        self, name: str, client: AgentClient, passed_on: PassedOn, principal: Principal
    ) -> None:
        self._name = name
        self._client = client
        self._passed_on = passed_on
        self._principal = principal

    async def answer(self, method: str, params: Any, call: Call) -> str:  # noqa: ARG002 - the port's
        with self._relaying(method):
            match method:
                case "SendMessage":
                    return await self._send(params)
                case "GetTask" | "CancelTask":
                    return await self._task(method, params)
                case "ListTasks":
                    return await self._list(list_params(params))
                case "GetExtendedAgentCard":
                    return dumps(await self._client.call(method, {}))
            return await self._push(method, params)

    async def stream(self, method: str, params: Any, call: Call) -> AsyncGenerator[Batch]:  # noqa: ARG002
        with self._relaying(method):
            if method == "SendStreamingMessage":
                send = send_params(params)
                asked = await self._admitted(send, params)
            else:
                task_id, _ = task_params(params)
                await self._own(task_id)
                asked = {"id": task_id}
            about = str(asked.get("id", ""))
            events = self._client.stream_json(method, asked)
            async with contextlib.aclosing(events):
                async for event in events:
                    about = await self._claim(event_of(self._name, event), about)
                    yield Batch((dumps(event),), last=False)

    async def _send(self, params: Any) -> str:
        asked = await self._admitted(send_params(params), params)
        result = await self._client.call("SendMessage", asked)
        await self._claim(send_result(self._name, result))
        return dumps(result)

    async def _admitted(self, send: SendParams, params: dict[str, Any]) -> dict[str, Any]:
        """Return what the agent is sent, once it is clear that the caller may say it there."""
        message = send.message
        if message.get("taskId"):
            await self._own(message["taskId"])
        referred = message.get("referenceTaskIds", [])
        if len(referred) > MAX_REFERENCES:
            raise invalid("message.referenceTaskIds", f"must name at most {MAX_REFERENCES} tasks")
        if referred and {*referred} - await self._passed_on.owned(
            self._name, self._caller, referred
        ):
            raise TaskNotFoundError("there is no such task")
        context = message.get("contextId", "")
        if context and await self._passed_on.others_context(self._name, context, self._caller):
            raise invalid("message.contextId", "cannot be used; leave it out, or choose another")
        configuration: dict[str, Any] = {"returnImmediately": send.return_immediately}
        if send.history_length is not None:
            configuration["historyLength"] = send.history_length
        if send.push is not None:
            configuration["taskPushNotificationConfig"] = _shown(send.push)
        given = params.get("configuration")
        modes = given.get("acceptedOutputModes") if isinstance(given, dict) else None
        if isinstance(modes, list):
            configuration["acceptedOutputModes"] = modes
        asked: dict[str, Any] = {
            "message": _keyed(message, self._caller),
            "configuration": configuration,
        }
        if isinstance(params.get("metadata"), dict):
            asked["metadata"] = params["metadata"]
        return asked

    async def _task(self, method: str, params: Any) -> str:
        task_id, length = task_params(params)
        await self._own(task_id)
        asked: dict[str, Any] = {"id": task_id}
        if length is not None:
            asked["historyLength"] = length
        if isinstance(params.get("metadata"), dict):
            asked["metadata"] = params["metadata"]
        result = await self._client.call(method, asked)
        if task_of(self._name, result).id != task_id:
            raise AgentProtocolError(f"{self._name} answered with another task than was asked for")
        return dumps(result)

    async def _list(self, asked: ListParams) -> str:
        """Return the caller's among the agent's tasks; the agent knows only us, so all are read."""
        try:
            before = read_cursor(asked.page_token)
        except InvalidRequestError as exc:
            raise invalid("pageToken", "is not one that this agent gave out") from exc
        found: list[tuple[str, str, dict[str, Any]]] = []
        wanted = _filters(asked)
        for _ in range(MAX_PAGES):
            result = await self._client.call("ListTasks", wanted)
            tasks, token = tasks_page(self._name, result)
            mine = await self._passed_on.owned(
                self._name, self._caller, [task.id for task in tasks]
            )
            shown = (each for each in result.get("tasks", []) if each["id"] in mine)
            found += [(_changed(each), each["id"], each) for each in shown]
            if not token:
                break
            wanted = {**wanted, "pageToken": token}
        found.sort(key=lambda each: each[:2], reverse=True)
        rest = [each for each in found if before is None or each[:2] < before]
        page = rest[: asked.page_size]
        more = write_cursor(*page[-1][:2]) if len(rest) > len(page) else ""
        return dumps(
            {
                "tasks": [each[2] for each in page],
                "nextPageToken": more,
                "pageSize": asked.page_size,
                "totalSize": len(found),
            }
        )

    async def _push(self, method: str, params: Any) -> str:
        if method == "CreateTaskPushNotificationConfig":
            task_id, config = created_config(params)
            await self._own(task_id)
            return dumps(await self._client.call(method, {"taskId": task_id, **_shown(config)}))
        query = push_query(method, params)
        await self._own(query.task_id)
        asked: dict[str, Any] = {"taskId": query.task_id}
        if query.config_id:
            asked["id"] = query.config_id
        else:
            asked["pageSize"] = query.page_size
            if query.page_token:
                asked["pageToken"] = query.page_token
        return dumps(await self._client.call(method, asked))

    @property
    def _caller(self) -> str:
        return self._principal.subject

    async def _own(self, task_id: str) -> None:
        if await self._passed_on.owner(self._name, task_id) != self._caller:
            raise TaskNotFoundError("there is no such task")

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

    @contextlib.contextmanager
    def _relaying(self, method: str) -> Generator[None]:
        """Check who calls, log how it ended, and call failures what the agent called them."""
        outcome = "left"
        try:
            require(self._principal, Permission.AGENT_CALL)
            yield
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
            logger.info("%s by %s to agent %s: %s", method, self._caller, self._name, outcome)


def _keyed(message: dict[str, Any], caller: str) -> dict[str, Any]:
    """Return a message whose idempotency key is its caller's alone: the agent takes us all for one."""
    metadata = message.get("metadata", {})
    contract = metadata.get(DELEGATION)
    key = contract.get(KEY) if isinstance(contract, dict) else None
    if not isinstance(key, str):
        return message
    own = hashlib.sha256(f"{caller}|{key}".encode()).hexdigest()
    return {**message, "metadata": {**metadata, DELEGATION: {**contract, KEY: own}}}


def _filters(asked: ListParams) -> dict[str, Any]:
    shown: dict[str, Any] = {"pageSize": PAGE, "includeArtifacts": asked.artifacts}
    if asked.context_id:
        shown["contextId"] = asked.context_id
    if asked.state:
        shown["status"] = asked.state
    if asked.history_length is not None:
        shown["historyLength"] = asked.history_length
    if asked.changed_since:
        shown["statusTimestampAfter"] = asked.changed_since
    return shown


def _changed(task: dict[str, Any]) -> str:
    """Return when a task changed, so that text order is time order; empty if it does not say."""
    status = task.get("status")
    given = status.get("timestamp") if isinstance(status, dict) else None
    try:
        return datetime.fromisoformat(str(given)).isoformat(timespec="microseconds")
    except ValueError:
        return ""


def _shown(config: PushConfig) -> dict[str, Any]:
    shown: dict[str, Any] = {"url": config.url}
    if config.id:
        shown["id"] = config.id
    if config.token:
        shown["token"] = config.token
    if config.scheme:
        shown["authentication"] = {"scheme": config.scheme, "credentials": config.credentials}
    return shown
