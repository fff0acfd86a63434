"""From the journal to an explanation: one step per thing that happened, in the order it happened.

Pure. Nothing is looked up elsewhere: what the explanation says is what the run resumed from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from parley_cards.delegation import TRACEPARENT

from parley_coordinator.engine import why_others
from parley_coordinator.engine.aftermath import stop_told
from parley_coordinator.engine.why_others import step
from parley_coordinator.engine.why_terms import terms
from parley_coordinator.model import Entry, Fact, Run, Why, WhyStep

_MAX_FACTS: Final = 500


def explain(run: Run, entries: list[Entry]) -> Why:
    """Explain a run from its journal, oldest row first."""
    by_key = {(e.path, e.attempt, e.kind): e for e in entries}
    steps: list[WhyStep] = []
    for entry in entries:
        kind, _, ordinal = entry.kind.partition(".")
        if kind in why_others.RENDERERS:
            steps.append(why_others.RENDERERS[kind](entry))
            continue
        render = _RENDERERS.get(kind)
        if render is not None and ordinal != "expired" and not ordinal.endswith(".expired"):
            told = render(entry, _Siblings(by_key, entry))
            if told is not None:
                steps.append(told)
        elif render is not None:
            steps.append(step(entry, "expired", "nobody decided before the deadline"))
    return Why(run=run, steps=steps)


class _Siblings:
    """The other rows of a row's place, by kind."""

    def __init__(self, by_key: dict[tuple[str, str, str], Entry], entry: Entry) -> None:
        self._by_key = by_key
        self._entry = entry

    def __call__(self, kind: str) -> Entry | None:
        return self._by_key.get((self._entry.path, self._entry.attempt, kind))


def _started(entry: Entry, _: _Siblings) -> WhyStep:
    body = entry.body
    continues = body.get("continues")
    if continues is not None:
        return why_others.went_on(entry, continues)
    return step(
        entry,
        "started",
        f"{body['by']} started {body['workflow']} {body['version']}",
        facts=[
            Fact(name="document", value=body["digest"], source="journal"),
            *terms(entry),
        ],
        person={"subject": body["by"]},
    )


def _intent(sibling: _Siblings) -> Entry | None:
    """Return the intent that counts: of the agent that a step went to last."""
    newest, number = sibling("intended"), 2
    while (following := sibling(f"intended.{number}")) is not None:
        newest, number = following, number + 1
    return newest


def _intended(entry: Entry, sibling: _Siblings) -> WhyStep | None:
    """A call that has no end yet; one that has is told by its end, or by who declined it."""
    ends = ("observed", "failed", "cancelled")
    declined = f"declined.{entry.kind.partition('.')[2] or 1}"
    if any(sibling(end) is not None for end in (*ends, declined)):
        return None
    about = entry.body
    sent = sibling("sent")
    known = "no answer yet" if sent is None else "it has the task, no result yet"
    return step(
        entry,
        "calling",
        f"{about.get('title') or about['skill']}: {_who(about)} was asked, {known}",
        agent=_agent(about, "" if sent is None else sent.body["task"]),
    )


def _observed(entry: Entry, sibling: _Siblings) -> WhyStep:
    intended = _intent(sibling)
    about = intended.body if intended is not None else {}
    large = entry.body.get("artifact")
    rule, title, facts = _verdict(entry.body.get("output"))
    if large is not None:
        href = f"/v1/artifacts/{large['digest']}"
        facts = [Fact(name="output", value={**large, "href": href}, source="artifact")]
    label = about.get("title") or about.get("skill") or entry.path
    if about.get("compensates"):
        label = f"{label} (undoes {_name(about['compensates'])})"
    done_by = entry.body.get("by")
    if done_by:
        title = f"{done_by} ruled that it had run"
    return step(
        entry,
        "called",
        f"{label}: {title}" if title else str(label),
        rule=rule,
        facts=facts,
        agent=_agent(about, entry.body.get("task", "")),
    )


def _failed(entry: Entry, sibling: _Siblings) -> WhyStep:
    intended = _intent(sibling)
    about = intended.body if intended is not None else {}
    error = entry.body["error"]
    detail = f" ({error['detail']})" if error.get("detail") else ""
    sent = sibling("sent")
    expired = str(error["type"]).endswith("/timeout")
    return step(
        entry,
        "agent_failed" if about else "expired" if expired else "failed",
        f"{entry.body.get('title') or entry.path}: {error.get('title', 'failed')}{detail}",
        rule=str(error["type"]).rsplit("/", 1)[-1],
        agent=_agent(about, sent.body["task"] if sent is not None else "") if about else {},
    )


def _chose(entry: Entry, _: _Siblings) -> WhyStep:
    body = entry.body
    case = body.get("case") or "no case"
    return step(
        entry,
        "chose",
        f"took {case!r} and went to {body.get('then') or 'the next task'}",
        rule=str(body.get("when") or "otherwise"),
        facts=[
            Fact(name=str(operand["name"]), value=operand["value"], source="run context")
            for operand in body.get("operands", [])
        ],
    )


def _asked(entry: Entry, _: _Siblings) -> WhyStep:
    body = entry.body
    return step(
        entry,
        "asked",
        f"asked {' or '.join(body['candidates'])}: {body['title']}",
        rule=body["reason"],
        facts=[Fact(**fact) for fact in body["summary"]][:_MAX_FACTS],
        person={"candidates": body["candidates"], "excluded": body["excluded"]},
    )


