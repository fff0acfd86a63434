"""An agent's server: durable tasks, exactly resumable streams, messages that are taken once.

The parts, outside in: `app` (routes), `jsonrpc` and `rest` (bindings), `endpoint` (what they talk to),
`service` (the operations), `store` and `feed` (the log, and who follows it), `texts` (A2A as text).
"""

from parley_wire.server.app import Options, a2a_routes, card_route, create_agent_app
from parley_wire.server.endpoint import Limits
from parley_wire.server.outcomes import (
    AuthRequired,
    Chunk,
    Completed,
    DataArtifact,
    Executor,
    Failed,
    InputRequired,
    Outcome,
    Rejected,
    Replied,
    TaskRequest,
)
from parley_wire.server.push_sender import Patience
from parley_wire.server.service import Rules

__all__ = [
    "AuthRequired",
    "Chunk",
    "Completed",
    "DataArtifact",
    "Executor",
    "Failed",
    "InputRequired",
    "Limits",
    "Options",
    "Outcome",
    "Patience",
    "Rejected",
    "Replied",
    "Rules",
    "TaskRequest",
    "a2a_routes",
    "card_route",
    "create_agent_app",
]
