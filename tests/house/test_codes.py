"""Error codes are a promise: one meaning each, and the documents tell the truth about them."""

from __future__ import annotations

import ast
import importlib
import re
from functools import cache

import pytest
from parley_cards.errors import FACES, ParleyError

from tests.house.sources import module_name, product_modules, shown, table, text, tree

PAGES = ("README.md", "docs/failure-semantics.md", "docs/rest-api.md", "docs/workflow-language.md")
TREE_LINE = re.compile(r"(\w+Error) +(\d{3}) +([a-z_]+)(?: *\(.*)?$", re.MULTILINE)
"""`├── UnknownRunError   404 unknown_run`, perhaps with the module in brackets."""


@cache
def errors() -> dict[str, type[ParleyError]]:
    """Every error class of the product, by its qualified name."""
    for path in product_modules():
        if path.name != "__main__.py":
            importlib.import_module(module_name(path))
    found: dict[str, type[ParleyError]] = {}
    waiting = [ParleyError]
    while waiting:
        each = waiting.pop()
        waiting.extend(each.__subclasses__())
        if each.__module__.startswith("parley_"):
            found[f"{each.__module__}.{each.__qualname__}"] = each
    return found


def test_a_code_always_means_the_same_status() -> None:
    kinds: dict[str, dict[str, str]] = {}
    for name, error in errors().items():
        kinds.setdefault(error.code, {})[name] = str(error.kind)

    assert {code: by for code, by in kinds.items() if len(set(by.values())) > 1} == {}


def test_a_code_is_written_in_small_letters() -> None:
    assert [e.code for e in errors().values() if not re.fullmatch(r"[a-z][a-z0-9_]*", e.code)] == []


def test_the_tree_in_a_docstring_shows_the_codes_of_its_classes() -> None:
    wrong = []
    for path in product_modules():
        described = ast.get_docstring(tree(path)) or ""
        module = module_name(path)
        for name, status, code in TREE_LINE.findall(described):
            error = errors().get(f"{module}.{name}") or _by_name(name)
            if error is None or (str(FACES[error.kind].http), error.code) != (status, code):
                wrong.append(f"{shown(path)}: {name} {status} {code}")

    assert wrong == []


@pytest.mark.parametrize("page", PAGES)
def test_a_status_with_a_code_in_the_documents_is_one_that_can_come(page: str) -> None:
    possible = {(str(FACES[error.kind].http), error.code) for error in errors().values()}
    told = set(re.findall(r"\b([45]\d\d) `([a-z_]+)`", text(page)))
    told |= set(re.findall(r"`([45]\d\d) ([a-z_]+)`", text(page)))

    assert told - possible == set()


def test_the_table_of_kinds_is_the_one_of_the_code() -> None:
    rows = table("docs/failure-semantics.md", "kind")[1:]

    assert {row[0]: (int(row[1]), int(row[2])) for row in rows} == {
        str(kind): (face.http, face.exit) for kind, face in FACES.items()
    }


def _by_name(name: str) -> type[ParleyError] | None:
    return next((each for each in errors().values() if each.__name__ == name), None)
