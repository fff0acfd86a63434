"""`parley demo`: the invoice workflow from flag to posting, with people and two crashes, checked.

Everything is real: the processes of `parley up`, REST, A2A, MCP, SIGKILL. What the demo says it has
also checked; the first thing that is not so ends it with an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from parley_wire.http import open_http
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from parley_coordinator.cli.errors import CommandError
from parley_coordinator.cli.mesh import AGENTS, Mesh, free_mesh
from parley_coordinator.cli.output import console, short, text
from parley_coordinator.cli.supervisor import Happened, Supervisor, What
from parley_coordinator.cli.up import wait_for_agents
from parley_coordinator.cli.why import print_why
from parley_coordinator.governance.access import Role
from parley_coordinator.governance.accounts import FILE_NAME, read_tokens

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import httpx

PACE_S: Final = 0.8
"""Least duration of each agent's step, so that a crash can be put into the middle of one."""
LIMIT_S: Final = 60.0
EVERY_S: Final = 0.05
FINAL: Final = frozenset({"completed", "faulted", "cancelled"})


class DemoFailedError(CommandError):
    """Something that the demo promises was not so."""

    def __init__(self, message: str) -> None:
        super().__init__(f"not so: {message}", code="demo_failed", exit_status=1)


def run_demo(home: Path | None) -> None:
    """Tell the story; about a minute.

    Args:
        home: Keep databases and logs here; None: a temporary directory, removed at the end.

    Raises:
        DemoFailedError: If anything was not as told.
        MeshError: If the mesh does not come up.
    """
    with contextlib.ExitStack() as stack:
        folder = home or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="parley-")))
        asyncio.run(_tell(free_mesh(folder, pace_s=PACE_S)))


async def _tell(mesh: Mesh) -> None:
    story = _Story(mesh)
    started = time.monotonic()

    def tell(happened: Happened) -> None:
        if happened.what is What.DIED:
            story.say(f"{happened.name} {happened.detail}", "red")

    supervisor = Supervisor(mesh.children(), log_dir=mesh.home / "logs", tell=tell)
    async with supervisor, open_http() as http:
        story.http = http
        with story.talk.status("starting a registry, an ERP, three agents and a coordinator"):
            await supervisor.ready()
            await wait_for_agents(mesh)
        story.tokens = read_tokens(mesh.home / FILE_NAME)
        story.done("the mesh is up: registry, ERP, three agents, coordinator; six processes")
        await _posted_by_itself(story)
        above = await _approved(story)
        await _rejected(story)
        await _crashes(story, supervisor)
        await _accounts(story)
        story.chapter(f"Why? (parley why {short(above)}...)")
        print_why(await story.get(f"/v1/runs/{above}/why", Role.AUDITOR), story.talk)
    story.say("")
    story.done(f"all of it was so, in {time.monotonic() - started:.0f} s")


async def _posted_by_itself(story: _Story) -> None:
    story.chapter("An invoice that matches its order")
    run = await story.start("matching.xml")
    ended = await story.ended(run)
    story.check(ended["state"] == "completed", "the run completed", ended)
    story.check(ended["output"]["decidedBy"] == "policy", "the policy decided", ended)
    story.posted.add(str(ended["output"]["posting"]["invoiceId"]))
    story.done(f"posted by itself: {ended['output']['invoice']}, rule {ended['output']['rule']}")


async def _approved(story: _Story) -> str:
    story.chapter("An invoice 12 % above its order")
    run = await story.start("above-tolerance.xml")
    item = await story.item(run)
    story.done(f"waits for a person: {item['title']}")
    story.facts(item)
    refused = await story.decide(item, Role.REQUESTER)
    story.check(refused.status_code in (403, 404), "who requested it may not decide it", refused)
    stale = await story.decide({**item, "digest": "sha256:" + "0" * 64}, Role.APPROVER)
    story.check(stale.status_code == 409, "a decision on another proposal is refused", stale)
    decided = await story.decide(item, Role.APPROVER, comment="price rise was announced")
    story.check(decided.status_code == 200, "the approver decides", decided)
    ended = await story.ended(run)
    story.check(ended["output"]["decidedBy"] == "approver", "the approver's decision counts", ended)
    story.posted.add(str(ended["output"]["posting"]["invoiceId"]))
    story.done(f"approved by {ended['output']['decidedBy']} and posted")
    return run


