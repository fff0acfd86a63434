"""The worker that empties the outbox: in order for each webhook, again until it arrives or is too old.

What a webhook is sent is what a stream would show: one StreamResponse in each notification.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import httpx

from parley_wire.http import open_http
from parley_wire.problems import log_defect
from parley_wire.server.push_outbox import later
from parley_wire.server.texts import timestamp
from parley_wire.webhooks import WebhookRefusedError, Webhooks, signature_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parley_wire.server.push_outbox import Delivery, Outbox, Webhook

logger = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/a2a+json"
_AGAIN: Final = frozenset({408, 425, 429})
_READ_AT_ONCE: Final = 256


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
    look_s: float = 60.0
    """How often to look for what is due, if nobody says that there is something."""


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
        self._under_way: set[Webhook] = set()

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
            open_http(
                timeout_s=timeout_s, addresses=self._webhooks.addresses, tls=self._webhooks.tls
            ) as http,
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
        under_way = Counter(each.caller for each in self._under_way)
        busy = {each for each, count in under_way.items() if count >= self._patience.at_once}
        now = timestamp(self._now())
        limit = _READ_AT_ONCE + len(self._under_way)
        for due in await self._outbox.due(limit, busy=busy):
            webhook = due.webhook
            if webhook in self._under_way or under_way[webhook.caller] >= self._patience.at_once:
                continue
            if due.at > now:
                return min(_seconds(due.at) - _seconds(now), self._patience.look_s)
            under_way[webhook.caller] += 1
            self._under_way.add(webhook)
            group.create_task(self._deliver(http, webhook))
        return self._patience.look_s

    async def _deliver(self, http: httpx.AsyncClient, webhook: Webhook) -> None:
        try:
            await self._attempt(http, webhook)
        except Exception as exc:  # noqa: BLE001 - process edge: one webhook must not stop the others
            log_defect(exc, doing=f"a notification about task {webhook.task_id}")
            now = timestamp(self._now())
            await self._outbox.failed(webhook, later(now, self._patience.most_s), now, "defect")
        finally:
            self._under_way.discard(webhook)
            self._news.set()

    async def _attempt(self, http: httpx.AsyncClient, webhook: Webhook) -> None:
        delivery = await self._outbox.delivery(webhook)
        if delivery is None:
            return
        problem, final = await self._post(http, webhook, delivery) if delivery.body else ("", False)
        now = timestamp(self._now())
        if not problem:
            await self._outbox.sent(webhook, delivery.seq, now)
            return
        newest = await self._outbox.delivery(webhook)
        if newest is None or newest.config != delivery.config:
            return  # what came of the one that was replaced says nothing about the new one
        due_at = None if final else self._next_attempt(delivery, now)
        await self._outbox.failed(webhook, due_at, now, problem)
        if due_at is None:
            logger.warning(
                "webhook %s of task %s is given up: %s",
                webhook.config_id,
                webhook.task_id,
                problem,
            )

    async def _post(
        self, http: httpx.AsyncClient, webhook: Webhook, delivery: Delivery
    ) -> tuple[str, bool]:
        """Return why a notification did not arrive, and whether it never will; or nothing."""
        config, body = delivery.config, delivery.body
        problem = self._webhooks.problem(config.url)
        if problem:
            return problem, True
        headers = {
            "content-type": MEDIA_TYPE,
            "a2a-version": "1.0",
            **signature_headers(
                self._keys(webhook.caller),
                webhook_id=f"{webhook.task_id}/{config.id}/{delivery.seq}",
                timestamp=int(self._now().timestamp()),
                body=body,
            ),
        }
        if config.token:
            headers["x-a2a-notification-token"] = config.token
        if config.scheme:
            headers["authorization"] = f"{config.scheme} {config.credentials}".rstrip()
        self._outbox.check()
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
        except (httpx.UnsupportedProtocol, httpx.InvalidURL, ValueError):
            return "cannot be sent: its address or its id is not one for HTTP", True
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


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
