"""Undo calls: which task an undo call undoes (ADR-0011).

The language has no compensation. The pattern is plain: in `catch.do`, a call with
`metadata.compensates: NAME` undoes the call NAME of the `try` beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from parley_coordinator.model import Place
from parley_coordinator.workflow.findings import escape

_LISTS: Final = ("do", "try")
_VISIT: Final = re.compile(r"~\d+$")
_HANDLER: Final = "/catch/do/"


def undone_path(document: dict[str, Any], path: str, name: str) -> str:
    """Return the JSON pointer of the task that the undo call at `path` undoes.

    Returns:
        Empty: it undoes nothing, because `name` is empty, or there is no such task.
    """
    owner, found, _rest = path.rpartition(_HANDLER)
    if not name or not found:
        return ""
    task = _at(document, owner)
    if not isinstance(task, dict) or not isinstance(task.get("try"), list):
        return ""
    paths = named_paths(task["try"], f"{owner}/try")
    return next((where for where, each in paths if each == name), "")


def handled_attempt(place: Place) -> str:
    """Return the attempt of the `try` in whose handler an undo call stands.

    The handler's list numbers its visits with a `~`, see `Place.attempt`.
    """
    return _VISIT.sub("", place.attempt)


def named_paths(tasks: list[Any], path: str) -> Iterator[tuple[str, str]]:
    """Yield the path and the name of every task in a list and in the lists inside, in order."""
    for index, entry in enumerate(tasks):
        if not isinstance(entry, dict) or len(entry) != 1:
            continue
        ((name, task),) = entry.items()
        here = f"{path}/{index}/{escape(name)}"
        yield here, name
        if not isinstance(task, dict):
            continue
        for key in _LISTS:
            if isinstance(task.get(key), list):
                yield from named_paths(task[key], f"{here}/{key}")
        fork = task.get("fork")
        if isinstance(fork, dict) and isinstance(fork.get("branches"), list):
            yield from named_paths(fork["branches"], f"{here}/fork/branches")


def _at(document: Any, path: str) -> Any:
    node = document
    for step in path.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(node, list):
            node = node[int(key)] if key.isdecimal() and int(key) < len(node) else None
        elif isinstance(node, dict):
            node = node.get(key)
        else:
            return None
    return node
