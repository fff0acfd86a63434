"""Decisions of a case, held against what the real inbox refuses."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from parley_cards.errors import ParleyError

from parley_coordinator.governance.access import Permission, Principal, Role, require
from parley_coordinator.inbox import questions
from parley_coordinator.inbox.rules import check_decision, check_eligible
from parley_coordinator.model import Run, RunState, WorkItem
from parley_coordinator.rehearsing.cases import Decision
from parley_coordinator.workflow.document import Document
from parley_coordinator.workflow.effects import Call


def question(document: Document, call: Call, *, requested_by: str, at: datetime) -> WorkItem:
    """Make the item that the real engine would put into the inbox.

    Raises:
        WorkflowError: If the arguments that the workflow computed are no question.
    """
    run = Run(
        id="run-1",
        workflow=document.name,
        version=document.version,
        digest=document.digest,
        state=RunState.RUNNING,
        input=None,
        output=None,
        error=None,
        waiting_for=[],
        requested_by=requested_by,
        created_at=at,
        updated_at=at,
    )
    return questions.human_task(run, call, at=at)


def refusal(item: WorkItem, decision: Decision) -> ParleyError | None:
    """Return why the inbox does not take this decision; None if it does."""
    person = _principal(item, decision)
    try:
        require(person, Permission.ITEM_DECIDE)
        check_eligible(person, item)
        _values(item, decision)
    except ParleyError as error:
        return error
    return None


def decided(item: WorkItem, decision: Decision, at: datetime) -> dict[str, Any]:
    """Return the output of the human task.

    Args:
        decision: One that is not refused.
    """
    return {
        "outcome": decision.outcome,
        "by": decision.by,
        "at": at.isoformat().replace("+00:00", "Z"),
        "comment": decision.comment,
        "values": _values(item, decision),
        "digest": item.digest,
        "item": item.id,
    }


def _values(item: WorkItem, decision: Decision) -> dict[str, Any]:
    outcome = decision.outcome or ""
    return check_decision(item, outcome=outcome, comment=decision.comment, values=decision.values)


def _principal(item: WorkItem, decision: Decision) -> Principal:
    """Return who decides, with the roles of the local account of that name, or of the candidates."""
    subject = decision.by or ""
    known = {str(role): role for role in Role}
    if decision.roles is not None:
        roles = frozenset(decision.roles)
    elif subject in known:
        roles = frozenset({known[subject]})
    else:
        asked = {candidate.removeprefix("role:") for candidate in item.candidates}
        may_decide = {known[name] for name in asked & known.keys()}
        roles = frozenset(may_decide or {Role.APPROVER})
    return Principal(subject=subject, roles=roles)
