"""Broken documents, each with what is found: one file of `broken/` is one mistake of an author."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from parley_coordinator.errors import InvalidWorkflowError
from parley_coordinator.workflow.catalog import FunctionInfo
from parley_coordinator.workflow.check import check
from parley_coordinator.workflow.document import load_document

from tests.house.sources import table

FOLDER = Path(__file__).parent / "broken"
FILES = sorted(FOLDER.glob("*.yaml"))
EXPECTED = "# expect: "
LONG = {"too-many-expressions"}
"""What takes a document that nobody reads: test_bounds.py makes it."""

MATCH = {
    "type": "object",
    "required": ["invoice"],
    "additionalProperties": False,
    "properties": {
        "invoice": {"$ref": "#/$defs/Invoice"},
        "lines": {"type": "array", "items": {"type": "string"}},
    },
    "$defs": {
        "Invoice": {
            "type": "object",
            "required": ["id"],
            "additionalProperties": False,
            "properties": {"id": {"type": "string"}},
        }
    },
}
MATCHED = {
    "type": "object",
    "required": ["verdict"],
    "additionalProperties": False,
    "properties": {"verdict": {"type": "string"}, "score": {"type": "number"}},
}


def skill(name: str, version: str = "1.0.0", **more: Any) -> FunctionInfo:
    facts: dict[str, Any] = {
        "input_schema": None,
        "output_schema": None,
        "effect": "write",
        "idempotent": False,
    }
    return FunctionInfo(name=name, version=version, **(facts | more))


class Skills:
    """The agents of the broken documents; `reserve` is undone by `release`."""

    def functions(self) -> Mapping[str, list[FunctionInfo]]:
        known = [
            skill("match", effect="read", input_schema=MATCH, output_schema=MATCHED),
            skill("free", "2.1.0", effect="unknown"),
            skill("reserve", undo="release"),
            skill("release"),
        ]
        return {each.name: [each] for each in known}


WORKFLOWS = {"known": {"1.0.0"}}
PEOPLE = {"requester": {"rita", "ada"}, "approver": {"ada", "bert"}, "lead": {"rita"}}


def findings(text: str) -> list[str]:
    """Load and check; return `line:column rule: message` of each finding."""
    try:
        document = load_document(text, source="broken.yaml")
    except InvalidWorkflowError as refused:
        found = refused.facts["findings"]
    else:
        reported = check(document, Skills(), file="broken.yaml", workflows=WORKFLOWS, people=PEOPLE)
        found = [finding.as_json() for finding in reported]
    assert all(each["fix"] for each in found)
    return [f"{each['line']}:{each['column']} {each['rule']}: {each['message']}" for each in found]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_broken_document_is_refused_with_place_rule_and_message(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    expected = [
        line.removeprefix(EXPECTED) for line in text.splitlines() if line.startswith(EXPECTED)
    ]

    assert expected
    assert findings(text) == expected


def test_every_rule_of_the_page_has_a_broken_document() -> None:
    rows = table("docs/workflow-language.md", "rule")[1:]
    rules = {rule.strip("`") for names, _holds in rows for rule in names.split(", ")}
    lines = [line for file in FILES for line in file.read_text(encoding="utf-8").splitlines()]
    shown = {line.split(": ")[1].split(" ")[1] for line in lines if line.startswith(EXPECTED)}

    assert len(FILES) >= 40
    assert rules - shown == LONG
