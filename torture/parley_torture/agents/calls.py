"""One request to a scripted agent, in A2A 1.0 or 0.3."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from parley_torture.agents import legacy

TASK_NOT_FOUND: Final = (-32001, "Task not found")
NOT_CANCELABLE: Final = (-32002, "Task cannot be canceled")
UNSUPPORTED: Final = (-32004, "This operation is not supported")
NO_METHOD: Final = (-32601, "Method not found")


@dataclass(frozen=True)
class Call:
    """What was asked for; 0.3 is read and written as if it were 1.0."""

    id: Any
    method: str
    """Of A2A 1.0."""
    params: dict[str, Any]
    dialect: str = "1.0"
    headers: dict[str, str] = field(default_factory=dict)
    at: float = field(default_factory=time.monotonic)

    @property
    def streams(self) -> bool:
        return self.method == "SendStreamingMessage"

    @property
    def sends(self) -> bool:
        return self.method in ("SendMessage", "SendStreamingMessage")

    @property
    def immediately(self) -> bool:
        return bool(self.params.get("configuration", {}).get("returnImmediately"))

    @property
    def message(self) -> dict[str, Any]:
        found: dict[str, Any] = self.params["message"]
        return found

    def result(self, value: Any) -> Response:
        return JSONResponse(self.envelope(value))

    def envelope(self, value: Any) -> dict[str, Any]:
        written = value if self.dialect == "1.0" else legacy.result(value)
        return {"jsonrpc": "2.0", "id": self.id, "result": written}

    def error(self, reason: tuple[int, str]) -> Response:
        body = {"code": reason[0], "message": reason[1]}
        return JSONResponse({"jsonrpc": "2.0", "id": self.id, "error": body})

    def event(self, value: dict[str, Any]) -> bytes:
        return f"data: {json.dumps(self.envelope(value))}\n\n".encode()


def read_call(body: bytes, headers: dict[str, str], *, dialect: str) -> Call | None:
    """Return the call; None if it is none in this dialect."""
    try:
        asked = json.loads(body)
        method, params = asked["method"], asked.get("params") or {}
        if dialect == "0.3":
            method, params = legacy.request(method, params)
        return Call(asked.get("id"), method, params, dialect, headers)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
