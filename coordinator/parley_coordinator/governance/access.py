"""Who may do what: one permission enum, one grants table, one check in each use case.

Source: docs/permissions.md is generated from this table and tested against it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from parley_coordinator.errors import NotPermittedError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Permission(StrEnum):
    RUN_START = "run:start"
    RUN_READ_OWN = "run:read-own"
    """Runs that the caller requested, or of which the caller may decide an item."""
    RUN_READ_ALL = "run:read-all"
    RUN_CANCEL = "run:cancel"
    RUN_REPAIR = "run:repair"
    ITEM_READ = "item:read"
    """Items that the caller may decide."""
    ITEM_READ_ALL = "item:read-all"
    ITEM_DECIDE = "item:decide"
    WORKFLOW_READ = "workflow:read"
    """Also: to have a document checked that is not deployed."""
    WORKFLOW_DEPLOY = "workflow:deploy"
    AGENT_READ = "agent:read"
    AGENT_CALL = "agent:call"
    """To have an agent work through the coordinator: past every workflow, and whom it asks."""
    EVENT_PUBLISH = "event:publish"
    EVENT_READ = "event:read"


class Role(StrEnum):
    REQUESTER = "requester"
    APPROVER = "approver"
    OPERATOR = "operator"
    AUDITOR = "auditor"


GRANTS: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.REQUESTER: frozenset(
            {
                Permission.RUN_START,
                Permission.EVENT_PUBLISH,
                Permission.RUN_READ_OWN,
                Permission.ITEM_READ,
                Permission.ITEM_DECIDE,
                Permission.WORKFLOW_READ,
            }
        ),
        Role.APPROVER: frozenset(
            {
                Permission.RUN_READ_OWN,
                Permission.ITEM_READ,
                Permission.ITEM_DECIDE,
                Permission.WORKFLOW_READ,
            }
        ),
        Role.OPERATOR: frozenset(
            {
                Permission.RUN_READ_ALL,
                Permission.RUN_CANCEL,
                Permission.RUN_REPAIR,
                Permission.ITEM_READ_ALL,
                Permission.ITEM_READ,
                Permission.ITEM_DECIDE,
                Permission.WORKFLOW_READ,
                Permission.WORKFLOW_DEPLOY,
                Permission.AGENT_READ,
                Permission.AGENT_CALL,
                Permission.EVENT_PUBLISH,
                Permission.EVENT_READ,
            }
        ),
        Role.AUDITOR: frozenset(
            {
                Permission.RUN_READ_ALL,
                Permission.ITEM_READ_ALL,
                Permission.WORKFLOW_READ,
                Permission.AGENT_READ,
                Permission.EVENT_READ,
            }
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who is calling, established by a token."""

    subject: str
    roles: frozenset[Role] = field(default_factory=frozenset)

    @property
    def permissions(self) -> frozenset[Permission]:
        return frozenset().union(*(GRANTS[role] for role in self.roles))

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions

    @property
    def titles(self) -> frozenset[str]:
        """How a candidate list may name this person."""
        return frozenset({f"user:{self.subject}", *(f"role:{role}" for role in self.roles)})


def require(principal: Principal, permission: Permission) -> None:
    """Let `principal` pass, or not.

    Raises:
        NotPermittedError: If none of the principal's roles grants it.
    """
    if not principal.may(permission):
        holders = sorted(role for role, granted in GRANTS.items() if permission in granted)
        raise NotPermittedError(
            f"{principal.subject} may not {permission}; it takes one of: {', '.join(holders)}",
            permission=str(permission),
            subject=principal.subject,
        )
