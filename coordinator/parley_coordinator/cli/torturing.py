"""`parley torture`: chooses scenarios, has the kit play them, and shows the table."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Final

from parley_torture.adapters import argv_of
from parley_torture.report import markdown, ran, to_json, why
from parley_torture.running import torture
from parley_torture.scenarios import SCENARIOS

from parley_coordinator.cli.errors import ScenariosFailedError, UsageError
from parley_coordinator.cli.output import console, print_json, print_table, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from parley_torture.report import Report
    from parley_torture.scenario import Scenario
    from parley_torture.verdict import Verdict

STYLES: Final = {"pass": "green", "FAIL": "red", "error": "red", "skip": "yellow"}


def chosen(only: Sequence[str]) -> list[Scenario]:
    """Return the scenarios with these names, or all.

    Raises:
        UsageError: If there is none with such a name.
    """
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in SCENARIOS):
            raise UsageError(f"there is no scenario {pattern!r}; `parley torture --list` has them")
    return [
        each
        for name, each in SCENARIOS.items()
        if not only or any(fnmatchcase(name, pattern) for pattern in only)
    ]


def show(scenarios: Sequence[Scenario], *, as_json: bool) -> None:
    """Print what is played."""
    if as_json:
        print_json(
            [
                {
                    "name": each.name,
                    "group": each.group,
                    "expects": each.expects,
                    "needs": sorted(each.needs),
                }
                for each in scenarios
            ]
        )
        return
    rows = [(text(each.name), text(each.expects)) for each in scenarios]
    print_table(("SCENARIO", "What happens, and what must come of it"), rows, empty="none")


def run(
    adapter: str,
    scenarios: Sequence[Scenario],
    *,
    database_url: str | None,
    markdown_file: Path | None,
    keep: Path | None,
    as_json: bool,
) -> None:
    """Play them and print the verdicts.

    Raises:
        UsageError: If a file or folder cannot be written.
        ScenariosFailedError: If not all went as expected.
        AdapterError: If the adapter does not come up.
    """
    argv = argv_of(adapter)
    if database_url is not None and not database_url.startswith(("postgresql://", "postgres://")):
        # Not repeated: there may be a password in it.
        raise UsageError("--database-url must be postgresql://USER@HOST/NAME")
    if markdown_file is not None and not markdown_file.absolute().parent.is_dir():
        raise UsageError(f"cannot write {markdown_file}: there is no such folder; see --markdown")
    # The agents of the kit break off answers on purpose; their server would log each as a defect.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    told = console(stderr=True)
    count = "1 scenario" if len(scenarios) == 1 else f"{len(scenarios)} scenarios"
    told.print(text(f"{count} against {adapter}"))

    def tell(verdict: Verdict) -> None:
        line = f"{verdict.result:5} {verdict.scenario} ({verdict.seconds:.0f} s)"
        told.print(text(line, STYLES[verdict.result]))

    with _folder(keep) as folder:
        report = asyncio.run(
            torture(argv, scenarios, folder=folder, database_url=database_url, tell=tell)
        )
    _print(report, as_json=as_json)
    if markdown_file is not None:
        try:
            markdown_file.write_text(markdown(report, SCENARIOS), encoding="utf-8")
        except OSError as exc:
            raise UsageError(f"cannot write {markdown_file}: {exc.strerror}") from exc
    if not report.good:
        raise ScenariosFailedError(report.summary())
    told.print(text(report.summary(), "green"))


def _print(report: Report, *, as_json: bool) -> None:
    if as_json:
        print_json(to_json(report))
        return
    rows = [
        (
            text(each.result, STYLES[each.result]),
            text(each.scenario),
            text(each.outcome),
            text(ran(each)),
            text(why(each)),
        )
        for each in report.verdicts
    ]
    print_table(("VERDICT", "SCENARIO", "OUTCOME", "RAN", "Note"), rows, empty="nothing was played")


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        try:
            keep.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise UsageError(f"cannot use {keep}: {exc.strerror}; see --keep") from exc
        yield keep.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="parley-torture-", ignore_cleanup_errors=True) as made:
        yield Path(made)
