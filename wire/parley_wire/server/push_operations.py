"""The operations on push notification configurations (A2A 1.0 3.1.7 to 3.1.10)."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from a2a.utils.errors import PushNotificationNotSupportedError

from parley_wire.server.forms import invalid
from parley_wire.server.push_params import PushConfig, created_config, push_query
from parley_wire.server.texts import dumps, timestamp

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from parley_wire.server.endpoint import Call
    from parley_wire.server.push_outbox import Configs
    from parley_wire.webhooks import Webhooks


class PushOperations:
    """Answers the four operations, of an agent whose card says that it pushes.

    Args:
        configs: None: the agent does not push.
        webhooks: Judges addresses before they are stored.
        wake: Called when there may be something to send.
    """

    def __init__(
        self,
        configs: Configs | None,
        webhooks: Webhooks,
        *,
        wake: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:
        self._configs = configs
        self._webhooks = webhooks
        self._wake = wake
        self._now = now

    def wake(self) -> None:
        if self._configs is not None:
            self._wake()

    def check(self, config: PushConfig) -> None:
        """Raises: PushNotificationNotSupportedError, InvalidParamsError."""
        self.check_offered()
        problem = self._webhooks.problem(config.url)
        if problem:
            raise invalid("url", problem)

    def check_offered(self) -> None:
        """Raises: PushNotificationNotSupportedError."""
        if self._configs is None:
            raise PushNotificationNotSupportedError("this agent does not push; its card says so")

    async def answer(self, method: str, params: Any, call: Call) -> str:
        """Return the JSON text of a result. Secrets are never in it.

        Raises:
            PushNotificationNotSupportedError: If the agent does not push.
            InvalidParamsError: If the parameters are wrong, or the address is not one to be called.
            TaskNotFoundError: If the caller has no such task, or the task no such configuration.
        """
        configs = self._configs
        if configs is None:
            raise PushNotificationNotSupportedError("this agent does not push; its card says so")
        if method == "CreateTaskPushNotificationConfig":
            task_id, config = created_config(params)
            self.check(config)
            if not config.id:
                config = replace(config, id=str(uuid.uuid4()))
            await configs.create(task_id, config, call.caller, timestamp(self._now()))
            self._wake()
            return config.text(task_id)
        query = push_query(method, params)
        if method == "GetTaskPushNotificationConfig":
            found = await configs.get(query.task_id, query.config_id, call.caller)
            return found.text(query.task_id)
        if method == "DeleteTaskPushNotificationConfig":
            await configs.remove(query.task_id, query.config_id, call.caller)
            return "{}"
        page = await configs.page(
            query.task_id, call.caller, after=query.page_token, limit=query.page_size + 1
        )
        shown = page[: query.page_size]
        texts = ",".join(each.text(query.task_id) for each in shown)
        more = f',"nextPageToken":{dumps(shown[-1].id)}' if len(page) > len(shown) else ""
        return f'{{"configs":[{texts}]{more}}}'
