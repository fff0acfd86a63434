"""An explanation as people read it, from the JSON of `/v1/runs/{id}/why`. Pure but for printing.

Each step: when, what happened, where in the workflow; below it what it rested on, in this order: the
rule, the compared values with their sources, the agent and why it was chosen, the person and what
exactly they decided on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from parley_coordinator.cli.output import clean, moment, short, span, state, text, value_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, RenderableType

_INDENT: Final = 11
_MAX_VALUE_CHARS: Final = 300
_DITTO: Final = "″"
"""The same source as in the line above."""
_FAILED: Final = "FAILED"
_GOOD: Final = frozenset({"completed", "decided", "called"})
_BAD: Final = frozenset({"agent_failed", "expired", "faulted", "cancelled"})
_STRUCTURE = re.compile(r"/(?:do|try|catch|branches|for|foreach)/\d+/([^/]+)")


def print_why(why: dict[str, Any], console: Console, *, every_value: bool = False) -> None:
    """Print an explanation.

    Args:
        every_value: Show also what the checks compared that passed; else these are one line each.
    """
    run, steps = why["run"], why["steps"]
    for line in _head(run):
        console.print(line)
    for step in steps:
        console.print()
        for part in _step(step, every_value=every_value):
            console.print(part)
    console.print()
    for part in _end(run):
        console.print(part)


def place(path: str) -> str:
    """Return where in the workflow something happened: the names of the tasks, outermost first."""
    names = [each.replace("~1", "/").replace("~0", "~") for each in _STRUCTURE.findall(path)]
    return clean(" > ".join(names) or path)


def _head(run: dict[str, Any]) -> Iterator[Text]:
    yield Text.assemble(
        ("Why ", "bold"),
        (clean(run["workflow"]), "bold"),
        f" {clean(run['version'])} is ",
        state(run["state"]),
    )
    took = span(run["createdAt"], run["updatedAt"])
    ended = "took" if run["state"] in ("completed", "faulted", "cancelled") else "so far"
    yield text(f"run {run['id']}", "dim")
    yield text(
        f"requested by {run['requestedBy']} on {moment(run['createdAt']):%Y-%m-%d %H:%M:%S} UTC,"
        f" {ended} {took}, document {short(run['digest'])}",
        "dim",
    )


def _step(step: dict[str, Any], *, every_value: bool) -> Iterator[RenderableType]:
    kind = str(step["kind"])
    style = "bold red" if kind in _BAD else "bold green" if kind in _GOOD else "bold"
    line = Table.grid(padding=(0, 1, 0, 0))
    line.add_column(width=_INDENT - 1, no_wrap=True)
    line.add_column(overflow="fold")
    line.add_row(text(f"{moment(step['at']):%H:%M:%S}", "dim"), text(step["title"], style))
    where = place(str(step["path"]))
    if where:
        again = f" (attempt {step['attempt']})" if _is_repeated(str(step["attempt"])) else ""
        line.add_row("", text(f"{kind.replace('_', ' ')} at {where}{again}", "dim"))
    yield line
    if step["rule"]:
        yield _labelled("reason" if kind == "asked" else "rule", text(step["rule"]))
    facts = _shown(step["facts"], every_value=every_value)
    if facts:
        for part in _facts(facts):
            yield Padding(part, (0, 0, 0, _INDENT), expand=False)
    if step["agent"].get("name"):
        yield from _agent(step["agent"], every_value=every_value)
    if step["person"].get("outcome"):
        yield from _person(step["person"])


def _labelled(label: str, content: Text) -> Table:
    line = Table.grid(padding=(0, 1, 0, 0))
    line.add_column(width=_INDENT - 1)
    line.add_column(width=7)
    line.add_column(overflow="fold")
    line.add_row("", text(label, "dim"), content)
    return line


def _is_repeated(attempt: str) -> bool:
    """Whether a place was visited or tried before: `1.2`, `1~2`; the first time is `1` or `1.1`."""
    return bool(set(re.split(r"[.~]", attempt)) - {"1", ""})


def _shown(facts: list[dict[str, Any]], *, every_value: bool) -> list[dict[str, Any]]:
    """Choose what people see: the checks that failed first, with what they compared.

    A fact whose source is `rule` is the verdict of a check; what follows it is what it compared.
    """
    loose: list[dict[str, Any]] = []
    checks: list[list[dict[str, Any]]] = []
    for fact in facts:
        if fact["source"] == "rule":
            checks.append([fact])
        elif fact["source"] != "journal":
            (checks[-1] if checks else loose).append(fact)
    checks.sort(key=_passed)
    return loose + [
        fact
        for check in checks
        for fact in (check if every_value or not _passed(check) else check[:1])
    ]


def _passed(check: list[dict[str, Any]]) -> bool:
    return not str(check[0]["name"]).endswith(_FAILED)


def _facts(facts: list[dict[str, Any]]) -> Iterator[Table]:
    """Lay out what was compared: each verdict on a line of its own, below it the values it is on."""
    values: list[dict[str, Any]] = []
    for fact in facts:
        if fact["source"] != "rule":
            values.append(fact)
            continue
        yield from _values(values)
        values = []
        failed = str(fact["name"]).endswith(_FAILED)
        mark, style = ("✗", "red") if failed else ("✓", "green")
        line = Table.grid(padding=(0, 1, 0, 0))
        line.add_column(width=16, overflow="fold")
        line.add_column(overflow="fold")
        rule = clean(fact["name"]).partition(":")[0]
        line.add_row(Text(f"{mark} {rule}", style), Text(_cut(fact["value"])))
        yield line
    yield from _values(values)


def _values(facts: list[dict[str, Any]]) -> Iterator[Table]:
    if not facts:
        return
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(overflow="fold", max_width=36)
    table.add_column(overflow="fold", style="bold")
    table.add_column(overflow="fold", max_width=40, style="dim")
    above = ""
    for fact in facts:
        source = clean(fact["source"])
        table.add_row(
            f"  {clean(fact['name'])}",
            Text(_cut(fact["value"])),
            _DITTO if source == above else source,
        )
        above = source
    yield table


def _cut(value: Any) -> str:
    shown = value_text(value)
    if len(shown) <= _MAX_VALUE_CHARS:
        return shown
    return f"{shown[:_MAX_VALUE_CHARS]}... ({len(shown)} characters)"


def _agent(agent: dict[str, Any], *, every_value: bool) -> Iterator[Table]:
    shown = f"{agent['name']} {agent.get('version', '')}".strip()
    if agent.get("skill"):
        shown += f", skill {agent['skill']}"
    if agent.get("card"):
        shown += f", card {short(agent['card'])}"
    yield _labelled("agent", text(shown))
    chosen = _chosen(agent.get("chosen"))
    if chosen:
        yield _labelled("chosen", text(chosen))
    if every_value and agent.get("trace"):
        yield _labelled("span", text(agent["trace"]))


def _chosen(chosen: Any) -> str:
    """Say why this agent: the rule, and who else could have done it."""
    if isinstance(chosen, str):
        return chosen
    if not isinstance(chosen, dict):
        return ""
    others = [
        f"{each.get('name')} {each.get('version')} ({each.get('health')})"
        for each in chosen.get("candidates") or []
        if isinstance(each, dict) and not each.get("taken")
    ]
    rule = str(chosen.get("rule") or "")
    return f"{rule}; passed over: {', '.join(others)}" if others else rule


def _person(person: dict[str, Any]) -> Iterator[Table]:
    yield _labelled("person", text(f"{person.get('subject')}: {person['outcome']}"))
    if person.get("comment"):
        yield _labelled("said", text(f"“{person['comment']}”"))
    if person.get("digest"):
        yield _labelled("saw", text(f"exactly the proposal {short(str(person['digest']))}"))


def _end(run: dict[str, Any]) -> Iterator[RenderableType]:
    error = run.get("error")
    if error:
        title = Text.assemble(("Stopped: ", "bold red"), text(error.get("title", "an error")))
        if error.get("detail"):
            title.append_text(text(f", {error['detail']}"))
        yield title
    elif run["state"] == "completed":
        yield text("Result", "bold green")
        yield Padding(_result(run["output"]), (0, 0, 0, 2), expand=False)
    for wait in run["waitingFor"]:
        yield Text.assemble(("Waits for ", "bold yellow"), text(waits_for(wait)))


def _result(output: Any) -> RenderableType:
    if not isinstance(output, dict):
        return text(value_text(output))
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", overflow="fold", max_width=24)
    table.add_column(overflow="fold")
    for name, value in output.items():
        shown = value_text(value)
        cut = len(shown) > _MAX_VALUE_CHARS
        table.add_row(clean(name), Text(f"{shown[:_MAX_VALUE_CHARS]}..." if cut else shown))
    return table


def waits_for(wait: dict[str, Any]) -> str:
    """Say what one branch of a run waits for."""
    since = f" since {moment(str(wait.get('since'))):%H:%M:%S} UTC" if wait.get("since") else ""
    match wait.get("kind"):
        case "item":
            return f"a person: item {wait.get('item')}{since}"
        case "agent":
            return f"the agent {wait.get('agent')}{since}"
        case "timer":
            return f"{moment(str(wait.get('until'))):%Y-%m-%d %H:%M:%S} UTC"
        case "event":
            return f"an event{since}"
        case "run":
            return f"the run {wait.get('run')}{since}"
        case _:
            return f"the coordinator to try again{since}"
