"""Rules that every file keeps."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.house.sources import (
    FOLDERS,
    ROOT,
    files,
    module_name,
    named,
    product_modules,
    shown,
    text,
    tree,
)

MAX_LINES = 500
BANNED_NAMES = {"utils", "util", "common", "helpers", "helper", "shared", "base", "misc", "lib"}
MACHINE_PATH = re.compile(r"(?<![\w.:/$~-])/(home|root|Users|work|workspace|mnt|media|srv)/\w")
BINARY = {".png", ".jpg", ".gif", ".ico"}


def test_no_file_has_more_lines_than_a_reader_can_hold() -> None:
    long = {
        shown(path): lines
        for path in named(".py", ".md", ".yaml", ".yml", ".toml")
        if (lines := len(text(path).splitlines())) > MAX_LINES
    }

    assert long == {}


def test_no_module_is_named_after_nothing() -> None:
    parts = {
        shown(path): {part.lower() for part in path.relative_to(ROOT).with_suffix("").parts}
        for path in named(".py")
    }

    assert [name for name, words in parts.items() if words & BANNED_NAMES] == []


def test_no_text_names_a_path_of_the_machine_it_was_written_on() -> None:
    found = [
        f"{shown(path)}:{number}: {line.strip()[:80]}"
        for path in files()
        if path.suffix not in BINARY
        for number, line in enumerate(text(path).splitlines(), start=1)
        if MACHINE_PATH.search(line)
    ]

    assert found == []


def test_each_source_root_holds_one_typed_package_and_nothing_else_to_import() -> None:
    for folder, package in FOLDERS.items():
        importable = {
            path.name
            for path in (ROOT / folder).iterdir()
            if path.name != "__pycache__" and (path.is_dir() or path.suffix == ".py")
        }

        assert importable == {package}
        assert (ROOT / folder / package / "py.typed").is_file()
        assert (ROOT / folder / package / "__init__.py").is_file()


STANDS_ALONE = {"torture/parley_torture/adapting.py"}
"""Copied beside adapters that have nothing else of ours; it is told its database there."""


def test_the_environment_is_read_in_the_settings_only() -> None:
    found = [
        f"{shown(path)}:{node.lineno}"
        for path in product_modules()
        if path.name != "settings.py" and shown(path) not in STANDS_ALONE
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute | ast.ImportFrom) and _reads_environment(node)
    ]

    assert found == []


def test_no_module_catches_everything_without_saying_so() -> None:
    silent = [
        f"{shown(path)}:{node.lineno}"
        for path in product_modules()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or _names(node.type) & {"Exception", "BaseException"})
        and all(isinstance(statement, ast.Pass) for statement in node.body)
    ]

    assert silent == []


def test_a_waiver_names_the_rule_that_it_waives() -> None:
    # Spelt in two halves, so that this file does not find itself.
    vague = re.compile(r"# no" r"qa(?!: [A-Z]+\d)|# type: ig" r"nore(?!\[)")
    found = [
        f"{shown(path)}:{number}"
        for path in named(".py")
        for number, line in enumerate(text(path).splitlines(), start=1)
        if vague.search(line)
    ]

    assert found == []


def test_every_decision_that_the_code_cites_is_written_down() -> None:
    written = {path.name[:4] for path in (ROOT / "docs/adr").glob("[0-9]*.md")}
    cited = {
        (number, shown(path))
        for path in named(".py", ".toml", ".md", ".yaml", ".yml")
        for number in re.findall(r"ADR-(\d{4})", text(path))
    }

    assert [each for each in sorted(cited) if each[0] not in written] == []


def test_modules_have_names_that_can_be_imported() -> None:
    bad = [
        shown(path)
        for path in product_modules()
        if not all(part.isidentifier() for part in module_name(path).split("."))
    ]

    assert bad == []


def _reads_environment(node: ast.Attribute | ast.ImportFrom) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in {"environ", "environb", "getenv"} and _names(node.value) == {"os"}
    return node.module == "os" and any(
        alias.name in {"environ", "environb", "getenv"} for alias in node.names
    )


def _names(node: ast.expr) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def test_the_walk_sees_this_file() -> None:
    assert Path(__file__).resolve() in files()
