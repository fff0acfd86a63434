"""Who runs the pipeline: each is started, asked and measured in the same way.

A contestant of another kind is a command that speaks a protocol of two requests. It is started with
`--port PORT --agent URL --home DIR`, does everything that it keeps below DIR, and serves

    GET  /healthz    200 once it takes work
    POST /pipeline   {"id", "calls", "input"}: call the agent so many times, one after the other, each
                     with what the call before returned, and answer 200 {"output"} once all is done
"""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import httpx
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.types import Message, Part, Role, SendMessageRequest
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Value
from parley_coordinator.governance.access import Role as Account
from parley_coordinator.governance.accounts import open_tokens
from parley_wire.http import open_http

from benchmarks.ground import until_healthy

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from benchmarks.ground import Ground

CALLS = 4
PAYLOAD = {"invoice": "NW-2041", "total": "2380.00", "lines": [{"id": "1", "quantity": "10"}]}
DOCUMENT = """\
document: {dsl: '1.0.3', namespace: bench, name: pipeline, version: '1.0.0'}
timeout: {after: {minutes: 10}}
do:
""" + "".join(
    f"""\
  - step{n}:
      metadata: {{label: Step {n}}}
      call: echo:1.0.0@agents
      with: '${{ . }}'
      timeout: {{after: {{seconds: 60}}}}
"""
    for n in range(1, CALLS + 1)
)


class Contestant(Protocol):
    """Something that runs pipelines."""

    name: str

    async def start(self, ground: Ground, stack: AsyncExitStack) -> int:
        """Start it; return the process that is measured, its children included."""
        ...

    async def pipeline(self, number: int) -> None:
        """Run one pipeline to its end; `number` is never used again.

        Raises:
            AssertionError: If it did not come to the right end.
        """
        ...


class Floor:
    """The SDK's client, which does nothing but call, in this process."""

    name = "bare SDK client"

    async def start(self, ground: Ground, stack: AsyncExitStack) -> int:
        plain = await stack.enter_async_context(httpx.AsyncClient(timeout=120))
        card = await A2ACardResolver(plain, ground.agent).get_agent_card()
        self._client = ClientFactory(ClientConfig(httpx_client=plain, streaming=False)).create(card)
        return os.getpid()

    async def pipeline(self, number: int) -> None:
        for step in range(CALLS):
            message = Message(
                message_id=f"floor-{number}-{step}",
                role=Role.ROLE_USER,
                parts=[Part(data=ParseDict(PAYLOAD, Value()))],
            )
            events = self._client.send_message(SendMessageRequest(message=message))
            states = [event.task.status.state async for event in events]
            assert states == [3], states


class Coordinator:
    """This mesh: one A2A SendMessage to the workflow."""

    name = "**Parley**"

    async def start(self, ground: Ground, stack: AsyncExitStack) -> int:
        workflows = ground.workflows({"pipeline": DOCUMENT})
        self._token = open_tokens(ground.home)[Account.REQUESTER]
        url, process = ground.coordinator(workflows)
        self._url = f"{url}/workflows/pipeline/a2a"
        self._http = await stack.enter_async_context(open_http(timeout_s=120))
        return process.pid

    async def pipeline(self, number: int) -> None:
        message = {"messageId": f"run-{number}", "role": "ROLE_USER", "parts": [{"data": PAYLOAD}]}
        response = await self._http.post(
            self._url,
            json={
                "jsonrpc": "2.0",
                "id": 1,
                "method": "SendMessage",
                "params": {"message": message},
            },
            headers={"authorization": f"Bearer {self._token}", "a2a-version": "1.0"},
        )
        answer: dict[str, Any] = response.json()
        assert "result" in answer, answer
        assert answer["result"]["task"]["status"]["state"] == "TASK_STATE_COMPLETED", answer


@dataclass
class Peer:
    """A command that speaks the protocol above."""

    name: str
    command: str

    async def start(self, ground: Ground, stack: AsyncExitStack) -> int:
        port = ground.port()
        home = ground.folder(f"peer-{port}")
        argv = [*shlex.split(self.command), "--port", str(port), "--agent", ground.agent]
        process = ground.run(*argv, "--home", str(home))
        self._url = f"http://127.0.0.1:{port}"
        until_healthy(self._url, process)
        self._http = await stack.enter_async_context(open_http(timeout_s=120))
        return process.pid

    async def pipeline(self, number: int) -> None:
        work = {"id": f"run-{number}", "calls": CALLS, "input": PAYLOAD}
        response = await self._http.post(f"{self._url}/pipeline", json=work)
        assert response.status_code == 200, response.text
        assert response.json()["output"] == PAYLOAD, response.text


def peer(given: str) -> Peer:
    """Read `NAME=COMMAND`."""
    name, _, command = given.partition("=")
    if not (name and command):
        sys.exit(f"--with {given!r}: write NAME=COMMAND")
    return Peer(name, command)
