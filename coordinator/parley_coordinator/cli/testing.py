"""`parley test`: finds cases and their workflows, runs them, and says what came of it."""

from __future__ import annotations

import asyncio
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from parley_cards.library import library_card, library_names

from parley_coordinator.cli.case_report import counted, print_coverage, print_results
from parley_coordinator.cli.documents import read_cards
from parley_coordinator.cli.errors import CasesFailedError, UsageError
from parley_coordinator.cli.junit import write_junit
from parley_coordinator.cli.output import console, print_json, text
from parley_coordinator.delegation.catalog import AgentCatalog
from parley_coordinator.errors import InvalidWorkflowError
from parley_coordinator.rehearsing.coverage import Coverage
from parley_coordinator.rehearsing.loading import load_cases
from parley_coordinator.rehearsing.results import Result, never_used, run_case
from parley_coordinator.sandbox.pool import JqPool
from parley_coordinator.workflow.check import check
from parley_coordinator.workflow.document import load_document
from parley_coordinator.workflow.expressions import Expressions
from parley_coordinator.workflow.source import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from parley_coordinator.rehearsing.cases import Case
    from parley_coordinator.workflow.catalog import Catalog
    from parley_coordinator.workflow.document import Document

WORKFLOW: Final = "workflow.yaml"
CASES: Final = "cases"
_UNKNOWN: Final = ": unknown-function: "
_SUFFIXES: Final = frozenset({".yaml", ".yml"})


@dataclass
class Workflow:
    """One document, once for all cases that it has."""

    name: str
    document: Document | None = None
    problems: list[str] = field(default_factory=list)
    """Why no case of it can be run."""
    coverage: Coverage | None = None
    told: bool = False

    def tell(self) -> list[str]:
        """Return the problems the first time, and later that they have been told."""
        if self.told:
            return [f"{self.name} may not run, see above"]
        self.told = True
        return self.problems


@dataclass
class CaseFile:
    """What came of one file."""

    name: str
    problems: list[str] = field(default_factory=list)
    """Why it cannot be read."""
    results: list[Result] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def failed(self) -> int:
        return len([each for each in self.results if not each.passed]) or bool(self.problems)


def run_cases(
    paths: Sequence[Path],
    *,
    cards: Path | None,
    words: str,
    coverage: bool | None,
    junit: Path | None,
    as_json: bool,
) -> None:
    """Run cases and print what came of them.

    Args:
        cards: Folder of agent cards; None: those that ship with the mesh.
        words: Only cases with all of these in their name or file.
        coverage: Say what no case reached; None: if a folder was given, and all of it was run.

    Raises:
        UsageError: If there are no cases, or something cannot be read.
        CasesFailedError: If any case failed.
    """
    catalog = _shipped() if cards is None else read_cards(cards)
    run = _Run(catalog, words.casefold().split())
    asyncio.run(run.run(_case_files(paths)))
    if not any(file.results or file.problems for file in run.files):
        raise UsageError(f"no case has {words!r} in its name or file; see -k")
    if coverage is None:
        coverage = not words and any(path.is_dir() for path in paths)
    reached = [each.coverage for each in run.workflows.values() if each.coverage and coverage]
    if as_json:
        print_json(_as_json(run.files, reached))
    else:
        print_results(run.files)
        print_coverage(reached)
    if junit is not None:
        write_junit(junit, run.files)
    missing = [each for each in run.workflows.values() if _UNKNOWN in "".join(each.problems)]
    if cards is None and missing:
        note = "skills are those of the agents that ship with the mesh; see --cards"
        console(stderr=True).print(text(note, "yellow"), soft_wrap=True)
    if any(file.failed for file in run.files):
        raise CasesFailedError(counted(run.files))
    console(stderr=True).print(text(counted(run.files), "dim"), soft_wrap=True)


