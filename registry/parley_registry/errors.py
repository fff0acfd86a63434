"""The registry's branch of the error tree.

::

    RegistryError
    ├── InvalidRequestError          400 invalid_request
    ├── UnknownAgentError            404 unknown_agent
    ├── NameTakenError               409 name_taken
    ├── CardUnreachableError         502 card_unreachable
    ├── SettingsError                400 invalid_settings
    │   raised by the client only:
    ├── RegistryAuthError            401 registry_auth
    ├── RegistryRefusedError         400 registry_refused
    ├── RegistryAnswerError          502 registry_answer
    └── RegistryUnavailableError     503 registry_unavailable
"""

from __future__ import annotations

from typing import ClassVar

from parley_cards.errors import Kind, ParleyError


class RegistryError(ParleyError):
    """A failure that the registry, or its client, foresaw."""

    code: ClassVar[str] = "registry"


class InvalidRequestError(RegistryError):
    """The body or the query is malformed."""

    code: ClassVar[str] = "invalid_request"
    kind: ClassVar[Kind] = Kind.INVALID


class UnknownAgentError(RegistryError):
    """No agent of that name is registered, or not at that address any more."""

    code: ClassVar[str] = "unknown_agent"
    kind: ClassVar[Kind] = Kind.NOT_FOUND

    def __init__(self, name: str) -> None:
        super().__init__(f"no agent {name[:80]!r} is registered", agent=name[:80])


class NameTakenError(RegistryError):
    """Another address holds that name, and its agent is not known to be down."""

    code: ClassVar[str] = "name_taken"
    kind: ClassVar[Kind] = Kind.CONFLICT

    def __init__(self, name: str, *, holder: str) -> None:
        super().__init__(
            f"the name {name!r} belongs to the agent at {holder}; withdraw that one first,"
            " or give this card another name",
            agent=name,
            holder=holder,
        )


class CardUnreachableError(RegistryError):
    """The card could not be fetched from the address that was given."""

    code: ClassVar[str] = "card_unreachable"
    kind: ClassVar[Kind] = Kind.BAD_GATEWAY


class SettingsError(RegistryError):
    """The process was started with settings that it must not run with."""

    code: ClassVar[str] = "invalid_settings"
    kind: ClassVar[Kind] = Kind.INVALID


class RegistryAuthError(RegistryError):
    """The registry does not know the token that was sent, or none was."""

    code: ClassVar[str] = "registry_auth"
    kind: ClassVar[Kind] = Kind.UNAUTHENTICATED


class RegistryRefusedError(RegistryError):
    """The registry refused the request; `facts["registry_code"]` is its own code."""

    code: ClassVar[str] = "registry_refused"
    kind: ClassVar[Kind] = Kind.INVALID


class RegistryAnswerError(RegistryError):
    """Something answered at the registry's address, but not as a registry does."""

    code: ClassVar[str] = "registry_answer"
    kind: ClassVar[Kind] = Kind.BAD_GATEWAY


class RegistryUnavailableError(RegistryError):
    """The registry cannot be reached, or fails; try again later."""

    code: ClassVar[str] = "registry_unavailable"
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
