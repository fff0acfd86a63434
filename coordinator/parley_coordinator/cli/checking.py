"""`parley check`: by a coordinator if there is one, else here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley_coordinator.cli.documents import (
    Report,
    ask,
    counted,
    examine,
    print_findings,
    read_cards,
    read_files,
)
from parley_coordinator.cli.errors import FindingsError, UsageError
from parley_coordinator.cli.output import console, print_json, text
from parley_coordinator.cli.settings import DEFAULT_URL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from parley_coordinator.cli.client import Coordinator
    from parley_coordinator.cli.documents import File


def check(
    paths: Sequence[Path],
    *,
    url: str | None,
    home: Path,
    role: str,
    offline: bool,
    cards: Path | None,
    as_json: bool,
) -> None:
    """Check documents and print what is wrong with them.

    Args:
        url: Of a coordinator that must answer; None: the usual one, if it is there.
        cards: Folder of agent cards to check with, instead of a coordinator.

    Raises:
        UsageError: If something cannot be read.
        UnreachableError, RefusedError
        FindingsError: If anything is wrong.
    """
    files = read_files(paths)
    reports = _reports(files, url=url, home=home, role=role, offline=offline, cards=cards)
    if as_json:
        print_json([report.as_json for report in reports])
    else:
        for report in reports:
            print_findings(report.file, report.findings)
    if any(report.findings for report in reports):
        raise FindingsError(counted(reports))
    console(stderr=True).print(text(counted(reports), "dim"), soft_wrap=True)


def _reports(
    files: list[File],
    *,
    url: str | None,
    home: Path,
    role: str,
    offline: bool,
    cards: Path | None,
) -> list[Report]:
    if cards is not None:
        catalog = read_cards(cards)
        return [examine(file, catalog) for file in files]
    coordinator = None if offline else _coordinator(url, home, role)
    if coordinator is not None:
        with coordinator:
            return [ask(coordinator, file) for file in files]
    why = "offline" if offline else f"no coordinator at {DEFAULT_URL}"
    note = f"{why}: what agents offer is not checked; see --url and --cards"
    console(stderr=True).print(text(note, "yellow"), soft_wrap=True)
    return [examine(file, None) for file in files]


def _coordinator(url: str | None, home: Path, role: str) -> Coordinator | None:
    from parley_coordinator.cli.client import open_coordinator  # noqa: PLC0415 - see parley_coordinator.cli

    if url is not None:
        return open_coordinator(url, home, role)
    try:
        usual = open_coordinator(DEFAULT_URL, home, role)
    except UsageError:
        return None  # no tokens: there was never a mesh here
    if usual.answers():
        return usual
    with usual:
        return None
