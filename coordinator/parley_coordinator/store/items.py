"""Work items. Each change of state is one compare-and-swap on `state = 'ready'`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text, tuple_

from parley_coordinator.model import Decision, Fact, ItemKind, ItemState, MessageRef, WorkItem
from parley_coordinator.store.tables import CANDIDATE, ITEM, from_text, to_text

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from parley_coordinator.model import Place

_INSERT = text(
    """
    INSERT INTO item (id, version, kind, state, run_id, workflow, path, attempt, question, digest,
                      created_at, decide_by, decision)
    VALUES (:id, 1, :kind, 'ready', :run_id, :workflow, :path, :attempt, :question, :digest,
            :created_at, :decide_by, NULL)
    ON CONFLICT (id) DO NOTHING
    """
)
_INSERT_CANDIDATE = text(
    "INSERT INTO candidate (item_id, title, run_id) VALUES (:item_id, :title, :run_id)"
    " ON CONFLICT (item_id, title) DO NOTHING"
)
_GET = text("SELECT * FROM item WHERE id = :id")
_DECIDE = text(
    "UPDATE item SET state = 'decided', version = version + 1, decision = :decision"
    " WHERE id = :id AND state = 'ready'"
)
_CLOSE = text(
    "UPDATE item SET state = :state, version = version + 1 WHERE id = :id AND state = 'ready'"
)
_WITHDRAW = text(
    "UPDATE item SET state = 'withdrawn', version = version + 1"
    " WHERE run_id = :run_id AND state = 'ready' AND (path = :path OR path LIKE :below ESCAPE '\\')"
)
_WITHDRAW_AT = text(
    "UPDATE item SET state = 'withdrawn', version = version + 1"
    " WHERE run_id = :run_id AND state = 'ready' AND path = :path AND attempt = :attempt"
)


def insert(connection: Connection, item: WorkItem) -> None:
    """Add an item; if it is there already, it stays as it is."""
    connection.execute(
        _INSERT,
        {
            "id": item.id,
            "kind": str(item.kind),
            "run_id": item.run_id,
            "workflow": item.workflow,
            "path": item.path,
            "attempt": item.attempt,
            "question": _question_json(item),
            "digest": item.digest,
            "created_at": to_text(item.created_at),
            "decide_by": None if item.decide_by is None else to_text(item.decide_by),
        },
    )
    connection.execute(
        _INSERT_CANDIDATE,
        [{"item_id": item.id, "title": title, "run_id": item.run_id} for title in item.candidates],
    )


def get(connection: Connection, item_id: str) -> WorkItem | None:
    row = connection.execute(_GET, {"id": item_id}).first()
    return None if row is None else _item(row)


def decide(connection: Connection, item_id: str, decision: Decision) -> bool:
    """Record the decision if the item is still open; False: somebody or something was faster."""
    body = {
        "outcome": decision.outcome,
        "by": decision.by,
        "at": to_text(decision.at),
        "digest": decision.digest,
        "comment": decision.comment,
        "values": decision.values,
    }
    if decision.message is not None:
        body["message"] = {"id": decision.message.id, "digest": decision.message.digest}
    done = connection.execute(_DECIDE, {"id": item_id, "decision": json.dumps(body)})
    return done.rowcount == 1


def close(connection: Connection, item_id: str, state: ItemState) -> bool:
    """Expire or withdraw an item if it is still open."""
    return connection.execute(_CLOSE, {"id": item_id, "state": str(state)}).rowcount == 1


def withdraw_below(connection: Connection, run_id: str, path: str) -> None:
    """Withdraw the open items of a run at `path` or below it; the empty path is the whole run."""
    escaped = path.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    connection.execute(_WITHDRAW, {"run_id": run_id, "path": path, "below": f"{escaped}/%"})


def withdraw_at(connection: Connection, run_id: str, place: Place) -> None:
    """Withdraw the open items of exactly this place."""
    connection.execute(
        _WITHDRAW_AT, {"run_id": run_id, "path": place.path, "attempt": place.attempt}
    )


def page(
    connection: Connection,
    *,
    limit: int,
    before: tuple[str, str] | None,
    state: ItemState | None = None,
    run_id: str | None = None,
    titles: frozenset[str] | None = None,
) -> list[WorkItem]:
    """Return at most `limit` items, newest first.

    Args:
        before: `(created_at text, id)` of the last item of the previous page.
        titles: Only items whose candidates name one of these.
    """
    query = select(ITEM).order_by(ITEM.c.created_at.desc(), ITEM.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(tuple_(ITEM.c.created_at, ITEM.c.id) < tuple_(*before))
    if state is not None:
        query = query.where(ITEM.c.state == str(state))
    if run_id is not None:
        query = query.where(ITEM.c.run_id == run_id)
    if titles is not None:
        named = select(CANDIDATE.c.item_id).where(CANDIDATE.c.title.in_(sorted(titles)))
        query = query.where(ITEM.c.id.in_(named))
    return [_item(row) for row in connection.execute(query)]


def _question_json(item: WorkItem) -> str:
    return json.dumps(
        {
            "title": item.title,
            "summary": [fact.as_json() for fact in item.summary],
            "reason": item.reason,
            "proposal": item.proposal,
            "outcomes": item.outcomes,
            "form": item.form,
            "candidates": item.candidates,
            "excluded": item.excluded,
            "origin": item.origin,
        },
        separators=(",", ":"),
    )


def _item(row: Row[Any]) -> WorkItem:
    question = json.loads(row.question)
    decided = None if row.decision is None else json.loads(row.decision)
    return WorkItem(
        id=row.id,
        version=row.version,
        kind=ItemKind(row.kind),
        state=ItemState(row.state),
        run_id=row.run_id,
        workflow=row.workflow,
        path=row.path,
        attempt=row.attempt,
        title=question["title"],
        summary=[Fact(**fact) for fact in question["summary"]],
        reason=question["reason"],
        proposal=question["proposal"],
        digest=row.digest,
        outcomes=question["outcomes"],
        form=question["form"],
        candidates=question["candidates"],
        excluded=question["excluded"],
        origin=question["origin"],
        created_at=from_text(row.created_at),
        decide_by=None if row.decide_by is None else from_text(row.decide_by),
        decision=None
        if decided is None
        else Decision(
            outcome=decided["outcome"],
            by=decided["by"],
            at=from_text(decided["at"]),
            digest=decided["digest"],
            comment=decided["comment"],
            values=decided["values"],
            message=MessageRef(**decided["message"]) if decided.get("message") else None,
        ),
    )
