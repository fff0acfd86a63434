"""A2A 0.3 as 1.0: names of methods, states, roles, the `kind` of each object, the card.

Source: A2A 1.0 appendix A.2, read backwards.
"""

from __future__ import annotations

from typing import Any, Final

_METHODS: Final = {
    "message/send": "SendMessage",
    "message/stream": "SendStreamingMessage",
    "tasks/get": "GetTask",
    "tasks/cancel": "CancelTask",
    "tasks/resubscribe": "SubscribeToTask",
}


def request(method: str, params: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Read a request of 0.3.

    Raises:
        KeyError: If 0.3 has no such method.
    """
    if "message" not in params:
        return _METHODS[method], params
    message = {**params["message"], "parts": [_newer(part) for part in params["message"]["parts"]]}
    configuration = dict(params.get("configuration") or {})
    # In 0.3 a missing `blocking` means that the server may return at once.
    configuration["returnImmediately"] = not configuration.get("blocking", True)
    return _METHODS[method], {**params, "message": message, "configuration": configuration}


def result(value: dict[str, Any]) -> dict[str, Any]:
    """Write a result of 1.0 as 0.3 has it."""
    if "task" in value:
        return _task(value["task"])
    if "message" in value:
        return _message(value["message"])
    if "statusUpdate" in value:
        update = value["statusUpdate"]
        status = _status(update["status"])
        final = status["state"] in ("completed", "failed", "canceled", "rejected")
        return {**update, "kind": "status-update", "status": status, "final": final}
    if "artifactUpdate" in value:
        update = value["artifactUpdate"]
        return {**update, "kind": "artifact-update", "artifact": _artifact(update["artifact"])}
    return _task(value)


def card(newer: dict[str, Any]) -> dict[str, Any]:
    interface = newer["supportedInterfaces"][0]
    kept = {key: value for key, value in newer.items() if key != "supportedInterfaces"}
    return {
        **kept,
        "protocolVersion": "0.3.0",
        "url": interface["url"],
        "preferredTransport": "JSONRPC",
    }


def _newer(part: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key != "kind"}


def _older(part: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "text" if "text" in part else "data", **part}


def _task(task: dict[str, Any]) -> dict[str, Any]:
    written = {
        **task,
        "kind": "task",
        "status": _status(task["status"]),
        "history": [_message(each) for each in task["history"]],
    }
    if "artifacts" in task:
        written["artifacts"] = [_artifact(each) for each in task["artifacts"]]
    return written


def _status(status: dict[str, Any]) -> dict[str, Any]:
    state = status["state"].removeprefix("TASK_STATE_").lower().replace("_", "-")
    written = {**status, "state": state}
    if "message" in status:
        written["message"] = _message(status["message"])
    return written


def _message(message: dict[str, Any]) -> dict[str, Any]:
    role = "agent" if message["role"] in ("ROLE_AGENT", "agent") else "user"
    parts = [_older(_newer(part)) for part in message["parts"]]
    return {**message, "kind": "message", "role": role, "parts": parts}


def _artifact(artifact: dict[str, Any]) -> dict[str, Any]:
    return {**artifact, "parts": [_older(part) for part in artifact["parts"]]}