async def _rejected(story: _Story) -> None:
    story.chapter("An invoice to be paid to an unknown bank account")
    run = await story.start("bank-changed.xml")
    item = await story.item(run)
    story.done(f"held: {item['reason']}")
    await story.decide(item, Role.APPROVER, outcome="reject", comment="called the supplier back")
    ended = await story.ended(run)
    story.check(ended["output"]["decision"] == "reject", "the rejection counts", ended)
    invoice = str(ended["output"]["posting"]["invoiceId"])
    effects = await story.effects()
    touched = [e["tool"] for e in effects if invoice in str(e) and "capture" not in e["tool"]]
    story.check(touched == ["ap.invoice.block"], "it was blocked and never posted", touched)
    story.done("rejected, blocked in the ERP, never posted")


async def _crashes(story: _Story, supervisor: Supervisor) -> None:
    story.chapter("kill -9, while one run waits for a person and another one has agents at work")
    waiting = await story.start("quantity-over-receipt.xml")
    item = await story.item(waiting)
    working = await story.start("tax-error.xml")
    await story.until(story.agents_at_work, "an agent is at work")
    await supervisor.kill("coordinator")
    story.done("killed with SIGKILL: an agent was in the middle of a step, an approval was open")
    began = time.monotonic()
    await supervisor.start("coordinator")
    await supervisor.ready("coordinator")
    same = await story.item(waiting)
    story.check(same["digest"] == item["digest"], "the same question is still open", same)
    second = await story.item(working)
    story.done(f"restarted; both runs went on where they were, {time.monotonic() - began:.1f} s")
    await story.decide(item, Role.APPROVER, comment="the rest arrived today")
    await story.until(story.agents_at_work, "the posting agent is at work")
    await supervisor.kill("coordinator")
    story.done("killed again, between the approval and the posting")
    await supervisor.start("coordinator")
    await supervisor.ready("coordinator")
    await story.decide(second, Role.APPROVER, comment="reduced rate is right")
    for run in (waiting, working):
        ended = await story.ended(run)
        story.check(ended["state"] == "completed", "the run completed", ended)
        story.posted.add(str(ended["output"]["posting"]["invoiceId"]))
    story.done("nothing was lost: both are approved and posted")


async def _accounts(story: _Story) -> None:
    """Ask the agents and the ERP for their own account of what they did."""
    story.chapter("What the agents and the ERP say themselves")
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for column in ("agent", "steps it was asked for", "times it ran them"):
        table.add_column(column)
    for agent in AGENTS:
        executions = await story.executions(agent)
        ran = sum(each["runs"] for each in executions)
        table.add_row(agent, str(len(executions)), str(ran))
        story.check(
            all(each["runs"] == 1 for each in executions),
            f"{agent} ran each step once",
            [each for each in executions if each["runs"] != 1],
        )
    posts = [e for e in await story.effects() if e["tool"] == "ap.invoice.post"]
    story.check(len(posts) == len(story.posted), "each invoice was posted once", posts)
    story.talk.print(table)
    story.done(f"each agent ran each step once; {len(posts)} invoices, {len(posts)} postings")


