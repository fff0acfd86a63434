"""Where a caller wants to be told about a task, checked before anything is stored (A2A 1.0 4.3)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from a2a.types import (
    DeleteTaskPushNotificationConfigRequest,
    GetTaskPushNotificationConfigRequest,
    ListTaskPushNotificationConfigsRequest,
    TaskPushNotificationConfig,
)
from google.protobuf.message import Message as ProtobufMessage

from parley_wire.server.forms import invalid, usual_form
from parley_wire.server.texts import dumps

MAX_URL: Final = 2048
MAX_SECRET: Final = 4096
MAX_ID: Final = 256
DEFAULT_PAGE: Final = 50
MAX_PAGE: Final = 100
_SCHEME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}", re.ASCII)
_HEADER: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?", re.ASCII)
_REQUESTS: Final[dict[str, type[ProtobufMessage]]] = {
    "GetTaskPushNotificationConfig": GetTaskPushNotificationConfigRequest,
    "ListTaskPushNotificationConfigs": ListTaskPushNotificationConfigsRequest,
    "DeleteTaskPushNotificationConfig": DeleteTaskPushNotificationConfigRequest,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PushConfig:
    """A webhook of one task. Empty: not given."""

    id: str
    url: str
    token: str
    scheme: str
    credentials: str

    def text(self, task_id: str) -> str:
        """Return what callers may see of it: no secrets."""
        value: dict[str, Any] = {"id": self.id, "taskId": task_id, "url": self.url}
        if self.scheme:
            value["authentication"] = {"scheme": self.scheme}
        return dumps(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class PushQuery:
    task_id: str
    config_id: str
    page_size: int
    page_token: str


def push_config(params: Any, place: str = "") -> PushConfig:
    """Raises: InvalidParamsError."""
    given = usual_form(params, {}, TaskPushNotificationConfig)
    at = f"{place}." if place else ""
    authentication = given.get("authentication") or {}
    config = PushConfig(
        id=given.get("id", ""),
        url=given.get("url", ""),
        token=given.get("token", ""),
        scheme=authentication.get("scheme", ""),
        credentials=authentication.get("credentials", ""),
    )
    if not config.url:
        raise invalid(f"{at}url", "is required")
    if len(config.url) > MAX_URL:
        raise invalid(f"{at}url", f"must have at most {MAX_URL} characters")
    if len(config.id) > MAX_ID or (config.id and not _HEADER.fullmatch(config.id)):
        raise invalid(f"{at}id", f"must be at most {MAX_ID} printable ASCII characters")
    if (config.scheme or config.credentials) and not _SCHEME.fullmatch(config.scheme):
        raise invalid(f"{at}authentication.scheme", "must be an HTTP authentication scheme")
    for name, value in (
        ("token", config.token),
        ("authentication.credentials", config.credentials),
    ):
        if len(value) > MAX_SECRET or (value and not _HEADER.fullmatch(value)):
            raise invalid(f"{at}{name}", f"must be at most {MAX_SECRET} printable ASCII characters")
    return config


def created_config(params: Any) -> tuple[str, PushConfig]:
    """Return the task id and what to create for it.

    Raises:
        InvalidParamsError: If the task id is missing, or the configuration is not one.
    """
    given = usual_form(params, {}, TaskPushNotificationConfig)
    if not given.get("taskId"):
        raise invalid("taskId", "is required")
    return given["taskId"], push_config(given)


def push_query(method: str, params: Any) -> PushQuery:
    """Raises: InvalidParamsError."""
    given = usual_form(params, {}, _REQUESTS[method])
    listing = method == "ListTaskPushNotificationConfigs"
    for name in ("taskId",) if listing else ("taskId", "id"):
        if not given.get(name):
            raise invalid(name, "is required")
    page_size = given.get("pageSize", DEFAULT_PAGE)
    if not 1 <= page_size <= MAX_PAGE:
        raise invalid("pageSize", f"must be between 1 and {MAX_PAGE}")
    return PushQuery(
        task_id=given["taskId"],
        config_id=given.get("id", ""),
        page_size=page_size,
        page_token=given.get("pageToken", ""),
    )
