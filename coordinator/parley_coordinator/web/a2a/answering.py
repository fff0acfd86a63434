"""Which question an answer is for, and the decision that it becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from a2a.utils.errors import InvalidParamsError, UnsupportedOperationError
from parley_wire.server.forms import invalid

from parley_coordinator.errors import (
    InvalidDecisionError,
    NotEligibleError,
    StaleDigestError,
    UnknownItemError,
)
from parley_coordinator.model import ItemKind, MessageRef
from parley_coordinator.web.a2a.messages import answer_of

if TYPE_CHECKING:
    from parley_wire.server.params import SendParams

    from parley_coordinator.governance.access import Principal
    from parley_coordinator.model import WorkItem
    from parley_coordinator.web.a2a.messages import Answer
    from parley_coordinator.web.a2a.tasks import View
    from parley_coordinator.web.ports import Inbox

_TEXT_ANSWERS: Final = frozenset({ItemKind.INPUT, ItemKind.AUTH})
"""Kinds of questions whose answer approves nothing, so that it need not name what was seen."""


async def decide(inbox: Inbox, view: View, send: SendParams, principal: Principal) -> None:
    """Decide the item that an answer is for; the same message again changes nothing.

    Raises:
        InvalidDecisionError: If it names no digest where one is needed.
        StaleDigestError: If its digest is that of no question of the run.
        NotEligibleError, UnknownItemError, InvalidParamsError, UnsupportedOperationError
    """
    said = MessageRef(send.message["messageId"], send.digest)
    if _taken(view, said, principal):
        return
    answer = answer_of(send.message)
    item = _addressed(view, answer)
    if view.run.state.final and not item.state.final:
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
        message=said,
    )


def _taken(view: View, said: MessageRef, principal: Principal) -> bool:
    """Whether this message has decided an item already; also when a newer question is open by now."""
    for item in view.items.visible:
        made = item.decision
        if made is None or made.message is None or made.by != principal.subject:
            continue
        if made.message.id == said.id:
            if made.message.digest != said.digest:
                raise invalid("message.messageId", "was used before, for another message")
            return True
    return False


def _addressed(view: View, answer: Answer) -> WorkItem:
    items, ready = view.items.visible, view.open
    if answer.item is not None:
        items = [item for item in items if item.id == answer.item]
        ready = [item for item in ready if item.id == answer.item]
        if not items:
            raise UnknownItemError(answer.item)
    if answer.digest is not None:
        named = [item for item in items if item.digest == answer.digest]
        if named:
            return next((item for item in named if item in ready), named[0])
        if len(ready) == 1:
            raise StaleDigestError(item_id=ready[0].id, current=ready[0].digest)
    if answer.item is not None:
        return items[0]
    if view.run.state.final:
        raise UnsupportedOperationError("the task has ended; it takes no more messages")
    if len(ready) > 1:
        open_ids = ", ".join(item.id for item in ready)
        raise InvalidParamsError(f"several questions are open; name the item: {open_ids}")
    if not ready:
        if view.items.hidden:
            raise NotEligibleError("the open question is for others to answer", run=view.run.id)
        raise UnsupportedOperationError("the task does not wait for an answer")
    return ready[0]
