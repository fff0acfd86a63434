"""Makes all checks, and shows what they say."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from parley_cards.errors import ParleyError
from parley_registry.client import RegistryClient
from parley_wire.http import open_http

from parley_coordinator.cli.doctor import database, machine, mesh, trust
from parley_coordinator.cli.doctor.findings import Finding, Status, problem
from parley_coordinator.cli.errors import ProblemsError, UsageError
from parley_coordinator.cli.mesh import find_workflows
from parley_coordinator.cli.output import console, print_json, print_table, text
from parley_coordinator.settings import DEFAULT_WORKFLOWS, Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_STYLES = {Status.OK: "green", Status.WARNING: "yellow", Status.PROBLEM: "red"}
_MESH_TOKEN = "mesh-token"  # noqa: S105 - a file's name


def examine(
    home: Path, *, database_url: str | None, registry_url: str | None, workflows: Path | None
) -> list[Finding]:
    """Make every check with the settings that a coordinator started here would have."""
    try:
        settings = Settings.load(
            home=home, database_url=database_url, registry_url=registry_url, workflows=workflows
        )
    except ParleyError as error:
        return [problem("settings", error.message, "see docs/settings.md")]
    findings = [*machine.python(), *machine.packages()]
    findings += _made("home", lambda: machine.home(settings.home))
    findings += _made("disk", lambda: machine.disk(settings.home))
    findings += _made("tokens", lambda: machine.tokens(settings.home))
    findings += _made("secrets", lambda: machine.secrets(settings.secrets))
    findings += _made("tls", lambda: trust.certificate(settings.tls, now=datetime.now(UTC)))
    findings += _made("card-key", lambda: trust.card_key(settings.card_key))
    findings += _made("database", lambda: database.examine(settings.database_url, settings.home))
    return findings + asyncio.run(_mesh(settings))


def show(findings: list[Finding], *, as_json: bool) -> None:
    """Print the findings.

    Raises:
        ProblemsError: If there are problems.
    """
    counts = Counter(each.status for each in findings)
    if as_json:
        print_json(
            {
                "findings": [each.as_json() for each in findings],
                "problems": counts[Status.PROBLEM],
                "warnings": counts[Status.WARNING],
            }
        )
    else:
        _print(findings)
    if counts[Status.PROBLEM]:
        raise ProblemsError(counts[Status.PROBLEM])


def _print(findings: list[Finding]) -> None:
    rows = [
        (text(each.check), text(each.status, _STYLES[each.status]), text(each.what))
        for each in findings
    ]
    print_table(("check", "status", "what"), rows, empty="nothing was checked")
    out = console()
    for each in findings:
        if each.do:
            # On a line of its own and never broken: to be copied.
            line = text(f"{each.check}: ", _STYLES[each.status]).append_text(text(each.do))
            out.print(line, soft_wrap=True)


def _made(check: str, make: Callable[[], list[Finding]]) -> list[Finding]:
    """Make a check; one that the system does not let us make is a problem."""
    try:
        return make()
    except OSError as exc:
        what = f"it could not be checked: {exc.strerror or exc}"
        return [problem(check, what, "run it as the user of the coordinator")]


async def _mesh(settings: Settings) -> list[Finding]:
    token = settings.mesh_token or _token(settings.home)
    async with open_http(tls=settings.tls) as http:
        client = RegistryClient(settings.registry_url, http, token=token)
        findings, known = await mesh.registry(client, settings.registry_url)
        cards = None
        if findings[0].status is Status.OK:
            findings += mesh.agents(known)
            try:
                cards = await mesh.cards(client, known)
            except ParleyError as error:
                findings.append(problem("agents", error.message, "look at the registry's log"))
    folder = settings.workflows
    if folder == DEFAULT_WORKFLOWS and not folder.is_dir():
        with contextlib.suppress(UsageError):
            folder = find_workflows()  # where `parley up` finds them
    return findings + _made("workflows", lambda: mesh.workflows(folder, cards))


def _token(home: Path) -> str | None:
    """Return the token that `parley up` has made for the processes of a home."""
    try:
        return (home / _MESH_TOKEN).read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        return None
