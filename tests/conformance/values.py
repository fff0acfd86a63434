"""What scenarios write down, and how it is compared."""

from __future__ import annotations

from typing import Any

from parley_coordinator.workflow.source import read


def yaml(text: str) -> Any:
    value, _positions = read(text, source="scenario.yaml")
    return value


def member(value: Any, path: str) -> Any:
    """Return what is at `a.b.c`."""
    for name in path.split("."):
        assert isinstance(value, dict), f"{path}: {value!r} has no members"
        assert name in value, f"{path}: there is no {name} in {value!r}"
        value = value[name]
    return value


def fits(error: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Every member that is wanted is there; others may be there, too."""
    assert {name: error.get(name) for name in wanted} == wanted
