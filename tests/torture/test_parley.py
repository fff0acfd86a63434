"""Parley under torture: the quick part; `make torture` plays all of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from parley_torture.adapters import argv_of
from parley_torture.report import why
from parley_torture.running import torture
from parley_torture.scenarios import SCENARIOS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.crash]

QUICK = (
    "all-well",
    "failed",
    "bare-message",
    "answer-lost",
    "agent-forgets",
    "input-required-twice",
    "accepts-and-says-nothing",
    "kill-before-id-is-saved",
)


@pytest.mark.timeout(240)
async def test_parley_passes_what_can_be_played_in_short(tmp_path: Path) -> None:
    log = logging.getLogger("uvicorn.error")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        report = await torture(
            argv_of("parley"), [SCENARIOS[name] for name in QUICK], folder=tmp_path
        )
    finally:
        log.setLevel(before)

    assert {v.scenario: why(v) for v in report.verdicts if not v.good} == {}
    assert max(verdict.ran.get("b", 0) for verdict in report.verdicts) == 1