@dataclass
class _Story:
    """What happens, told while it happens, and the client that makes it happen."""

    mesh: Mesh
    talk: Any = field(default_factory=console)
    tokens: dict[Role, str] = field(default_factory=dict)
    posted: set[str] = field(default_factory=set)
    http: httpx.AsyncClient = field(init=False)

    def chapter(self, title: str) -> None:
        self.talk.print()
        self.talk.print(text(title, "bold"))

    def say(self, line: str, style: str = "") -> None:
        self.talk.print(text(line, style))

    def done(self, line: str) -> None:
        self.talk.print(Text.assemble(("✓ ", "green"), text(line)))

    def facts(self, item: dict[str, Any]) -> None:
        table = Table.grid(padding=(0, 2, 0, 0))
        for fact in item["summary"]:
            table.add_row(
                text(fact["name"]), text(fact["value"], "bold"), text(fact["source"], "dim")
            )
        note = f"decides on exactly {short(item['digest'])}; until {item['decideBy'][:16]}"
        self.talk.print(Panel(table, title=text(item["reason"]), subtitle=note, title_align="left"))

    def check(self, holds: object, promise: str, found: object) -> None:
        if not holds:
            shown = found.text if hasattr(found, "text") else found
            raise DemoFailedError(f"{promise}; found {str(shown)[:400]}")

    async def start(self, sample: str) -> str:
        path = self.mesh.workflows / "invoice-exception" / "samples" / sample
        body = {"workflow": "invoice-exception", "input": {"invoice": path.read_text()}}
        response = await self.http.post(
            f"{self.mesh.url('coordinator')}/v1/runs",
            json=body,
            headers=self._as(Role.REQUESTER) | {"idempotency-key": sample},
        )
        self.check(response.status_code == 201, f"{sample} is accepted", response)
        self.say(f"  $ parley run invoice-exception --set invoice=@{sample}", "dim")
        return str(response.json()["id"])

    async def get(self, path: str, role: Role = Role.OPERATOR) -> Any:
        response = await self.http.get(self.mesh.url("coordinator") + path, headers=self._as(role))
        self.check(response.status_code == 200, f"{path} answers", response)
        return response.json()

    async def ended(self, run: str) -> dict[str, Any]:
        async def over() -> dict[str, Any] | None:
            found: dict[str, Any] = await self.get(f"/v1/runs/{run}")
            return found if found["state"] in FINAL else None

        ended: dict[str, Any] = await self.until(over, "the run ends")
        return ended

    async def item(self, run: str) -> dict[str, Any]:
        async def asked() -> dict[str, Any] | None:
            found = (await self.get(f"/v1/items?run={run}", Role.APPROVER))["items"]
            return found[0] if found else None

        item: dict[str, Any] = await self.until(asked, "the approver is asked")
        return item

    async def decide(
        self, item: dict[str, Any], role: Role, *, outcome: str = "approve", comment: str = ""
    ) -> httpx.Response:
        return await self.http.post(
            f"{self.mesh.url('coordinator')}/v1/items/{item['id']}/decision",
            json={"outcome": outcome, "digest": item["digest"], "comment": comment},
            headers=self._as(role),
        )

    async def executions(self, agent: str) -> list[dict[str, Any]]:
        found = await self._of_mesh(agent, "/executions?limit=200")
        return list(found["executions"])

    async def agents_at_work(self) -> bool:
        """Whether an agent is in the middle of a step."""
        for agent in AGENTS:
            executions = await self.executions(agent)
            if any(each["state"] == "TASK_STATE_WORKING" for each in executions):
                return True
        return False

    async def effects(self) -> list[dict[str, Any]]:
        """What the ERP has written for us; what it was seeded with does not count."""
        found = (await self._of_mesh("erp", "/effects"))["effects"]
        return [effect for effect in found if effect["by"] != "seed"]

    async def until(self, condition: Callable[[], Awaitable[Any]], what: str) -> Any:
        deadline = time.monotonic() + LIMIT_S
        with self.talk.status(what):
            while not (found := await condition()):
                if time.monotonic() > deadline:
                    raise DemoFailedError(f"{what} within {LIMIT_S:.0f} s")
                await asyncio.sleep(EVERY_S)
        return found

    async def _of_mesh(self, name: str, path: str) -> Any:
        response = await self.http.get(
            self.mesh.url(name) + path, headers={"authorization": f"Bearer {self.mesh.token}"}
        )
        self.check(response.status_code == 200, f"{name}{path} answers", response)
        return response.json()

    def _as(self, role: Role) -> dict[str, str]:
        return {"authorization": f"Bearer {self.tokens[role]}"}
