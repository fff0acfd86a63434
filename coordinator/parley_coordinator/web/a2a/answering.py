"""Which question an answer is for, and the decision that it becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from a2a.utils.errors import InvalidParamsError, UnsupportedOperationError

from parley_coordinator.errors import (
    InvalidDecisionError,
    NotEligibleError,
    StaleDigestError,
    UnknownItemError,
)
from parley_coordinator.model import ItemKind, ItemState

if TYPE_CHECKING:
    from parley_coordinator.governance.access import Principal
    from parley_coordinator.model import Run, WorkItem
    from parley_coordinator.web.a2a.messages import Answer
    from parley_coordinator.web.ports import Inbox

MAX_ITEMS: Final = 100
_TEXT_ANSWERS: Final = frozenset({ItemKind.INPUT, ItemKind.AUTH})
"""Kinds of questions whose answer approves nothing, so that it need not name what was seen."""


async def decide(inbox: Inbox, run: Run, answer: Answer, principal: Principal) -> None:
    """Decide the item that an answer is for; the same answer again changes nothing.

    Raises:
        InvalidDecisionError: If it names no digest where one is needed.
        StaleDigestError: If its digest is that of no question of the run.
        NotEligibleError, UnknownItemError, InvalidParamsError, UnsupportedOperationError
    """
    item = await _addressed(inbox, run, answer, principal)
    if run.state.final and not item.state.final:
        raise UnsupportedOperationError("the task has ended; it takes no more messages")
    if answer.digest is None and item.kind not in _TEXT_ANSWERS:
        raise InvalidDecisionError(
            "a text does not say which proposal you have seen; answer with a data part"
            ' {"outcome", "digest"}, with the digest of the question'
        )
    await inbox.decide(
        principal,
        item.id,
        outcome=answer.outcome,
        digest=item.digest if answer.digest is None else answer.digest,
        comment=answer.comment,
        values=answer.values,
    )


async def _addressed(inbox: Inbox, run: Run, answer: Answer, principal: Principal) -> WorkItem:
    page = await inbox.list(principal, state=None, run_id=run.id, limit=MAX_ITEMS)
    items = page.entries
    if answer.item is not None:
        items = [item for item in items if item.id == answer.item]
        if not items:
            raise UnknownItemError(answer.item)
    ready = [item for item in items if item.state is ItemState.READY]
    if answer.digest is not None:
        named = [item for item in items if item.digest == answer.digest]
        if named:
            return next((item for item in named if item in ready), named[0])
        if len(ready) == 1:
            raise StaleDigestError(item_id=ready[0].id, current=ready[0].digest)
    if answer.item is not None:
        return items[0]
    answered = next((item for item in items if _settled_by(item, answer, principal)), None)
    if answered is not None and answer.digest is None and not ready:
        return answered
    if run.state.final:
        raise UnsupportedOperationError("the task has ended; it takes no more messages")
    if len(ready) > 1:
        open_ids = ", ".join(item.id for item in ready)
        raise InvalidParamsError(f"several questions are open; name the item: {open_ids}")
    if not ready:
        if asked_items(run):
            raise NotEligibleError("the open question is for others to answer", run=run.id)
        raise UnsupportedOperationError("the task does not wait for an answer")
    return ready[0]


def asked_items(run: Run) -> list[str]:
    """Return the ids of the items that a run waits for."""
    return [
        str(wait["item"])
        for wait in run.waiting_for
        if wait.get("kind") == "item" and wait.get("item")
    ]


def _settled_by(item: WorkItem, answer: Answer, principal: Principal) -> bool:
    """Whether an answer in words is the one that this person has already given."""
    made = item.decision
    return (
        made is not None
        and item.kind in _TEXT_ANSWERS
        and (made.by, made.outcome) == (principal.subject, answer.outcome)
    )
