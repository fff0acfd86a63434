"""Which hosts a workflow document may reach.

A document is written by somebody who may be wrong or worse, and its URIs may be computed from what a
stranger sent. So the operator names the hosts, every address that a name resolves to is judged, and
the connection is made to an address that was judged: a name that changes its mind in between (DNS
rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import httpx

from parley_coordinator.settings import SettingsError
from parley_coordinator.workflow.errors import Standard, WorkflowError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

SETTING: Final = "PARLEY_EGRESS"
_MAX_PATTERNS: Final = 200

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Lookup: TypeAlias = "Callable[[str, int], Awaitable[Sequence[str]]]"
"""Addresses of a host, as text. Raises OSError."""

_PATTERN: Final = re.compile(
    r"(?P<any>\*\.)?(?P<host>\[[0-9a-f:.]+\]|[0-9a-z_]([0-9a-z_.-]*[0-9a-z_])?\.?)(:(?P<port>[0-9]{1,5}))?",
    re.ASCII,
)
_NEVER: Final = tuple(
    ipaddress.ip_network(each)
    for each in (
        *("169.254.0.0/16", "fe80::/10"),  # link-local, and metadata in it
        *("fd00:ec2::/32", "fd20:ce::/32"),  # metadata in IPv6
        *("168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32"),  # metadata elsewhere
    )
)
"""Not even where the setting names them."""
_ENDING: Final = tuple(
    ipaddress.IPv6Network(each)
    for each in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96")
)
"""IPv6 that ends with the IPv4 address that it stands for (RFC 6052, RFC 8215, RFC 4291, RFC 7915)."""
_NOT_GLOBAL: Final = tuple(
    ipaddress.ip_network(each)
    for each in (
        *("2002::/16", "2001::/32", "192.88.99.0/24"),  # 6to4, Teredo, relays
        "192.0.0.0/24",  # of protocols
        *("fec0::/10", "3fff::/20"),  # site-local, documentation
    )
)
"""Neither global nor known to be inside to every Python that we run on."""


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
        named = self.port is not None or self.host == "localhost" or _literal(self.host) is not None
        return named and not self.below


class Egress:
    """The hosts that the operator allows.

    Args:
        lookup: How names become addresses; by default as the system does it.
    """

    def __init__(self, patterns: Sequence[_Pattern], *, lookup: Lookup | None = None) -> None:
        self._patterns = tuple(patterns)
        self._lookup = lookup or _look_up

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
        host = _plain(url.raw_host.decode("ascii"))
        fitting = self._fitting(host, port)
        address = _literal(host)
        if address is not None:
            _judge(host, port, [address], inner=any(each.literal for each in fitting))

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses to connect to; all that the name has are allowed, or none.

        Raises:
            WorkflowError: `authorization`.
            OSError: If the name does not resolve.
        """
        host = _plain(host)
        fitting = self._fitting(host, port)
        found = list(await self._lookup(host, port))
        parsed = [address for each in found if (address := _literal(each)) is not None]
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
    host = _plain(match["host"])
    if below and _literal(host) is not None:
        raise SettingsError(f"{SETTING} has {text[:80]!r}, but addresses have no hosts below them")
    return _Pattern(host, port, below)


def _plain(host: str) -> str:
    """One spelling for one host: lower case, no brackets, no final dot."""
    host = host.lower().removesuffix(".").removeprefix("[").removesuffix("]")
    address = _literal(host)
    return host if address is None else str(address)


def _literal(host: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _meant(address: _Address) -> Iterator[_Address]:
    """Yield an address, and the IPv4 addresses that it may lead to."""
    yield address
    if not isinstance(address, ipaddress.IPv6Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if any(address in net for net in _ENDING):
        yield ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)


def _judge(host: str, port: int, addresses: Sequence[_Address], *, inner: bool) -> None:
    for address in addresses:
        meant = tuple(_meant(address))
        if any(map(_never, meant)):
            raise _refused(f"{host} is {address}, which no workflow may reach")
        if not inner and any(map(_inner, meant)):
            raise _refused(
                f"{host} is {address}, an address inside; an operator allows it by naming"
                f" {host}:{port} in {SETTING}"
            )


def _never(address: _Address) -> bool:
    return (
        address.is_multicast
        or address.is_unspecified
        or any(address in net for net in _NEVER if net.version == address.version)
        or (isinstance(address, ipaddress.IPv4Address) and str(address) == "255.255.255.255")
    )


def _inner(address: _Address) -> bool:
    return (
        not address.is_global
        or address.is_reserved
        or any(address in net for net in _ENDING if net.version == address.version)
        or any(address in net for net in _NOT_GLOBAL if net.version == address.version)
    )


def _refused(detail: str) -> WorkflowError:
    return WorkflowError(Standard.AUTHORIZATION, "This host is not allowed", detail)


def _unusable(detail: str) -> WorkflowError:
    return WorkflowError(Standard.CONFIGURATION, "The address cannot be used", detail)


async def _look_up(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]
