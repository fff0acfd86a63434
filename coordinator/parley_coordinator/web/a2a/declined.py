"""The operations that the cards of workflows do not offer."""
# ruff: noqa: ARG002 - the signatures are the SDK's

from __future__ import annotations

from typing import TYPE_CHECKING

from a2a.server.request_handlers.request_handler import RequestHandler
from a2a.utils.errors import PushNotificationNotSupportedError, UnsupportedOperationError

if TYPE_CHECKING:
    from a2a.server.context import ServerCallContext
    from a2a.types import (
        AgentCard,
        DeleteTaskPushNotificationConfigRequest,
        GetExtendedAgentCardRequest,
        GetTaskPushNotificationConfigRequest,
        ListTaskPushNotificationConfigsRequest,
        ListTaskPushNotificationConfigsResponse,
        TaskPushNotificationConfig,
    )


class Declined(RequestHandler):
    """Push notifications and the extended card, refused as A2A 1.0 3.3.4 says."""

    async def on_create_task_push_notification_config(
        self, params: TaskPushNotificationConfig, context: ServerCallContext
    ) -> TaskPushNotificationConfig:
        raise PushNotificationNotSupportedError

    async def on_get_task_push_notification_config(
        self, params: GetTaskPushNotificationConfigRequest, context: ServerCallContext
    ) -> TaskPushNotificationConfig:
        raise PushNotificationNotSupportedError

    async def on_list_task_push_notification_configs(
        self, params: ListTaskPushNotificationConfigsRequest, context: ServerCallContext
    ) -> ListTaskPushNotificationConfigsResponse:
        raise PushNotificationNotSupportedError

    async def on_delete_task_push_notification_config(
        self, params: DeleteTaskPushNotificationConfigRequest, context: ServerCallContext
    ) -> None:
        raise PushNotificationNotSupportedError

    async def on_get_extended_agent_card(
        self, params: GetExtendedAgentCardRequest, context: ServerCallContext
    ) -> AgentCard:
        raise UnsupportedOperationError("there is no extended card")
