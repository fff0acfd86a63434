"""Pages of one caller's tasks, out of pages of an agent that takes all callers for one.

The agent's order is kept. A page token holds the agent's own token of the page that was not shown to its
end, and which of the caller's tasks in it were: if tasks change meanwhile, none is left out for that.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from parley_wire.agent_errors import AgentProtocolError
from parley_wire.events import tasks_page
from parley_wire.server.forms import invalid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

PAGE: Final = 100
"""Tasks that the agent is asked for at once."""
MAX_PAGES: Final = 20
"""Of the agent, for one of ours."""
MAX_TASKS: Final = 1000
"""In one page of an agent that returns more than it is asked for."""
MAX_TOKEN: Final = 4096
_MARK_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins."""

    token: str = ""
    """Of the agent; empty: its first page."""
    shown: frozenset[str] = frozenset()
    """Marks of the tasks in that page that were shown."""
    total: int | None = None
    """As counted for the first page."""

    def text(self) -> str:
        value = [self.token, sorted(self.shown), self.total]
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@dataclass(slots=True)
class Page:
    tasks: list[dict[str, Any]] = field(default_factory=list)
    """As the agent wrote them."""
    following: Cursor | None = None
    """None: this is the last page."""
    counted: int = 0
    """Tasks of the caller that were seen."""


def read_cursor(text: str) -> Cursor:
    """Raises: InvalidParamsError: If it is not one that `Cursor.text` wrote."""
    if not text:
        return Cursor()
    try:
        token, shown, total = json.loads(base64.b64decode(text, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, TypeError, RecursionError) as exc:
        raise _foreign() from exc
    if not isinstance(token, str) or not isinstance(shown, list) or type(total) is not int:
        raise _foreign()
    if not all(isinstance(each, str) for each in shown):
        raise _foreign()
    return Cursor(token, frozenset(shown), total)


async def read_page(
    name: str,
    cursor: Cursor,
    size: int,
    *,
    ask: Callable[[str], Awaitable[Any]],
    owned: Callable[[Collection[str]], Awaitable[Collection[str]]],
) -> Page:
    """Return at most `size` of a caller's tasks, in the order of the agent.

    A page may have fewer, and others follow all the same, if most tasks of the agent are other callers'.
    For the first page it is read on after that, to count.

    Args:
        name: Of the agent.
        cursor: Where to begin.
        size: How many at most.
        ask: Returns the result of the agent's ListTasks for its page token.
        owned: Returns those of the ids that are the caller's.

    Raises:
        AgentProtocolError: If the agent answers with what is no page.
    """
    page = Page()
    token, shown = cursor.token, cursor.shown
    for _ in range(MAX_PAGES):
        mine, following = await _mine(name, await ask(token), owned)
        page.counted += len(mine)
        if page.following is None:
            fresh = [each for each in mine if mark(each["id"]) not in shown]
            taken = fresh[: size - len(page.tasks)]
            page.tasks += taken
            if len(taken) < len(fresh):
                page.following = Cursor(token, shown | {mark(each["id"]) for each in taken})
            elif len(page.tasks) == size and following:
                page.following = Cursor(following)
        if not following:
            return page
        token, shown = following, frozenset()
        if page.following is not None and cursor.total is not None:
            return page
    page.following = page.following or Cursor(token)
    page.counted = -1
    return page


async def _mine(
    name: str, result: Any, owned: Callable[[Collection[str]], Awaitable[Collection[str]]]
) -> tuple[list[dict[str, Any]], str]:
    listed = result.get("tasks") if isinstance(result, dict) else None
    if isinstance(listed, list) and len(listed) > MAX_TASKS:
        raise AgentProtocolError(f"{name} answered with a page that is too large")
    tasks, following = tasks_page(name, result)
    if len(following) > MAX_TOKEN:
        raise AgentProtocolError(f"{name} answered with a page token that is too large")
    mine = await owned([task.id for task in tasks])
    return [each for each in result.get("tasks", []) if each["id"] in mine], following


def mark(task_id: str) -> str:
    """Return what stands for a task in a page token."""
    return base64.urlsafe_b64encode(
        hashlib.blake2s(task_id.encode(), digest_size=_MARK_BYTES).digest()
    ).decode()


def _foreign() -> Exception:
    return invalid("pageToken", "is not one that this agent gave out")
