"""The inbox: what is asked, and the answer."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from parley_coordinator.cli.errors import RefusedError, UsageError
from parley_coordinator.cli.output import (
    age,
    clean,
    console,
    moment,
    print_json,
    print_table,
    short,
    state,
    text,
    value_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from parley_coordinator.cli.client import Coordinator

_PREFIX = re.compile(r"(?:sha256:)?([0-9a-f]{8,64})")
_MAX_VALUE_CHARS: Final = 400


def list_items(coordinator: Coordinator, *, limit: int, as_json: bool) -> None:
    found = coordinator.entries("items", limit=limit)
    if as_json:
        print_json(found)
        return
    now = datetime.now(UTC)
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


def show_item(coordinator: Coordinator, item_id: str, *, as_json: bool) -> None:
    item = coordinator.get("v1", "items", item_id)
    if as_json:
        print_json(item)
    else:
        print_item(item)


def print_item(item: dict[str, Any]) -> None:
    """Print everything that is needed to decide, and how to."""
    out = console()
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
    for outcome in item["outcomes"] if item["state"] == "ready" else []:
        command = f"parley decide {item['id']} {outcome} --digest {short(item['digest'])}"
        out.print(text(command), soft_wrap=True)


def decide(
    coordinator: Coordinator,
    item_id: str,
    outcome: str,
    *,
    comment: str,
    digest: str | None,
    values: dict[str, Any] | None,
    as_json: bool,
) -> None:
    """Decide what is open now, or what `digest` says was read.

    Raises:
        UsageError: If `digest` is none.
        RefusedError: If the proposal is another one by now, or for what the coordinator says.
    """
    item = coordinator.get("v1", "items", item_id)
    if digest is not None:
        _check_digest(digest, item)
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
            values[name] = json.loads(given)
        except ValueError:
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
