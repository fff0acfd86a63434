"""The results of `parley test` as JUnit XML, which CI servers read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from parley_coordinator.cli.case_report import failure_lines
from parley_coordinator.cli.errors import UsageError
from parley_coordinator.cli.output import clean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from parley_coordinator.cli.testing import CaseFile

_NOT_XML: Final = re.compile("[\ufffe\uffff]")
"""XML 1.0, 2.2: what `clean` lets pass and XML does not."""


def write_junit(path: Path, files: Sequence[CaseFile]) -> None:
    """Write one `testsuite` for each file; a file that cannot be read is a `testcase` with an error.

    Raises:
        UsageError: If the file cannot be written.
    """
    root = ET.Element("testsuites")
    for file in files:
        suite = ET.SubElement(root, "testsuite", name=_text(file.name))
        for result in file.results:
            name = _text(result.case.name)
            workflow = "" if result.document is None else result.document.name
            seconds = f"{result.seconds:.6f}"
            case = ET.SubElement(suite, "testcase", classname=workflow, name=name, time=seconds)
            case.set("file", _text(file.name))
            case.set("line", str(result.case.line))
            if not result.passed:
                lines = list(failure_lines(result))
                failure = ET.SubElement(case, "failure", message=_text(lines[0] if lines else ""))
                failure.text = _text("\n".join(lines))
            if result.warnings:
                ET.SubElement(case, "system-out").text = _text("\n".join(result.warnings))
        for problem in file.problems:
            case = ET.SubElement(suite, "testcase", classname="", name=_text(file.name), time="0")
            ET.SubElement(case, "error", message=_text(problem))
        suite.set("tests", str(len(suite)))
        suite.set("failures", str(len(suite.findall("testcase/failure"))))
        suite.set("errors", str(len(suite.findall("testcase/error"))))
        suite.set("time", f"{sum(result.seconds for result in file.results):.6f}")
    try:
        ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as exc:
        raise UsageError(f"cannot write {path}: {exc.strerror}") from exc


def _text(value: str) -> str:
    return _NOT_XML.sub("?", clean(value))
