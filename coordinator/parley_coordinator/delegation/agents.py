"""The agents of the registry, with how this coordinator gets on with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley_registry.client import AgentRecord, RegistryClient

    from parley_coordinator.delegation.gates import Gates, Load


class KnownAgents:
    """Implements `web.ports.Agents`."""

    def __init__(self, registry: RegistryClient, gates: Gates) -> None:
        self._registry = registry
        self._gates = gates

    async def agents(
        self, *, skill: str | None = None, tag: str | None = None, health: str | None = None
    ) -> Sequence[AgentRecord]:
        return await self._registry.agents(skill=skill, tag=tag, health=health)

    def load(self, name: str) -> Load:
        return self._gates.load(name)
