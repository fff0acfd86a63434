"""The inbox: what is asked, and the answer."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import typer
from parley_cards import strict_json
from parley_cards.strict_json import MalformedJsonError
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from parley_coordinator.cli.errors import RefusedError, UndecidedError, UsageError
from parley_coordinator.cli.output import (
    age,
    clean,
    console,
    moment,
    narrow,
    print_json,
    print_table,
    short,
    state,
    text,
    value_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from parley_coordinator.cli.client import Coordinator

_PREFIX = re.compile(r"(?:sha256:)?([0-9a-f]{8,64})")
_MAX_VALUE_CHARS: Final = 400


def list_items(coordinator: Coordinator, *, limit: int, as_json: bool) -> None:
    found = coordinator.entries("items", limit=limit)
    if as_json:
        print_json(found)
        return
    now = datetime.now(UTC)
    if found and narrow():
        for item in found:
            _print_briefly(item, now)
        return
    print_table(
        ["ITEM", "Question", "Asked", "Decide by"],
        [
            (
                text(item["id"]),
                Text.assemble(
                    text(item["title"], "bold"), "\n", text(item["reason"] or item["kind"], "dim")
                ),
                text(f"{age(item['createdAt'], now)} ago"),
                text(f"{moment(item['decideBy']):%d %b %H:%M}" if item["decideBy"] else "-"),
            )
            for item in found
        ],
        empty="nothing to decide",
    )


def _print_briefly(item: dict[str, Any], now: datetime) -> None:
    """Print an open question on lines of its own: beside its id a narrow terminal has no room."""
    out = console()
    until = f", decide by {moment(item['decideBy']):%d %b %H:%M}" if item["decideBy"] else ""
    out.print(text(item["id"]), soft_wrap=True)
    out.print(Padding(text(item["title"], "bold"), (0, 0, 0, 2), expand=False))
    out.print(Padding(text(item["reason"] or item["kind"], "dim"), (0, 0, 0, 2), expand=False))
    asked = f"asked {age(item['createdAt'], now)} ago{until}"
    out.print(Padding(text(asked, "dim"), (0, 0, 0, 2), expand=False))


def show_item(coordinator: Coordinator, item_id: str, *, as_json: bool) -> None:
    item = coordinator.get("v1", "items", item_id)
    if as_json:
        print_json(item)
    else:
        print_item(item, console())
        for outcome in item["outcomes"] if item["state"] == "ready" else []:
            command = f"parley decide {item['id']} {outcome} --digest {short(item['digest'])}"
            console().print(text(command), soft_wrap=True)


def print_item(item: dict[str, Any], out: Console) -> None:
    """Print everything that is needed to decide."""
    out.print(text(item["title"], "bold"))
    out.print(
        Text.assemble(text(f"item {item['id']}, {item['kind']}, ", "dim"), state(item["state"]))
    )
    if item["reason"]:
        out.print(text(f"Why you are asked: {item['reason']}"))
    facts = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    facts.add_column("what", overflow="fold", max_width=28)
    facts.add_column("value", overflow="fold")
    facts.add_column("source", overflow="fold", max_width=42, style="dim")
    for fact in item["summary"]:
        facts.add_row(clean(fact["name"]), Text(value_text(fact["value"])), clean(fact["source"]))
    if item["summary"]:
        out.print(Padding(facts, (1, 0, 1, 2), expand=False))
    for line in _consequences(item["proposal"].get("next")):
        out.print(line)
    for name, field in (item["form"].get("properties") or {}).items():
        title = field.get("title") or field.get("description") or field.get("type", "")
        out.print(text(f"field {name}: {title}"))
    out.print(text(f"candidates: {', '.join(item['candidates'])}", "dim"))
    if item["excluded"]:
        out.print(text(f"not: {', '.join(item['excluded'])}", "dim"))
    if item["decideBy"]:
        out.print(text(f"decide by {moment(item['decideBy']):%Y-%m-%d %H:%M} UTC", "dim"))
    out.print(text(f"proposal {item['digest']}", "dim"))
    if item["decision"] is not None:
        out.print(_receipt(item))


def check_confirmable(*, digest: str | None, yes: bool) -> None:
    """Refuse a decision on something that nobody was shown.

    Raises:
        UsageError: If there is no digest, no `--yes`, and no terminal to ask at.
    """
    if digest is not None and yes:
        raise UsageError("give --digest or --yes, not both")
    if digest is None and not yes and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "--digest says which proposal you have seen (`parley inbox ITEM` shows it);"
            " --yes decides whatever is open now"
        )


def decide(
    coordinator: Coordinator,
    item_id: str,
    outcome: str,
    *,
    comment: str,
    digest: str | None,
    yes: bool,
    values: dict[str, Any] | None,
    as_json: bool,
) -> None:
    """Decide what `digest` says was read; without one, what is shown now on stderr.

    Raises:
        UndecidedError: If the person who was asked did not confirm.
        UsageError: If `digest` is none.
        RefusedError: If the proposal is another one by now, or for what the coordinator says.
    """
    item = coordinator.get("v1", "items", item_id)
    if digest is not None:
        _check_digest(digest, item)
    else:
        print_item(item, console(stderr=True))
        if not yes and not typer.confirm(f"Decide {outcome}?", err=True):
            raise UndecidedError("nothing was decided")
    body = {"outcome": outcome, "digest": item["digest"], "comment": comment}
    if values is not None:
        body["values"] = values
    decided = coordinator.post("v1", "items", item_id, "decision", body=body)
    if as_json:
        print_json(decided)
        return
    out = console()
    out.print(text(decided["title"], "bold"))
    out.print(_receipt(decided))
    out.print(text(f"why: parley why {decided['runId']}", "dim"), soft_wrap=True)


def read_values(fields: Sequence[str]) -> dict[str, Any] | None:
    """Read `key=value` pairs; a value that is JSON is that, anything else a text."""
    values: dict[str, Any] = {}
    for field in fields:
        name, found, given = field.partition("=")
        if not found or not name:
            raise UsageError(f"--set takes key=value, not {field[:60]!r}")
        try:
            values[name] = strict_json.loads(given)
        except MalformedJsonError:
            values[name] = given
    return values or None


def _check_digest(given: str, item: dict[str, Any]) -> None:
    found = _PREFIX.fullmatch(given)
    if found is None:
        raise UsageError(
            "--digest takes at least 8 hexadecimal digits, as `parley inbox` shows them"
        )
    current = str(item["digest"]).removeprefix("sha256:")
    if not current.startswith(found.group(1)):
        raise RefusedError(
            f"the proposal is not the one you read; it is {short(current)} now:"
            f" parley inbox {item['id']}",
            code="stale_digest",
            http_status=409,
        )


def _consequences(following: Any) -> Iterator[Text]:
    if isinstance(following, dict):
        for outcome, consequence in following.items():
            yield text(f"{outcome}: {value_text(consequence)[:_MAX_VALUE_CHARS]}")


def _receipt(item: dict[str, Any]) -> Text:
    decision = item["decision"]
    said = f" (“{decision['comment']}”)" if decision["comment"] else ""
    return text(
        f"{decision['by']} decided {decision['outcome']}{said}"
        f" at {moment(decision['at']):%Y-%m-%d %H:%M:%S} UTC on proposal {short(decision['digest'])}",
        "green",
    )
