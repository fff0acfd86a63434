"""The files of the repository, as the house rules look at them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {
    "cards": "parley_cards",
    "wire": "parley_wire",
    "registry": "parley_registry",
    "agents": "parley_agents",
    "systems": "parley_systems",
    "torture": "parley_torture",
    "coordinator": "parley_coordinator",
}
"""Source root to the one import package in it."""
_PASSED_OVER = {"__pycache__", "build", "dist", "htmlcov", "node_modules"}
_HIDDEN_BUT_OURS = {".ci", ".dockerignore", ".gitignore"}


@cache
def files() -> tuple[Path, ...]:
    """Every file that belongs to the repository, sorted."""
    return tuple(sorted(_walk(ROOT)))


def named(*suffixes: str) -> list[Path]:
    return [path for path in files() if path.suffix in suffixes]


def product_modules() -> list[Path]:
    return [path for path in named(".py") if shown(path).split("/")[0] in FOLDERS]


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text(path: Path | str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(text(path), filename=shown(path))


def module_name(path: Path) -> str:
    """`wire/parley_wire/http.py` is `parley_wire.http`."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts[1:])
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def table(page: str, header: str) -> list[list[str]]:
    """The cells of the Markdown table of `page` whose header row begins with `header`."""
    lines = text(page).splitlines()
    start = next((n for n, line in enumerate(lines) if line.startswith(f"| {header} |")), None)
    assert start is not None, f"{page} has no table that begins with {header!r}"
    rows: list[list[str]] = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" |")])
    return [rows[0], *rows[2:]]


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name in _PASSED_OVER or path.name.endswith(".egg-info"):
            continue
        if path.name.startswith(".") and path.name not in _HIDDEN_BUT_OURS:
            continue
        if path.is_dir():
            yield from _walk(path)
        else:
            yield path
