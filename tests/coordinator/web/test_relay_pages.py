"""One caller's tasks in pages, out of the pages of an agent that takes all callers for one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from a2a.utils.errors import InvalidParamsError
from hypothesis import given
from hypothesis import strategies as st
from parley_coordinator.web.a2a.relay_pages import MAX_PAGES, PAGE, Page, read_cursor, read_page
from parley_wire.agent_errors import AgentProtocolError

from tests.wire.support import PATIENT

if TYPE_CHECKING:
    from collections.abc import Collection

pytestmark = pytest.mark.anyio


def task(task_id: str) -> dict[str, Any]:
    return {"id": task_id, "contextId": "c", "status": {"state": "TASK_STATE_WORKING"}}


@dataclass
class Agent:
    """Lists its tasks last changed first; its tokens name the task after which a page begins."""

    tasks: list[str]
    asked: list[str] = field(default_factory=list)
    size: int = PAGE

    async def ask(self, token: str) -> Any:
        self.asked.append(token)
        begin = self.tasks.index(token) + 1 if token else 0
        found = self.tasks[begin : begin + self.size]
        more = len(self.tasks) > begin + self.size
        return {"tasks": [*map(task, found)], "nextPageToken": found[-1] if more else ""}

    async def page(self, token: str, size: int) -> Page:
        return await read_page("vendor", read_cursor(token), size, ask=self.ask, owned=mine)


async def mine(task_ids: Collection[str]) -> frozenset[str]:
    return frozenset(each for each in task_ids if each.startswith("mine"))


@PATIENT
@given(
    owners=st.lists(st.booleans(), max_size=60),
    size=st.integers(1, 7),
    agents=st.integers(1, 9),
)
async def test_all_of_a_callers_tasks_are_shown_once_and_in_the_order_of_the_agent(
    owners: list[bool], size: int, agents: int
) -> None:
    names = [f"{'mine' if own else 'other'}-{number}" for number, own in enumerate(owners)]
    agent = Agent(names, size=agents)
    shown: list[str] = []
    token, total = "", None
    while True:
        page = await agent.page(token, size)
        assert len(page.tasks) <= size
        shown += [each["id"] for each in page.tasks]
        total = page.counted if total is None else total
        if page.following is None:
            break
        following = page.following
        token = type(following)(following.token, following.shown, total).text()

    assert shown == [each for each in names if each.startswith("mine")]
    if len(names) <= agents * MAX_PAGES:
        assert total == len(shown)


async def test_what_changes_between_two_pages_hides_nothing_else() -> None:
    agent = Agent([f"mine-{number}" for number in range(9)], size=5)
    first = await agent.page("", 2)
    assert first.following is not None
    # One that was shown is changed, and so comes first: all others move down.
    agent.tasks.insert(0, agent.tasks.pop(1))
    shown = [each["id"] for each in first.tasks]
    cursor = type(first.following)(first.following.token, first.following.shown, 9)
    while True:
        page = await agent.page(cursor.text(), 2)
        shown += [each["id"] for each in page.tasks]
        if page.following is None:
            break
        cursor = type(cursor)(page.following.token, page.following.shown, 9)

    assert sorted(shown) == sorted(agent.tasks)


async def test_a_caller_with_few_tasks_among_thousands_gets_them_over_several_pages() -> None:
    names = [f"other-{number}" for number in range(5000)]
    names[4990] = "mine-1"
    agent = Agent(names)
    page = await agent.page("", 50)
    assert (page.tasks, page.counted) == ([], -1)
    asked = 1
    while page.following is not None:
        cursor = type(page.following)(page.following.token, page.following.shown, 1)
        page = await agent.page(cursor.text(), 50)
        asked += 1

    assert [each["id"] for each in page.tasks] == ["mine-1"]
    assert asked == 3
    assert len(agent.asked) <= 50


@pytest.mark.parametrize("token", ["x", "e30=", "WzEsW10sMV0=", "WyIiLFsxXSwxXQ==", "\u2028"])
async def test_a_token_of_nobody_here_is_refused(token: str) -> None:
    with pytest.raises(InvalidParamsError, match="pageToken"):
        read_cursor(token)


async def test_a_page_or_a_token_without_measure_is_no_answer() -> None:
    async def huge(_: str) -> Any:
        return {"tasks": [task(str(number)) for number in range(1001)]}

    async def long(_: str) -> Any:
        return {"tasks": [], "nextPageToken": "x" * 5000}

    for ask in (huge, long):
        with pytest.raises(AgentProtocolError, match="too large"):
            await read_page("vendor", read_cursor(""), 5, ask=ask, owned=mine)
