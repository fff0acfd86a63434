"""Cases and workflows for tests, written as an author writes them."""

from __future__ import annotations

from textwrap import dedent
from typing import Any, NoReturn

import pytest
from parley_coordinator.errors import InvalidWorkflowError
from parley_coordinator.rehearsing.cases import Case
from parley_coordinator.rehearsing.loading import load_cases
from parley_coordinator.rehearsing.results import Result, run_case
from parley_coordinator.workflow.catalog import FunctionInfo
from parley_coordinator.workflow.document import Document, load_document
from parley_coordinator.workflow.expressions import Expressions

HEAD = 'document: {dsl: "1.0.3", namespace: test, name: example, version: "1.0.0"}\n'


def skill(name: str, **schemas: dict[str, Any]) -> FunctionInfo:
    return FunctionInfo(
        name=name,
        version="1.0.0",
        input_schema=schemas.get("takes"),
        output_schema=schemas.get("gives"),
        effect="write",
        idempotent=False,
    )


FUNCTIONS = {
    each.name: [each]
    for each in (
        skill(
            "quote",
            takes={"type": "object", "properties": {"amount": {"type": ["number", "null"]}}},
            gives={"type": "object", "required": ["price"]},
        ),
        skill("order"),
        skill("undo"),
    )
}


def workflow(text: str) -> Document:
    """Load a document of which `text` is all but the head."""
    return load_document(HEAD + dedent(text), source="workflow.yaml")


def no_file(name: str) -> NoReturn:
    raise FileNotFoundError(2, "No such file or directory", name)


def cases(text: str, files: dict[str, str] | None = None) -> list[Case]:
    def read(name: str) -> bytes:
        return files[name].encode() if files and name in files else no_file(name)

    return load_cases(dedent(text), source="x.case.yaml", read_file=read)


def refused(text: str, files: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """Load cases that must be refused; return the findings."""
    with pytest.raises(InvalidWorkflowError) as caught:
        cases(text, files)
    findings: list[dict[str, Any]] = caught.value.facts["findings"]
    return findings


async def run(document: Document, text: str, files: dict[str, str] | None = None) -> Result:
    """Run the one case of a text, with the skills `quote`, `order` and `undo`."""
    (case,) = cases(text, files)
    return await run_one(document, case)


async def run_one(document: Document, case: Case) -> Result:
    return await run_case(case, document, FUNCTIONS, expressions=Expressions(), timer=lambda: 0.0)


def told(result: Result) -> dict[str, tuple[Any, Any]]:
    """What was expected and found, by where."""
    return {each.where: (each.expected, each.found) for each in result.differences}