def _decided(entry: Entry, _: _Siblings) -> WhyStep:
    body = entry.body
    return step(
        entry,
        "decided",
        f"{body['by']} decided: {body['outcome']}",
        facts=[
            Fact(name=name, value=value, source=f"user:{body['by']}")
            for name, value in body["values"].items()
        ],
        person={
            "subject": body["by"],
            "outcome": body["outcome"],
            "comment": body["comment"],
            "digest": body["digest"],
            "at": body["at"],
        },
    )


def _retrying(entry: Entry, _: _Siblings) -> WhyStep:
    body = entry.body
    error = body.get("error", {})
    return step(
        entry,
        "retried",
        f"attempt {body.get('attempt', '')} failed, tried again at {body.get('until', '')}",
        rule=str(error.get("title", "")),
    )


def _caught(entry: Entry, _: _Siblings) -> WhyStep:
    error = entry.body.get("error", {})
    return step(entry, "caught", f"handled: {error.get('title', 'an error')}")


def _skipped(entry: Entry, _: _Siblings) -> WhyStep:
    body = entry.body
    if body.get("undoes"):
        title = f"nothing to undo: {_name(body['undoes'])} has not happened"
        return step(entry, "chose", title)
    return step(
        entry,
        "chose",
        "skipped, its condition did not hold",
        rule=str(body.get("when", "")),
        facts=[
            Fact(name=str(operand["name"]), value=operand["value"], source="run context")
            for operand in body.get("operands", [])
        ],
    )


def _completed(entry: Entry, _: _Siblings) -> WhyStep:
    return step(entry, "completed", "completed")


def _faulted(entry: Entry, _: _Siblings) -> WhyStep:
    error = entry.body["error"]
    detail = f": {error['detail']}" if error.get("detail") else ""
    return step(entry, "faulted", f"stopped, {error.get('title', 'an error')}{detail}")


def _cancelled(entry: Entry, _: _Siblings) -> WhyStep:
    body = entry.body
    if "outcome" in body:
        return step(entry, "cancelled", f"the agent's task: {stop_told(body)}")
    reason = f": {body['reason']}" if body.get("reason") else ""
    return step(
        entry,
        "cancelled",
        f"{body['by']} cancelled the run{reason}",
        person={"subject": body["by"]},
    )


_RENDERERS: Final[dict[str, Callable[[Entry, _Siblings], WhyStep | None]]] = {
    "intended": _intended,
    "started": _started,
    "observed": _observed,
    "failed": _failed,
    "chose": _chose,
    "skipped": _skipped,
    "asked": _asked,
    "decided": _decided,
    "answered": _decided,
    "retrying": _retrying,
    "caught": _caught,
    "completed": _completed,
    "faulted": _faulted,
    "cancelled": _cancelled,
}


def _who(about: dict[str, Any]) -> str:
    """An agent, or the server of a protocol call."""
    return str(about.get("agent", {}).get("name") or about.get("uri") or about.get("protocol", ""))


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _agent(about: dict[str, Any], task: str) -> dict[str, Any]:
    if "protocol" in about:
        name = about.get("operationId") or about.get("name") or about["method"]
        return {
            "name": about["who"],
            "version": "",
            "url": about["uri"],
            "card": "",
            "skill": f"{about['protocol']} {name}",
            "task": task,
            "chosen": {},
        }
    agent = about.get("agent", {})
    return {
        "name": agent.get("name", ""),
        "version": agent.get("version", ""),
        "url": agent.get("url") or about.get("uri", ""),
        "card": agent.get("card", ""),
        "skill": f"{about['skill']}:{about['version']}" if about.get("skill") else "",
        "task": task,
        "chosen": about.get("chosen", {}),
        "trace": about.get("contract", {}).get(TRACEPARENT, ""),
    }


def _verdict(output: Any) -> tuple[str, str, list[Fact]]:
    """Read a rule, a sentence and compared values out of an output that has them.

    Any skill may answer `{rule, title, compared: [V], checks: [{rule, passed, title, compared: [V]}]}`
    with V = `{name, value, source}`; its words and values are shown, and decide nothing. What failed
    comes first; where nothing failed, what decided does.
    """
    if not isinstance(output, dict):
        return "", "", []
    checks = output.get("checks")
    checks = [c for c in checks if isinstance(c, dict)] if isinstance(checks, list) else []
    failed = [check for check in checks if check.get("passed") is not True]
    passed = [check for check in checks if check.get("passed") is True]
    facts = [] if failed else _compared(output)
    for check in failed + passed:
        mark = "FAILED" if check in failed else "ok"
        name = f"{check.get('rule', '')}: {mark}"
        facts.append(Fact(name=name, value=check.get("title", ""), source="rule"))
        facts.extend(_compared(check))
    rule, title = output.get("rule", ""), output.get("title", "")
    return (
        rule if isinstance(rule, str) else "",
        title if isinstance(title, str) else "",
        facts[:_MAX_FACTS],
    )


def _compared(of: dict[str, Any]) -> list[Fact]:
    compared = of.get("compared")
    return [
        Fact(
            name=str(value.get("name", "")),
            value=value.get("value"),
            source=str(value.get("source", "")),
        )
        for value in (compared if isinstance(compared, list) else [])
        if isinstance(value, dict)
    ]
