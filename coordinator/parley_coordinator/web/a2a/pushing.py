"""Webhooks of a workflow's callers: the operations, and what comes with a message (A2A 1.0 4.3)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from parley_wire.server.push_operations import PushOperations
from parley_wire.server.push_outbox import Configs
from parley_wire.server.push_params import created_config, push_query
from parley_wire.server.texts import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from parley_wire.server.endpoint import Call
    from parley_wire.server.push_params import PushConfig
    from parley_wire.webhooks import Webhooks

    from parley_coordinator.governance.access import Principal


class RunConfigs(Configs, Protocol):
    """The configurations of runs; `parley_coordinator.engine.notifying` implements it."""

    async def check_room(self, task_id: str, config: PushConfig, caller: str) -> None:
        """Raises: InvalidParamsError: If the caller has too many at this run for one more."""
        ...

    async def attach(self, task_id: str, config: PushConfig, caller: str, now: str) -> None:
        """Store a webhook that came with a message; when the message comes again nothing changes.

        Raises:
            InvalidParamsError: If the caller has too many at this run already.
        """
        ...


class Push:
    """What all workflows have in common.

    Args:
        configs: None: workflows do not push.
        webhooks: Judges addresses before they are stored.
        wake: Called when there may be something to send.
    """

    def __init__(
        self,
        configs: RunConfigs | None,
        webhooks: Webhooks,
        *,
        wake: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:
        self.offered = configs is not None
        self._configs = configs
        self._wake = wake
        self._now = now
        self._operations = PushOperations(configs, webhooks, wake=wake, now=now)

    async def check(self, config: PushConfig | None, run_id: str, principal: Principal) -> None:
        """Refuse what comes with a message before the message has an effect.

        Args:
            config: If there is one.
            run_id: That the message is for; empty: it begins one.
            principal: Who says it.

        Raises:
            PushNotificationNotSupportedError: If workflows do not push.
            InvalidParamsError: If the address is not one to be called, or there are too many already.
        """
        if config is None:
            return
        self._operations.check(config)
        if run_id and self._configs is not None:
            await self._configs.check_room(run_id, config, principal.subject)

    async def attach(self, run_id: str, config: PushConfig | None, principal: Principal) -> None:
        """Store what came with a message that was taken.

        Raises:
            InvalidParamsError: If there are too many already.
        """
        if config is None or self._configs is None:
            return
        await self._configs.attach(run_id, config, principal.subject, timestamp(self._now()))
        self._wake()

    def task_of(self, method: str, params: Any) -> str:
        """Return the task that an operation is about.

        Raises:
            PushNotificationNotSupportedError: If workflows do not push.
            InvalidParamsError: If the parameters are wrong.
        """
        self._operations.check_offered()
        if method == "CreateTaskPushNotificationConfig":
            return created_config(params)[0]
        return push_query(method, params).task_id

    async def answer(self, method: str, params: Any, call: Call, principal: Principal) -> str:
        """Return the JSON text of a result; its errors are those of `PushOperations`."""
        return await self._operations.answer(
            method, params, replace(call, caller=principal.subject)
        )
