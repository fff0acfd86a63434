"""What makes a decision valid: who may decide an item, and what they may say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from parley_cards import strict_json
from parley_cards.errors import ParleyError

from parley_coordinator.errors import InvalidDecisionError, NotEligibleError
from parley_coordinator.governance.access import Permission
from parley_coordinator.inbox.forms import check_values
from parley_coordinator.model import ItemKind, ItemState, RunItems
from parley_coordinator.workflow.schemas import problems

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley_coordinator.governance.access import Principal
    from parley_coordinator.model import WorkItem

MAX_COMMENT: Final = 4_000
WITHOUT_VALUES: Final = frozenset({"decline", "stop", "resend"})
"""Outcomes of our own questions that need no values; an approval's outcomes are the workflow's."""


def is_candidate(principal: Principal, item: WorkItem) -> bool:
    return not principal.titles.isdisjoint(item.candidates)


def check_eligible(principal: Principal, item: WorkItem) -> None:
    """Let a person decide an item, or not.

    Raises:
        NotEligibleError: If they are no candidate, or are excluded.
    """
    if principal.subject in item.excluded:
        raise NotEligibleError(
            f"{principal.subject} requested or prepared this and may not decide it", item=item.id
        )
    if not is_candidate(principal, item):
        raise NotEligibleError(
            f"{principal.subject} is not a candidate; who is: {', '.join(item.candidates)}",
            item=item.id,
            candidates=item.candidates,
        )


def check_decision(
    item: WorkItem, *, outcome: str, comment: str, values: dict[str, Any] | None
) -> dict[str, Any]:
    """Return the values that count.

    Raises:
        InvalidDecisionError: If the outcome is not offered or the values do not fit the form.
    """
    if outcome not in item.outcomes:
        raise InvalidDecisionError(
            f"{outcome[:80]!r} is not offered; choose one of: {', '.join(item.outcomes)}",
            outcomes=item.outcomes,
        )
    if len(comment) > MAX_COMMENT:
        raise InvalidDecisionError(f"the comment is longer than {MAX_COMMENT} characters")
    if item.kind is ItemKind.INCIDENT and outcome == "ran":
        known = item.proposal["known"]
        if "undoes" not in known or (values or {}).get("result"):
            _check_result(values or {}, known.get("outputSchema"))
    needs_none = item.kind is not ItemKind.APPROVAL and outcome in WITHOUT_VALUES
    return {} if needs_none else check_values(item.form, values or {})


def _check_result(values: dict[str, Any], schema: dict[str, Any] | None) -> None:
    """Refuse what an operator says a step has returned, unless it fits the skill's contract."""
    text = values.get("result")
    if not isinstance(text, str) or not text.strip():
        raise InvalidDecisionError("say what it returned: `result` as JSON")
    try:
        value = strict_json.loads(text)
    except ParleyError as exc:
        raise InvalidDecisionError(f"the result is not JSON: {exc.message}") from exc
    found = [] if schema is None else problems(schema, value)
    if found:
        raise InvalidDecisionError(f"the result does not fit: {'; '.join(found)}", problems=found)


def as_seen_by(principal: Principal, found: Sequence[WorkItem]) -> RunItems:
    """Return the items of a run as one person sees them."""
    sees_all = principal.may(Permission.ITEM_READ_ALL)
    asked = principal.may(Permission.ITEM_READ)
    visible: list[WorkItem] = []
    hidden: list[ItemKind] = []
    for item in found:
        made = item.decision
        if (
            sees_all
            or (asked and is_candidate(principal, item))
            or (made is not None and made.by == principal.subject)
        ):
            visible.append(item)
        elif item.state is ItemState.READY:
            hidden.append(item.kind)
    return RunItems(visible=visible, hidden=hidden)
