"""The documents say what the code does."""

from __future__ import annotations

import ast
import re
from typing import Any, cast

import pytest
from parley_coordinator.governance.access import GRANTS, Permission, Role
from parley_coordinator.web.events_rest import EventRest
from parley_coordinator.web.operations import Operation, operations
from parley_coordinator.web.rest import Rest
from parley_coordinator.web.workflows import WorkflowRest
from parley_coordinator.workflow.errors import Standard

from tests.house.sources import (
    FOLDERS,
    ROOT,
    files,
    named,
    product_modules,
    shown,
    table,
    text,
    tree,
)

PROCESSES = {"coordinator", "registry", "agents", "systems"}
ADR_PARTS = ["Context", "Decision", "What we gave up", "How we would notice that it was wrong"]
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


def test_the_page_of_permissions_is_the_table_of_grants() -> None:
    header, *rows = table("docs/permissions.md", "permission")

    assert header[1:] == [str(role) for role in Role]
    assert {row[0].strip("`"): row[1:] for row in rows} == {
        str(permission): ["yes" if permission in GRANTS[role] else "" for role in Role]
        for permission in Permission
    }


def test_the_page_of_settings_has_every_variable_and_says_who_reads_it() -> None:
    read: dict[str, set[str]] = {}
    for path in product_modules():
        reader = "command line" if "/cli/" in shown(path) else shown(path).split("/")[0]
        for name in _variables(tree(path)):
            read.setdefault(name, set()).add(reader)
    told = {
        row[0].strip("`"): {word.strip() for word in row[1].split(",")}
        for row in table("docs/settings.md", "variable")[1:]
    }

    assert told == {name: _readers(found) for name, found in read.items()}


def test_there_are_few_settings() -> None:
    assert len(table("docs/settings.md", "variable")) - 1 <= 30


def test_every_operation_of_rest_is_in_the_walk_through() -> None:
    page = re.sub(r"\$(run|item)\b", r"{\1}", text("docs/rest-api.md")).replace("$url", "")
    page = re.sub(r"/v1/(run|item|workflow)s/\{\w+\}", r"/v1/\1s/{\1}", page)

    assert [each.path for each in _operations() if each.path not in page] == []


def test_the_walk_through_asks_for_nothing_that_is_not_there() -> None:
    known = {re.sub(r"\{\w+\}", "{}", each.path) for each in _operations()}
    page = re.sub(r"\$\w+|\{\w+\}", "{}", text("docs/rest-api.md").replace("$url", ""))
    asked = set(re.findall(r"/v1/[a-z{}/:-]+", page))

    assert asked - known == set()


def test_the_errors_that_a_workflow_may_catch_are_the_standard_ones() -> None:
    told = set(re.findall(r"error `([a-z]+)`", text("docs/failure-semantics.md")))

    assert told - {standard.rsplit("/", 1)[-1] for standard in Standard} == set()


def test_every_decision_is_in_the_index_and_has_all_four_parts() -> None:
    pages = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))
    indexed = LINK.findall(text("docs/adr/README.md"))

    assert indexed == [path.name for path in pages]
    for number, path in enumerate(pages, start=1):
        assert path.name.startswith(f"{number:04}-")
        assert re.findall(r"^## (.+)$", text(path), re.MULTILINE) == ADR_PARTS, path.name
        assert len(text(path).splitlines()) <= 60, f"{path.name} is longer than a page"


@pytest.mark.parametrize("page", [shown(path) for path in named(".md")])
def test_links_lead_somewhere(page: str) -> None:
    folder = (ROOT / page).parent
    broken = [
        target
        for target in LINK.findall(text(page))
        if not re.match(r"[a-z]+:", target) and not (folder / target).exists()
    ]

    assert broken == []


def test_every_verb_of_make_that_a_document_uses_exists() -> None:
    verbs = set(re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE))
    used = {
        (verb, shown(path))
        for path in [*named(".md"), ROOT / ".ci/run"]
        for verb in re.findall(r"(?:`|^|\$ )make ([a-z]+)", text(path), re.MULTILINE)
    }

    assert [each for each in sorted(used) if each[0] not in verbs] == []


def test_every_promise_names_a_test_that_exists() -> None:
    promises = {
        (path, name)
        for page in named(".md")
        for path, name in re.findall(r"(tests/[\w/]+\.py)::(\w+)", text(page))
    }
    missing = [
        f"{path}::{name}"
        for path, name in sorted(promises)
        if not (ROOT / path).is_file() or name not in _functions(path)
    ]

    assert missing == []


def test_every_guarantee_of_the_readme_names_its_proof() -> None:
    rows = table("README.md", "promise")[1:]

    assert len(rows) >= 6
    assert [row[0] for row in rows if not re.search(r"tests/[\w/]+\.py::\w+", row[1])] == []


def test_the_first_screen_of_the_readme_fits_a_screen() -> None:
    before_details = text("README.md").split("\n## What it guarantees")[0]

    assert len(before_details.splitlines()) <= 75


def test_every_file_that_the_readme_points_at_in_code_exists() -> None:
    told = re.findall(r"\b((?:workflows|docs|tests|benchmarks)/[\w./-]+\.\w+)", text("README.md"))

    assert [path for path in told if ROOT / path not in files()] == []


def _variables(module: ast.Module) -> set[str]:
    return {
        node.value
        for node in ast.walk(module)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"PARLEY_[A-Z0-9_]+", node.value)
    }


def _readers(found: set[str]) -> set[str]:
    """Which processes read a variable that occurs in these parts of the product.

    The command line names some only to hand them on, or to keep them from its children.
    """
    processes = found & PROCESSES
    return {"all"} if processes == PROCESSES else processes or found


def _operations() -> list[Operation]:
    nothing = cast("Any", None)
    return operations(
        Rest(runs=nothing, repairs=nothing, inbox=nothing, registry=nothing, acts=nothing),
        WorkflowRest(workflows=nothing, public_url=""),
        EventRest(nothing, nothing),
    )


def _functions(path: str) -> set[str]:
    return {
        node.name
        for node in ast.walk(tree(ROOT / path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_source_root_is_described_in_the_architecture() -> None:
    described = {row[0].strip("`") for row in table("docs/architecture.md", "package")[1:]}

    assert described == set(FOLDERS.values())
