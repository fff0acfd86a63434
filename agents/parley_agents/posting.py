"""The posting agent: posts or blocks an invoice in the ERP, once per message.

It decides nothing. The ERP itself refuses to post what must never be posted.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from parley_agents.erp import Applied, Erp
from parley_agents.records import Contract, Id
from parley_agents.runtime import Agent, SkillTask


class PostingRequest(Contract):
    invoice_id: Id
    etag: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    """Of the invoice that was decided on: if it has changed since, nothing is done."""
    decided_by: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    """`policy`, or the subject of the person who decided."""
    reason: Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class Posting(Contract):
    invoice_id: Id
    state: Literal["captured", "posted", "blocked"]
    effect_id: str
    """Of the ERP's ledger."""
    status: Literal["applied", "unchanged"]
    reversible_until: str | None


def create_agent(erp: Erp) -> Agent:
    agent = Agent("posting", uses=[erp])

    @agent.skill("post-invoice")
    async def post_invoice(task: SkillTask, request: PostingRequest) -> Posting:
        return await _write("ap.invoice.post", task.key("post"), request)

    @agent.skill("block-invoice")
    async def block_invoice(task: SkillTask, request: PostingRequest) -> Posting:
        return await _write("ap.invoice.block", task.key("block"), request)

    async def _write(tool: str, key: str, request: PostingRequest) -> Posting:
        return _posting(
            await erp.write(
                tool,
                idempotency_key=key,
                invoice_id=request.invoice_id,
                expected_etag=request.etag,
                decided_by=request.decided_by,
                reason=request.reason,
            )
        )

    return agent


def _posting(applied: Applied) -> Posting:
    return Posting(
        invoice_id=applied.invoice.data.id,
        state=applied.invoice.data.state,
        effect_id=applied.effect_id,
        status=applied.status,
        reversible_until=applied.reversible_until,
    )
