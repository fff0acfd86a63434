"""Paths of a run, read against the document: which task a place is, and by what names it goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_CALLED = "call"
_TWO_STEPS = frozenset(("catch", "fork", "foreach"))


@dataclass(frozen=True, slots=True)
class Step:
    """One task on the way to a place."""

    name: str
    site: str
    """JSON pointer in the document: of a function, that in `use`."""
    is_function: bool = False


def steps(path: str) -> Iterator[Step]:
    """Yield the tasks on the way to a place of a run, from the outside in."""
    parts = path.split("/")[1:]
    site, index = "", 0
    while index < len(parts):
        slot = parts[index]
        if slot == _CALLED and index + 1 < len(parts):
            site = f"/use/functions/{parts[index + 1]}"
            index += 2
            yield Step(site.rpartition("/")[2], site, is_function=True)
            continue
        width = 2 if slot in _TWO_STEPS else 1
        end = index + width + 2
        if end > len(parts):
            return  # of no task: `/input`
        site += "".join(f"/{part}" for part in parts[index:end])
        index = end
        yield Step(parts[end - 1], site)


def names_of(path: str) -> tuple[str, ...]:
    """Return the names by which a case may mean a task: of who calls the function, then its own."""
    names: list[str] = []
    for step in reversed(list(steps(path))):
        names.insert(0, step.name)
        if not step.is_function:
            break
    return tuple(names) or (path,)


def site_of(path: str) -> str:
    """Return the pointer of the task in the document; empty if the path is of no task."""
    found = list(steps(path))
    return found[-1].site if found else ""
