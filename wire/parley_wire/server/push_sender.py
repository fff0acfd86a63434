"""The worker that empties the outbox: in order for each webhook, again until it arrives or is too old.

What a webhook is sent is what a stream would show: one StreamResponse in each notification. Pieces of
one artifact that wait together go out together, as one piece.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import httpx

from parley_wire.http import open_http
from parley_wire.problems import log_defect
from parley_wire.server.outcomes import Chunk
from parley_wire.server.push_rows import Delivery, Outbox, later
from parley_wire.server.texts import Event, artifact_id, joined, timestamp
from parley_wire.webhooks import WebhookRefusedError, Webhooks, signature_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MEDIA_TYPE: Final = "application/a2a+json"
MAX_COALESCED: Final = 262_144
"""Characters of an artifact in one notification; a single larger piece goes out as it is."""
_AGAIN: Final = frozenset({408, 425, 429})
_READ_AT_ONCE: Final = 256
_LONGEST_SLEEP_S: Final = 60.0
_CHUNK: Final = {
    (appends, ends): next(each for each in Chunk if (each.appends, each.ends) == (appends, ends))
    for appends in (False, True)
    for ends in (False, True)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How hard the worker tries. Times in seconds."""

    timeout_s: float = 10.0
    """Of one attempt, as a whole."""
    first_s: float = 1.0
    most_s: float = 300.0
    """Between two attempts: `first_s`, doubled each time, up to this; less up to a half, by chance."""
    age_s: float = 86_400.0
    """A webhook that has failed for so long is given up."""
    at_once: int = 8
    """Notifications under way for one caller: a slow receiver is waited for by its owner alone."""


DEFAULT_PATIENCE: Final = Patience()