class _Run:
    """Everything that is read and run once for one command."""

    def __init__(self, catalog: Catalog, words: Sequence[str]) -> None:
        self.files: list[CaseFile] = []
        self.workflows: dict[Path, Workflow] = {}
        self._catalog = catalog
        self._words = words

    async def run(self, paths: Sequence[Path]) -> None:
        jq = JqPool()
        try:
            for path in paths:
                self.files.append(await self._run_file(path, Expressions(jq)))
        finally:
            await jq.aclose()

    async def _run_file(self, path: Path, expressions: Expressions) -> CaseFile:
        file = CaseFile(str(path))
        try:
            cases = load_cases(
                _read(path), source=file.name, read_file=lambda name: _beside(path, name)
            )
        except InvalidWorkflowError as exc:
            file.problems = list(_located(file.name, exc.facts["findings"]))
            return file
        chosen = [case for case in cases if self._is_wanted(case)]
        for case in chosen:
            file.results.append(await self._run_case(path, case, expressions))
        if len(chosen) == len(cases):
            file.warnings = list(never_used(file.results))
        return file

    def _is_wanted(self, case: Case) -> bool:
        where = f"{case.source} {case.name}".casefold()
        return all(word in where for word in self._words)

    async def _run_case(self, path: Path, case: Case, expressions: Expressions) -> Result:
        workflow = self._workflow(_workflow_of(path, case))
        document = workflow.document
        if document is None or workflow.problems:
            return Result(case=case, document=document, problems=workflow.tell())
        result = await run_case(
            case,
            document,
            self._catalog.functions(),
            expressions=expressions,
            timer=time.perf_counter,
        )
        if result.played is not None and workflow.coverage is not None:
            workflow.coverage.add(result.played)
        return result

    def _workflow(self, path: Path) -> Workflow:
        known = self.workflows.get(path.resolve())
        if known is None:
            known = self.workflows[path.resolve()] = _load(path, self._catalog)
        return known


def _load(path: Path, catalog: Catalog) -> Workflow:
    """Load and check a document."""
    workflow = Workflow(str(path))
    try:
        workflow.document = load_document(_read(path), source=workflow.name)
    except UsageError as exc:
        workflow.problems = [f"{exc.message}; say which: workflow: PATH, relative to the case"]
        return workflow
    except InvalidWorkflowError as exc:
        workflow.problems = list(_located(workflow.name, exc.facts["findings"]))
        return workflow
    found = check(workflow.document, catalog, file=workflow.name)
    workflow.problems = list(_located(workflow.name, [each.as_json() for each in found]))
    workflow.coverage = None if found else Coverage(workflow.document)
    return workflow


def _shipped() -> Catalog:
    return AgentCatalog([library_card(name, url="http://127.0.0.1") for name in library_names()])


def _case_files(paths: Sequence[Path]) -> list[Path]:
    found: dict[Path, None] = {}
    for path in paths:
        below = sorted(_below(path)) if path.is_dir() else [path]
        if not below:
            raise UsageError(
                f"there are no cases in {path}: name them NAME.case.yaml, or put them into cases/"
            )
        found.update(dict.fromkeys(below))
    return list(found)


def _below(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        inside = path.relative_to(folder).parts
        if path.suffix not in _SUFFIXES or any(part.startswith(".") for part in inside):
            continue
        if (path.parent.name == CASES or path.stem.endswith(".case")) and path.is_file():
            yield path


def _workflow_of(file: Path, case: Case) -> Path:
    if case.given.workflow is not None:
        return file.parent / case.given.workflow
    beside, above = file.parent / WORKFLOW, file.parent.parent / WORKFLOW
    return beside if beside.is_file() else above


def _read(path: Path) -> bytes:
    try:
        return _bytes(path)
    except OSError as exc:
        raise UsageError(f"cannot read {path}: {exc.strerror}") from exc
    except ValueError as exc:
        raise UsageError(f"cannot read {path}: {exc}") from exc


def _beside(file: Path, name: str) -> bytes:
    """Read what a case file names."""
    if Path(name).is_absolute():
        raise ValueError("the path is relative to the case file")
    return _bytes(file.parent / name)


def _bytes(path: Path) -> bytes:
    """Read a file that is one: no device, and nothing that does not end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("it is not a file")
    with path.open("rb") as opened:
        return opened.read(MAX_BYTES + 1)


def _located(name: str, findings: Sequence[dict[str, Any]]) -> Iterator[str]:
    for each in findings:
        where = f"{name}:{each['line']}:{each['column']}"
        yield f"{where}: {each['rule']}: {each['message']}; {each['fix']}"


def _as_json(files: Sequence[CaseFile], reached: Sequence[Coverage]) -> dict[str, Any]:
    results = [result for file in files for result in file.results]
    return {
        "passed": sum(result.passed for result in results),
        "failed": sum(file.failed for file in files),
        "cases": [result.as_json() for result in results],
        "files": [
            {"file": file.name, "problems": file.problems, "warnings": file.warnings}
            for file in files
        ],
        "coverage": [
            {
                "workflow": each.document.name,
                **{
                    what: {"reached": reached, "of": total}
                    for what, (reached, total) in each.counts().items()
                },
                "unreached": [one.as_json() for one in each.unreached()],
            }
            for each in reached
        ],
    }
