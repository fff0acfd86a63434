"""Workflow documents on this machine, and what is wrong with them."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from parley_coordinator.cli.errors import UsageError
from parley_coordinator.cli.output import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from parley_coordinator.cli.client import Coordinator
    from parley_coordinator.workflow.catalog import Catalog, FunctionInfo
    from parley_coordinator.workflow.document import Document

FILE_NAME: Final = "workflow.yaml"
_SUFFIXES: Final = frozenset({".yaml", ".yml"})
_MAX_SOURCE: Final = 500
_NOWHERE: Final = {
    "url": "http://127.0.0.1/a2a",
    "protocolBinding": "JSONRPC",
    "protocolVersion": "1.0",
}
"""Stands in a card that has no address because nobody serves it yet, as in a library of cards."""
_OF_AGENTS = re.compile(r"([^:@]+):([^:@]+)@agents")


@dataclass(frozen=True, slots=True)
class File:
    name: str
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is wrong with one file."""

    file: str
    name: str | None
    """This and the next two are None if the document does not load."""
    version: str | None
    digest: str | None
    findings: list[dict[str, Any]]
    """`{line, column, path, rule, message, fix}`, in the order of the text."""

    @property
    def as_json(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "name": self.name,
            "version": self.version,
            "digest": self.digest,
            "findings": self.findings,
        }


def read_files(paths: Sequence[Path]) -> list[File]:
    """Read files, and those that folders stand for.

    A folder stands for every `workflow.yaml` below it; if there is none, for every YAML file.

    Raises:
        UsageError: If something cannot be read, or a folder holds none.
    """
    found: dict[Path, File] = {}
    for path in paths:
        for each in _below(path) if path.is_dir() else [path]:
            try:
                found[each] = File(str(each), each.read_bytes())
            except OSError as exc:
                raise UsageError(f"cannot read {each}: {exc.strerror}") from exc
    return list(found.values())


def ask(coordinator: Coordinator, file: File) -> Report:
    """Let the coordinator check a file, with the agents that it knows."""
    answer = coordinator.post_text("v1", "workflows:check", raw=file.raw, source=source_of(file))
    return Report(
        file=file.name,
        name=answer["name"],
        version=answer["version"],
        digest=answer["digest"],
        findings=answer["findings"],
    )


def examine(file: File, catalog: Catalog | None) -> Report:
    """Check a file here.

    Args:
        catalog: What may be called; None if that is not known: then whatever the document calls is
            taken to be there.
    """
    # Loading the language takes a while, and who asks a coordinator does not need it.
    from parley_coordinator.errors import InvalidWorkflowError  # noqa: PLC0415
    from parley_coordinator.workflow.check import check  # noqa: PLC0415
    from parley_coordinator.workflow.document import load_document  # noqa: PLC0415

    try:
        document = load_document(file.raw, source=file.name)
    except InvalidWorkflowError as exc:
        findings = exc.facts["findings"]
        return Report(file=file.name, name=None, version=None, digest=None, findings=findings)
    found = check(document, catalog or _Assumed(document), file=file.name)
    return Report(
        file=file.name,
        name=document.name,
        version=document.version,
        digest=document.digest,
        findings=[finding.as_json() for finding in found],
    )


def read_cards(folder: Path) -> Catalog:
    """Return the skills of the agent cards in a folder.

    Raises:
        UsageError: If there are none, or one cannot be used.
    """
    from parley_cards import strict_json  # noqa: PLC0415 - see above
    from parley_cards.card import MAX_CARD_BYTES, load_card  # noqa: PLC0415
    from parley_cards.errors import ParleyError  # noqa: PLC0415

    from parley_coordinator.delegation.catalog import AgentCatalog  # noqa: PLC0415

    cards = []
    for path in sorted(folder.glob("*.json")):
        try:
            card = strict_json.loads(path.read_bytes(), max_bytes=MAX_CARD_BYTES)
            if isinstance(card, dict) and card.get("supportedInterfaces") == []:
                card["supportedInterfaces"] = [_NOWHERE]
            cards.append(load_card(card))
        except OSError as exc:
            raise UsageError(f"cannot read {path}: {exc.strerror}") from exc
        except ParleyError as exc:
            raise UsageError(f"{path}: {exc.message}") from exc
    if not cards:
        raise UsageError(f"there are no agent cards (*.json) in {folder}; see --cards")
    return AgentCatalog(cards)


def print_findings(
    file: str, findings: Sequence[dict[str, Any]], stream: TextIO = sys.stdout
) -> None:
    """Print `file:line:column: rule: message`, and below it what to do."""
    for each in findings:
        where = f"{file}:{each['line']}:{each['column']}"
        stream.write(f"{_line(where)}: {_line(each['rule'])}: {_line(each['message'])}\n")
        stream.write(f"  fix: {_line(each['fix'])}\n")


def counted(reports: Sequence[Report]) -> str:
    """Return how much was found, in words."""
    found = sum(len(report.findings) for report in reports)
    wrong = sum(bool(report.findings) for report in reports)
    if not found:
        return f"{_many(len(reports), 'document')} checked, nothing found"
    return f"{_many(found, 'finding')} in {wrong} of {_many(len(reports), 'document')}"


def source_of(file: File) -> str:
    return _line(file.name)[-_MAX_SOURCE:]


class _Assumed:
    """The functions that a document calls, taken to be as it says."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def functions(self) -> Mapping[str, list[FunctionInfo]]:
        from parley_coordinator.workflow.catalog import FunctionInfo  # noqa: PLC0415 - see above

        called: dict[str, list[FunctionInfo]] = {}
        for name, version in sorted(set(_called(self._document.json))):
            function = FunctionInfo(
                name=name,
                version=version,
                input_schema=None,
                output_schema=None,
                effect="unknown",
                idempotent=False,
            )
            called.setdefault(name, []).append(function)
        return called


def _called(value: Any) -> Iterator[tuple[str, str]]:
    """Yield name and version of every `call` of an agent, wherever it stands."""
    if isinstance(value, dict):
        call = value.get("call")
        found = _OF_AGENTS.fullmatch(call) if isinstance(call, str) else None
        if found is not None:
            yield found[1], found[2]
    for each in value.values() if isinstance(value, dict) else value:
        if isinstance(each, dict | list):
            yield from _called(each)


def _below(folder: Path) -> list[Path]:
    found = sorted(folder.rglob(FILE_NAME)) or sorted(
        path for path in folder.rglob("*") if path.suffix in _SUFFIXES and path.is_file()
    )
    if not found:
        raise UsageError(f"there is no workflow document in {folder}")
    return found


def _line(value: object) -> str:
    return clean(" ".join(str(value).split("\n")))


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
