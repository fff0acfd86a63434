"""Agents that take their time by themselves, and write down everything that they begin."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.scripted_agent import ScriptedAgent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response

ACTIVE = ("TASK_STATE_WORKING", "TASK_STATE_SUBMITTED")


class Begun(NamedTuple):
    """One execution of a step."""

    run: str
    step: str
    at: float
    """`time.time()`."""


class Ledger:
    """What was done, on disk before anybody is told: `run step` a line."""

    def __init__(self, path: Path) -> None:
        self._file: IO[str] = path.open("a", encoding="utf-8")
        self.begun: list[Begun] = []
        self.counts: Counter[tuple[str, str]] = Counter()

    def note(self, run: str, step: str) -> None:
        self._file.write(f"{run} {step}\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.begun.append(Begun(run, step, time.time()))
        self.counts[run, step] += 1

    def close(self) -> None:
        self._file.close()


@dataclass
class Worker(ScriptedAgent):
    """Offers one skill, `skill`; `{"do": "work", "run", "step", "seconds"}` ends by itself.

    It de-duplicates nothing: what is sent twice is done twice, and both are in the ledger.
    """

    skill: str = "act"
    ledger: Ledger = field(kw_only=True)

    def card(self) -> dict[str, Any]:
        card = super().card()
        contracts = card["capabilities"]["extensions"][0]["params"]["skills"]
        contracts[self.skill] = contracts.pop("act")
        card["skills"][0]["id"] = self.skill
        return card

    def _act(self, task: dict[str, Any]) -> None:
        wanted = task["metadata"]["wanted"]
        self.ledger.note(wanted["run"], wanted["step"])
        if wanted.get("do") == "work":
            asyncio.get_running_loop().call_later(wanted["seconds"], self._end, task)
        super()._act(task)

    def _end(self, task: dict[str, Any]) -> None:
        if task["status"]["state"] in ACTIVE:
            self._complete(task, {"step": task["metadata"]["wanted"]["step"]})

    def _answered(self, task: dict[str, Any]) -> None:
        self._complete(task, {"step": task["metadata"]["wanted"]["step"]})

    async def _follow(self, call: Any, task: dict[str, Any]) -> AsyncIterator[bytes]:
        async for event in super()._follow(call, task):
            yield event
            # The base class would end the task by itself once it is released.
            while task["status"]["state"] in ACTIVE:  # noqa: ASYNC110 - of another loop's making
                await asyncio.sleep(0.02)
            self.released.set()


@dataclass
class Shop:
    """A web server with an effect: `POST /orders {"run", "step"}`, once for each request."""

    ledger: Ledger
    url: str = ""

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/orders", self._order, methods=["POST"])])

    async def _order(self, request: Request) -> Response:
        body = await request.json()
        self.ledger.note(body["run"], body["step"])
        await asyncio.sleep(0.2)
        return JSONResponse({"step": body["step"]})
