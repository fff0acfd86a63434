"""Checks of what a coordinator works with: the registry, the agents, and its workflows against them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley_cards.errors import ParleyError
from parley_wire.showing import shown_url

from parley_coordinator.cli.doctor.findings import Finding, ok, problem, warning
from parley_coordinator.delegation.catalog import AgentCatalog
from parley_coordinator.errors import InvalidWorkflowError
from parley_coordinator.workflow.check import check
from parley_coordinator.workflow.document import Document, load_document

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from parley_cards.card import Card
    from parley_registry.client import RegistryClient
    from parley_registry.records import AgentRecord

_FILES = "*/workflow.yaml"


async def registry(client: RegistryClient, url: str) -> tuple[list[Finding], list[AgentRecord]]:
    """Ask the registry for its agents."""
    where = shown_url(url)
    try:
        found = await client.agents()
    except ParleyError as error:
        do = f"start it, or name another: PARLEY_REGISTRY_URL is {where} ({error.code})"
        return [problem("registry", error.message, do)], []
    return [ok("registry", f"{where} knows {len(found)} agents")], found


def agents(known: Sequence[AgentRecord]) -> list[Finding]:
    findings = [
        warning(
            "agents",
            f"{each.name} is {each.health}{f': {each.problem}' if each.problem else ''}",
            f"start it, or look whether {shown_url(each.url)} answers from the registry's machine",
        )
        for each in known
        if each.health != "up"
    ]
    return findings or [ok("agents", f"all {len(known)} are up")]


async def cards(client: RegistryClient, known: Sequence[AgentRecord]) -> list[Card]:
    return [await client.card(each.name) for each in known]


def workflows(folder: Path, cards: Sequence[Card] | None) -> list[Finding]:
    """Say which documents cannot be run, and why.

    Args:
        cards: Of all agents; None: not known, then documents are only loaded.
    """
    paths = sorted(folder.glob(_FILES))
    if not paths:
        do = "name a folder with NAME/workflow.yaml: PARLEY_WORKFLOWS"
        return [warning("workflows", f"there are none in {folder}", do)]
    findings: list[Finding] = []
    documents: list[Document] = []
    for path in paths:
        try:
            documents.append(load_document(path.read_bytes(), source=str(path)))
        except OSError as exc:
            findings.append(
                problem("workflows", f"{path}: {exc.strerror}", "let this user read it")
            )
        except InvalidWorkflowError as error:
            findings.append(problem("workflows", error.message, "correct it; see `parley check`"))
    if cards is not None:
        catalog = AgentCatalog(list(cards))
        every = {each.name: {each.version} for each in documents}
        for document in documents:
            reasons = check(document, catalog, file=document.name, workflows=every)
            if reasons:
                what = f"{document.name} cannot run: {reasons[0].message}"
                more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
                do = f"see `parley check {folder / document.name}`"
                findings.append(problem("workflows", what + more, do))
    against = "with the agents that there are" if cards is not None else "not held against agents"
    return findings or [ok("workflows", f"{len(documents)} in {folder}, {against}")]
