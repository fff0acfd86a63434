"""An outline as text for a terminal or a mail, and as JSON."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parley_coordinator.workflow.outline import Entry, Outline

WIDTH: Final = 100
_INDENT: Final = 3
_MAX_INDENT: Final = 30


def outline_text(outline: Outline) -> str:
    """Return the outline as lines of at most `WIDTH` characters, the last one ended, too."""
    head = [f"{outline.title} ({outline.namespace}/{outline.name} {outline.version})"]
    head += textwrap.wrap(outline.summary, WIDTH)
    deadline = f"; ends {outline.deadline}" if outline.deadline else ""
    head += ["", *textwrap.wrap(f"{outline.start}{deadline}.", WIDTH), ""]
    body = [text for entry in outline.entries for text in _lines(entry, 0)]
    return "\n".join([*head, *body, "", f"Document {outline.digest}", ""])


def outline_json(outline: Outline) -> dict[str, Any]:
    return {
        "namespace": outline.namespace,
        "name": outline.name,
        "version": outline.version,
        "digest": outline.digest,
        "title": outline.title,
        "summary": outline.summary,
        "start": outline.start,
        "deadline": outline.deadline,
        "steps": [_entry_json(entry) for entry in outline.entries],
    }


def _lines(entry: Entry, depth: int) -> Iterator[str]:
    indent = " " * min(depth * _INDENT, _MAX_INDENT)
    number = f"{entry.number}. "
    colon = ":" if entry.children and entry.kind == "handler" else ""
    yield from textwrap.wrap(
        entry.line + colon,
        WIDTH,
        initial_indent=indent + number,
        subsequent_indent=indent + " " * len(number),
        break_on_hyphens=False,
    )
    for child in entry.children:
        yield from _lines(child, depth + 1)


def _entry_json(entry: Entry) -> dict[str, Any]:
    return {
        "number": entry.number,
        "path": entry.path,
        "kind": entry.kind,
        "text": entry.text,
        "does": entry.does,
        "who": entry.who,
        "condition": entry.condition,
        "deadline": entry.deadline,
        "undoes": entry.undoes,
        "then": entry.then,
        "onError": entry.on_error,
        "steps": [_entry_json(child) for child in entry.children],
    }
