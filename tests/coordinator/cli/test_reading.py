"""`parley outline` and `parley diagram` as processes."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.coordinator.cli.shell import Shell
from tests.coordinator.cli.test_commands import refused
from tests.coordinator.web.memory import REVIEW
from tests.coordinator.workflow.documents import HERE, INVOICE

pytestmark = pytest.mark.anyio

NOWHERE = "http://127.0.0.1:1"


async def test_a_document_on_this_machine_is_read_without_a_coordinator(
    parley: Shell, tmp_path: Path
) -> None:
    outline = await parley("outline", str(INVOICE), PARLEY_URL=NOWHERE)
    folder = await parley("outline", str(INVOICE.parent), PARLEY_URL=NOWHERE)
    diagram = await parley("diagram", str(INVOICE), PARLEY_URL=NOWHERE)
    out = tmp_path / "invoice.svg"
    written = await parley("diagram", str(INVOICE), "--out", str(out), PARLEY_URL=NOWHERE)

    expected = (HERE / "invoice-exception.outline.txt").read_text(encoding="utf-8")
    assert (outline.status, outline.out) == (0, expected)
    assert folder.out == expected
    assert ET.fromstring(diagram.out).attrib["role"] == "img"  # noqa: S314 - ours
    assert (written.status, written.out) == (0, "")
    assert out.read_text(encoding="utf-8") == diagram.out


async def test_a_name_is_asked_from_the_coordinator(parley: Shell) -> None:
    outline = await parley("outline", "review", "-o", "json")
    version = await parley("outline", "review", "--version", "1.0.0")
    diagram = await parley("diagram", "review")

    assert outline.json["title"] == "Review an amount"
    assert [step["text"] for step in outline.json["steps"]] == ["Review"]
    assert version.out.startswith("Review an amount (tests/review 1.0.0)\n")
    assert "Review an amount" in diagram.out


async def test_what_cannot_be_read_is_refused(parley: Shell, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_bytes(REVIEW.replace(b"do:", b"doo:"))
    other = tmp_path / "other.yaml"
    other.write_bytes(REVIEW)
    large = tmp_path / "large.yaml"
    steps = [f"  - t{number}: {{set: {{}}}}\n".encode() for number in range(401)]
    large.write_bytes(b"".join((REVIEW.partition(b"do:")[0], b"do:\n", *steps)))

    refused(await parley("outline", "nothing"), 5, "unknown_workflow")
    refused(await parley("outline", "review", "--version", "9.9.9"), 5, "unknown_version")
    refused(await parley("diagram", "no/such.yaml"), 2, "usage")
    refused(await parley("diagram", str(large)), 2, "diagram_too_large")
    refused(await parley("diagram", "not a name"), 2, "usage")
    refused(await parley("outline", str(broken)), 2, "invalid_workflow")
    refused(await parley("outline", str(tmp_path)), 2, "usage")
    refused(await parley("outline", str(other), "--version", "1.0.0"), 2, "usage")
    refused(await parley("diagram", str(other), "--out", str(tmp_path / "a/b.svg")), 2, "usage")