class PushSender:
    """Sends what is due. Run it as one task.

    Args:
        keys: Of a caller, for signatures; none: notifications are not signed.
    """

    def __init__(
        self,
        outbox: Outbox,
        webhooks: Webhooks,
        *,
        keys: Callable[[str], Sequence[bytes]],
        now: Callable[[], datetime],
        patience: Patience,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = outbox
        self._webhooks = webhooks
        self._keys = keys
        self._now = now
        self._patience = patience
        self._jitter = jitter
        self._news = asyncio.Event()
        self._under_way: dict[tuple[str, str], str] = {}
        """Task and configuration, to the caller."""

    def wake(self) -> None:
        self._news.set()

    async def run(self) -> None:
        """Send until cancelled; what is under way then is sent again by the next process."""
        while True:
            self._under_way.clear()
            try:
                await self._send()
            except Exception as exc:  # noqa: BLE001 - process edge: nobody else would begin again
                log_defect(exc, doing="sending notifications")
                await asyncio.sleep(self._patience.first_s)

    async def _send(self) -> None:
        timeout_s = self._patience.timeout_s
        async with (
            open_http(timeout_s=timeout_s, addresses=self._webhooks.addresses) as http,
            asyncio.TaskGroup() as group,
        ):
            while True:
                self._news.clear()
                pause_s = await self._start_due(http, group)
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._news.wait()

    async def _start_due(self, http: httpx.AsyncClient, group: asyncio.TaskGroup) -> float:
        """Start what is due; return how long nothing else will be."""
        under_way = Counter(self._under_way.values())
        busy = {each for each, count in under_way.items() if count >= self._patience.at_once}
        now = timestamp(self._now())
        limit = _READ_AT_ONCE + len(self._under_way)
        for due in await self._outbox.due(limit, busy=busy):
            place = (due.task_id, due.config_id)
            if place in self._under_way or under_way[due.caller] >= self._patience.at_once:
                continue
            if due.at > now:
                return min(_seconds(due.at) - _seconds(now), _LONGEST_SLEEP_S)
            under_way[due.caller] += 1
            self._under_way[place] = due.caller
            group.create_task(self._deliver(http, place))
        return _LONGEST_SLEEP_S

    async def _deliver(self, http: httpx.AsyncClient, place: tuple[str, str]) -> None:
        try:
            await self._attempt(http, place)
        except Exception as exc:  # noqa: BLE001 - process edge: one webhook must not stop the others
            log_defect(exc, doing=f"a notification about task {place[0]}")
            now = timestamp(self._now())
            await self._outbox.failed(*place, later(now, self._patience.most_s), now, "defect")
        finally:
            self._under_way.pop(place, None)
            self._news.set()

    async def _attempt(self, http: httpx.AsyncClient, place: tuple[str, str]) -> None:
        delivery = await self._outbox.delivery(*place)
        if delivery is None:
            return
        body, seq = next_notification(delivery)
        problem, final = await self._post(http, delivery, body, seq) if body else ("", False)
        now = timestamp(self._now())
        if problem:
            due_at = None if final else self._next_attempt(delivery, now)
            await self._outbox.failed(*place, due_at, now, problem)
        else:
            await self._outbox.sent(*place, seq, now)

    async def _post(
        self, http: httpx.AsyncClient, delivery: Delivery, body: bytes, seq: int
    ) -> tuple[str, bool]:
        """Return why a notification did not arrive, and whether it never will; or nothing."""
        config, task = delivery.config, delivery.task
        problem = self._webhooks.problem(config.url)
        if problem:
            return problem, True
        headers = {
            "content-type": MEDIA_TYPE,
            "a2a-version": "1.0",
            **signature_headers(
                self._keys(task.caller),
                webhook_id=f"{task.id}/{config.id}/{seq}",
                timestamp=int(self._now().timestamp()),
                body=body,
            ),
        }
        if config.token:
            headers["x-a2a-notification-token"] = config.token
        if config.scheme:
            headers["authorization"] = f"{config.scheme} {config.credentials}".rstrip()
        try:
            async with (
                asyncio.timeout(self._patience.timeout_s),
                http.stream("POST", config.url, content=body, headers=headers) as response,
            ):
                status = response.status_code
        except WebhookRefusedError as exc:
            return str(exc), True
        except TimeoutError:
            return f"no answer within {self._patience.timeout_s:g} s", False
        except httpx.HTTPError as exc:
            return f"{type(exc).__name__}", False
        if 200 <= status < 300:
            return "", False
        return f"answered {status}", 400 <= status < 500 and status not in _AGAIN

    def _next_attempt(self, delivery: Delivery, now: str) -> str | None:
        patience = self._patience
        since = delivery.failing_since or now
        if _seconds(now) - _seconds(since) >= patience.age_s:
            return None
        pause_s = min(patience.most_s, patience.first_s * 2 ** min(delivery.attempts, 20))
        return later(now, pause_s * (1 - self._jitter() / 2))


def next_notification(delivery: Delivery) -> tuple[bytes, int]:
    """Return the next body, and what has been sent when it arrives; empty if there is nothing to show."""
    events = delivery.events
    for place, event in enumerate(events):
        text = delivery.task.stream_text(event)
        if text is None:
            continue
        if event.kind == "artifact":
            event = _coalesced(events[place:])  # noqa: PLW2901 - it stands for this and the next ones
            text = delivery.task.stream_text(event) or ""
        return text.encode(), event.seq
    return b"", events[-1].seq if events else 0


def _coalesced(events: Sequence[Event]) -> Event:
    """Join the first event, a piece of an artifact, with what follows of the same one."""
    first = last = events[0]
    pieces, size = [first.body], len(first.body)
    for event in events[1:]:
        if event.kind != "artifact" or not Chunk(event.state).appends:
            break
        if (
            artifact_id(first.body) != artifact_id(event.body)
            or size + len(event.body) > MAX_COALESCED
        ):
            break
        pieces.append(event.body)
        size += len(event.body)
        last = event
    chunk = _CHUNK[Chunk(first.state).appends, Chunk(last.state).ends]
    return Event(last.seq, "artifact", joined(pieces), chunk.value)


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
