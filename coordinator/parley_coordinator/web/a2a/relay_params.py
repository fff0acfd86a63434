"""What agents are asked in the words of who calls them through the coordinator. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from parley_cards.extensions import DELEGATION
from parley_wire.server.forms import invalid

from parley_coordinator.delegation.ids import is_reserved

if TYPE_CHECKING:
    from parley_wire.server.params import ListParams, SendParams
    from parley_wire.server.push_params import PushConfig, PushQuery

MAX_REFERENCES: Final = 100
KEY: Final = "idempotencyKey"
"""Of the delegation contract."""


def check_ids(message: dict[str, Any]) -> None:
    """Refuse ids that only the steps of runs may have, and too many references.

    Raises:
        InvalidParamsError
    """
    for name in ("messageId", "contextId"):
        if is_reserved(message.get(name, "")):
            raise invalid(f"message.{name}", "cannot be used; choose another")
    if len(message.get("referenceTaskIds", [])) > MAX_REFERENCES:
        raise invalid("message.referenceTaskIds", f"must name at most {MAX_REFERENCES} tasks")


def sent_params(send: SendParams, params: dict[str, Any], caller: str) -> dict[str, Any]:
    """Return the parameters of SendMessage and SendStreamingMessage."""
    configuration: dict[str, Any] = {"returnImmediately": send.return_immediately}
    if send.history_length is not None:
        configuration["historyLength"] = send.history_length
    if send.push is not None:
        configuration["taskPushNotificationConfig"] = config_params(send.push)
    given = params.get("configuration")
    modes = given.get("acceptedOutputModes") if isinstance(given, dict) else None
    if isinstance(modes, list):
        configuration["acceptedOutputModes"] = modes
    asked: dict[str, Any] = {
        "message": _keyed(send.message, caller),
        "configuration": configuration,
    }
    return asked | _keyed(_metadata(params), caller)


def named_params(task_id: str, length: int | None, params: Any) -> dict[str, Any]:
    """Return the parameters of GetTask and CancelTask."""
    asked: dict[str, Any] = {"id": task_id}
    if length is not None:
        asked["historyLength"] = length
    return asked | _metadata(params)


def listed_params(asked: ListParams, page_size: int) -> dict[str, Any]:
    """Return the parameters of ListTasks, but for the page token."""
    shown: dict[str, Any] = {"pageSize": page_size, "includeArtifacts": asked.artifacts}
    if asked.context_id:
        shown["contextId"] = asked.context_id
    if asked.state:
        shown["status"] = asked.state
    if asked.history_length is not None:
        shown["historyLength"] = asked.history_length
    if asked.changed_since:
        shown["statusTimestampAfter"] = asked.changed_since
    return shown


def config_params(config: PushConfig) -> dict[str, Any]:
    shown: dict[str, Any] = {"url": config.url}
    if config.id:
        shown["id"] = config.id
    if config.token:
        shown["token"] = config.token
    if config.scheme:
        shown["authentication"] = {"scheme": config.scheme, "credentials": config.credentials}
    return shown


def query_params(query: PushQuery) -> dict[str, Any]:
    """Return the parameters of the operations on configurations that there are."""
    asked: dict[str, Any] = {"taskId": query.task_id}
    if query.config_id:
        return {**asked, "id": query.config_id}
    asked["pageSize"] = query.page_size
    if query.page_token:
        asked["pageToken"] = query.page_token
    return asked


def _metadata(params: Any) -> dict[str, Any]:
    given = params.get("metadata")
    return {"metadata": given} if isinstance(given, dict) else {}


def _keyed(asked: dict[str, Any], caller: str) -> dict[str, Any]:
    """Return what has metadata with an idempotency key that is its caller's alone.

    The agent takes us all for one.
    """
    metadata = asked.get("metadata", {})
    contract = metadata.get(DELEGATION)
    key = contract.get(KEY) if isinstance(contract, dict) else None
    if not isinstance(key, str):
        return asked
    own = hashlib.sha256(f"{caller}|{key}".encode()).hexdigest()
    return {**asked, "metadata": {**metadata, DELEGATION: {**contract, KEY: own}}}
