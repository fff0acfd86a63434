"""The kit's results beside those that the repository expects, each miss with its reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.tck.kit import Results

EXPECTED = Path(__file__).parent / "expected"
BINDINGS = frozenset({"grpc", "jsonrpc", "http_json"})
UNTESTED = "NOT TESTED"
"""Requirements that the kit only lists: our own tests have them, see docs/conformance.md."""


def expectations(sut: str) -> dict[str, Any]:
    """Return what is expected of a SUT; what is not among its misses passes."""
    listed: dict[str, Any] = json.loads((EXPECTED / f"{sut}.json").read_text())
    return listed


def differences(results: Results, sut: str, transports: frozenset[str]) -> Iterator[str]:
    """Yield what is not as expected, for better or worse."""
    expected = expectations(sut)
    misses = {each["id"]: each for each in expected["misses"]}
    only = set(expected.get("only", results.requirements))
    whole = transports >= BINDINGS
    for name, row in sorted(results.requirements.items()):
        if name not in only or row["status"] == UNTESTED:
            continue
        known = misses.get(name, {"status": "PASS", "transports": {}})
        told = "; ".join(each[:300] for each in row["errors"])
        if whole and row["status"] != known["status"]:
            yield f"{name}: {row['status']} instead of {known['status']} {told}"
            continue
        for transport, found in sorted(row["transports"].items()):
            wanted = known["transports"].get(transport, "PASS")
            if found != wanted and transport not in BINDINGS - transports:
                yield f"{name} on {transport}: {found} instead of {wanted} {told}"
    for name in sorted((misses.keys() | only) - results.requirements.keys()):
        yield f"{name}: the kit knows it no more"
    if whole and results.cases["passed"] < expected["passed"]:
        yield f"{results.cases['passed']} cases passed instead of {expected['passed']}"


def table(results: Results) -> str:
    """Return the figures as a table in Markdown."""
    rows = ["| transport | requirements | passed | failed | skipped |", "|---|---|---|---|---|"]
    rows += [
        f"| {name} | {row['total']} | {row['passed']} | {row['failed']} | {row.get('skipped', 0)} |"
        for name, row in sorted(results.transports.items())
    ]
    cases = results.cases
    told = ", ".join(f"{cases[each]} {each}" for each in ("passed", "failed", "skipped", "xfailed"))
    return "\n".join(
        [*rows, "", f"{told}, of {cases.total()} cases of revision {results.revision}"]
    )
