"""Which hosts a workflow document may reach.

A document is written by somebody who may be wrong or worse, and its URIs may be computed from what a
stranger sent. So the operator names the hosts, every address that a name resolves to is judged, and
the connection is made to an address that was judged: a name that changes its mind in between (DNS
rebinding) gains nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx
from parley_wire.addresses import (
    Address,
    Lookup,
    is_forbidden,
    is_inner,
    literal_address,
    look_up,
    plain_host,
)

from parley_coordinator.settings import SettingsError
from parley_coordinator.workflow.errors import Standard, WorkflowError

if TYPE_CHECKING:
    from collections.abc import Sequence

SETTING: Final = "PARLEY_EGRESS"
_MAX_PATTERNS: Final = 200


_PATTERN: Final = re.compile(
    r"(?P<any>\*\.)?(?P<host>\[[0-9a-f:.]+\]|[0-9a-z_]([0-9a-z_.-]*[0-9a-z_])?\.?)(:(?P<port>[0-9]{1,5}))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class _Pattern:
    host: str
    port: int | None
    """None: every port."""
    below: bool
    """Every host under `host`, not `host` itself."""

    def fits(self, host: str, port: int) -> bool:
        if self.port is not None and self.port != port:
            return False
        return host.endswith(f".{self.host}") if self.below else host == self.host

    @property
    def literal(self) -> bool:
        """Whether it names one machine beyond doubt, so that it may be an inner one."""
        named = (
            self.port is not None
            or self.host == "localhost"
            or literal_address(self.host) is not None
        )
        return named and not self.below


class Egress:
    """The hosts that the operator allows.

    Args:
        lookup: How names become addresses; by default as the system does it.
    """

    def __init__(self, patterns: Sequence[_Pattern], *, lookup: Lookup | None = None) -> None:
        self._patterns = tuple(patterns)
        self._lookup = lookup or look_up

    @classmethod
    def parse(cls, text: str, *, lookup: Lookup | None = None) -> Egress:
        """Read `host`, `host:port` and `*.domain`, with commas between them; empty: nothing.

        Raises:
            SettingsError: If one of them is none of these.
        """
        given = [each.strip() for each in text.split(",") if each.strip()]
        if len(given) > _MAX_PATTERNS:
            raise SettingsError(f"{SETTING} has {len(given)} hosts, {_MAX_PATTERNS} are allowed")
        return cls([_pattern(each) for each in given], lookup=lookup)

    def check(self, url: httpx.URL) -> None:
        """Refuse an address that must not be asked for anything.

        Raises:
            WorkflowError: `authorization`, if its host is not allowed; `configuration`, if it is no
                http(s) address, or has a user in it.
        """
        if url.scheme not in ("http", "https") or not url.host:
            raise _unusable(f"{str(url)[:200]!r} is no http(s) address")
        if url.userinfo:
            raise _unusable(
                f"the address at {url.host} has a user in it; use `authentication` instead"
            )
        default = 443 if url.scheme == "https" else 80
        port = default if url.port is None else url.port
        if not 0 < port < 65_536:
            raise _unusable(f"the address at {url.host} has the port {port}, which is none")
        host = plain_host(url.raw_host.decode("ascii"))
        fitting = self._fitting(host, port)
        address = literal_address(host)
        if address is not None:
            _judge(host, port, [address], inner=any(each.literal for each in fitting))

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses to connect to; all that the name has are allowed, or none.

        Raises:
            WorkflowError: `authorization`.
            OSError: If the name does not resolve.
        """
        host = plain_host(host)
        fitting = self._fitting(host, port)
        found = list(await self._lookup(host, port))
        parsed = [address for each in found if (address := literal_address(each)) is not None]
        if not parsed or len(parsed) != len(found):
            raise OSError(f"{host} has no usable address")
        _judge(host, port, parsed, inner=any(each.literal for each in fitting))
        return [str(address) for address in parsed]

    def _fitting(self, host: str, port: int) -> list[_Pattern]:
        fitting = [each for each in self._patterns if each.fits(host, port)]
        if not fitting:
            raise _refused(
                f"{host}:{port} is not among the hosts that workflows may reach;"
                f" an operator allows it in {SETTING}"
            )
        return fitting


def _pattern(text: str) -> _Pattern:
    match = _PATTERN.fullmatch(text.lower())
    port = int(match["port"]) if match is not None and match["port"] else None
    if match is None or (port is not None and not 0 < port < 65_536):
        raise SettingsError(
            f"{SETTING} has {text[:80]!r}, which is no host;"
            " write api.example.com, api.example.com:8443 or *.example.com"
        )
    below = match["any"] is not None
    host = plain_host(match["host"])
    if below and literal_address(host) is not None:
        raise SettingsError(f"{SETTING} has {text[:80]!r}, but addresses have no hosts below them")
    return _Pattern(host, port, below)


def _judge(host: str, port: int, addresses: Sequence[Address], *, inner: bool) -> None:
    for address in addresses:
        if is_forbidden(address):
            raise _refused(f"{host} is {address}, which no workflow may reach")
        if not inner and is_inner(address):
            raise _refused(
                f"{host} is {address}, an address inside; an operator allows it by naming"
                f" {host}:{port} in {SETTING}"
            )


def _refused(detail: str) -> WorkflowError:
    return WorkflowError(Standard.AUTHORIZATION, "This host is not allowed", detail)


def _unusable(detail: str) -> WorkflowError:
    return WorkflowError(Standard.CONFIGURATION, "The address cannot be used", detail)
