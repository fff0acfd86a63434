"""Checks of the webhooks of runs: whether somebody waits for news in vain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from parley_coordinator.cli.doctor.findings import Finding, ok, warning
from parley_coordinator.store import run_webhooks

if TYPE_CHECKING:
    from sqlalchemy import Connection

_MAX_TOLD: Final = 20


def given_up(connection: Connection) -> list[Finding]:
    """Say which webhooks are told nothing any more, the last ones first."""
    found = run_webhooks.given_up(connection, _MAX_TOLD)
    do = "tell its owner; a new configuration of the same id begins anew, and an old one can be deleted"
    return [
        warning("webhooks", f"{each.id} of {each.owner} at run {each.run_id}: {each.why}", do)
        for each in found
    ] or [ok("webhooks", "none was given up")]
