"""The registry's tables. Times are text of one width, so that text order is time order."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData(info={"schema_version": 1})

agents = Table(
    "agents",
    metadata,
    Column("name", String, primary_key=True),
    Column("url", String, nullable=False, unique=True),
    Column("version", String, nullable=False),
    Column("card_digest", String, nullable=False),
    Column("dedupes", Boolean, nullable=False),
    Column("streaming", Boolean, nullable=False),
    Column("skills", Text, nullable=False),
    Column("registered_at", String, nullable=False),
    Column("lease_until", String, nullable=False),
    Column("probed_at", String),
    Column("probe_problem", Text),
    Index("agents_by_lease", "lease_until"),
)
_agent = ForeignKey("agents.name", ondelete="CASCADE")
agent_tags = Table(
    "agent_tags",
    metadata,
    Column("skill", String, primary_key=True),
    Column("tag", String, primary_key=True),
    Column("agent", String, _agent, primary_key=True),
    Index("agent_tags_by_tag", "tag"),
    Index("agent_tags_by_agent", "agent"),
)
"""One row for each tag of each skill, and one with an empty tag for the skill itself."""
cards = Table(
    "cards",
    metadata,
    Column("digest", String, primary_key=True),
    Column("agent", String, primary_key=True),
    Column("raw", LargeBinary, nullable=False),
    Column("seen_at", String, nullable=False),
    Index("cards_by_agent", "agent", "seen_at"),
)
"""Not bound to `agents`: what an agent said stays readable after it was withdrawn."""
