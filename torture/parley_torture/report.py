"""The table: as JSON, and as Markdown for one orchestrator or several."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from parley_torture.errors import TortureError
from parley_torture.verdict import Finding, Result, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parley_torture.scenario import Scenario

_CELL: Final = 160


@dataclass
class Report:
    """What came of a whole run of the kit."""

    product: str
    verdicts: list[Verdict] = field(default_factory=list)
    """In the order of the scenarios."""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        return all(verdict.good for verdict in self.verdicts)

    def count(self, result: Result) -> int:
        return sum(verdict.result is result for verdict in self.verdicts)

    def summary(self) -> str:
        """Say in one sentence how it went."""
        told = [f"{self.count(Result.PASSED)} of {len(self.verdicts)} scenarios passed"]
        for result, word in (
            (Result.FAILED, "failed"),
            (Result.SKIPPED, "skipped"),
            (Result.BROKEN, "could not be judged"),
        ):
            if count := self.count(result):
                told.append(f"{count} {word}")
        return f"{self.product}: {', '.join(told)}, in {self.seconds:.0f} s"


def to_json(report: Report) -> dict[str, Any]:
    return asdict(report)


def from_json(value: Mapping[str, Any]) -> Report:
    """Read what `to_json` wrote.

    Raises:
        TortureError: If it is something else.
    """
    try:
        verdicts = [
            Verdict(
                **{
                    **each,
                    "result": Result(each["result"]),
                    "findings": [Finding(**finding) for finding in each["findings"]],
                }
            )
            for each in value["verdicts"]
        ]
        return Report(str(value["product"]), verdicts, float(value["seconds"]))
    except (KeyError, TypeError, ValueError) as exc:
        raise TortureError(f"this is no report of the kit: {exc}") from exc


def markdown(report: Report, scenarios: Mapping[str, Scenario]) -> str:
    """Return the table of one orchestrator: what is expected, what came, how often each agent ran."""
    lines = [
        f"{report.summary()}.",
        "",
        "| scenario | what happens, and what must come of it | verdict | outcome | ran |",
        "|---|---|---|---|---|",
    ]
    for verdict in report.verdicts:
        known = scenarios.get(verdict.scenario)
        cells = (
            verdict.scenario,
            known.expects if known is not None else "",
            _judged(verdict),
            verdict.outcome,
            ran(verdict),
        )
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    return "\n".join(lines) + "\n"


def compared(reports: Sequence[Report]) -> str:
    """Return one table of several orchestrators: what passed, and what a failure looked like.

    A scenario that an adapter cannot play is `-`, and does not count.
    """
    rows: dict[str, dict[str, Verdict]] = {}
    for report in reports:
        for verdict in report.verdicts:
            rows.setdefault(verdict.scenario, {})[report.product] = verdict
    products = [report.product for report in reports]
    lines = [f"| scenario | {' | '.join(products)} |", "|---|" + "---|" * len(products)]
    for scenario, verdicts in rows.items():
        cells = [_short(verdicts.get(product)) for product in products]
        lines.append(f"| {' | '.join(map(_cell, (scenario, *cells)))} |")
    passed = [
        f"**{r.count(Result.PASSED)} of {len(r.verdicts) - r.count(Result.SKIPPED)}**"
        for r in reports
    ]
    lines.append(f"| **passed** | {' | '.join(passed)} |")
    return "\n".join(lines) + "\n"


def ran(verdict: Verdict) -> str:
    """Return how often each agent did its work: `a 1, b 1, c 0`."""
    return ", ".join(f"{step} {times}" for step, times in verdict.ran.items())


def why(verdict: Verdict) -> str:
    """Return what was not as expected, or else the note."""
    missed = "; ".join(f"{each.expected}: {each.seen}" for each in verdict.findings)
    return missed or verdict.note


def _judged(verdict: Verdict) -> str:
    more = why(verdict)
    return f"{verdict.result}: {more}" if more else str(verdict.result)


def _short(verdict: Verdict | None) -> str:
    if verdict is None or verdict.result is Result.SKIPPED:
        return "-"
    if verdict.result is Result.PASSED:
        return "pass"
    repeated = [step for step, times in verdict.ran.items() if times > 1]
    if repeated and any(" once" in each.expected for each in verdict.findings):
        times = verdict.ran[repeated[0]]
        return (
            f"**{verdict.result}** {repeated[0]} ran {'twice' if times == 2 else f'{times} times'}"
        )
    seen = verdict.findings[0].seen if verdict.findings else verdict.note
    return f"**{verdict.result}** {seen.splitlines()[0].strip()[:70] if seen else verdict.outcome}"


def _cell(value: object) -> str:
    text = " ".join(str(value).split()).replace("|", "\\|")
    return text if len(text) <= _CELL * 2 else text[: _CELL * 2] + "..."
