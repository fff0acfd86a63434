"""What an IP address leads to: the public internet, a machine inside, or something never to be called.

For every request that somebody else chose the address of. The connection must be made to the address
that was judged, so that a name that changes its mind in between (DNS rebinding) gains nothing:
`http.open_http(addresses=...)`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final, TypeAlias
from urllib.parse import urlsplit

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Lookup: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Addresses of a host and a port, as text. Raises OSError."""

_NEVER: Final = tuple(
    ipaddress.ip_network(each)
    for each in (
        *("169.254.0.0/16", "fe80::/10"),  # link-local, and metadata in it
        *("fd00:ec2::/32", "fd20:ce::/32"),  # metadata in IPv6
        *("168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32"),  # metadata elsewhere
    )
)
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


def is_http_url(text: str) -> bool:
    """Whether it leads somewhere over HTTP: a scheme, a host, and no port 0."""
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def plain_host(host: str) -> str:
    """One spelling for one host: lower case, no brackets, no final dot."""
    host = host.lower().removesuffix(".").removeprefix("[").removesuffix("]")
    address = literal_address(host)
    return host if address is None else str(address)


def literal_address(host: str) -> Address | None:
    """Return the address that a host is, not one that it has; None for a name."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def is_loopback(host: str) -> bool:
    """Whether a host, as it is written, is this machine alone; a name other than localhost is not."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_forbidden(address: Address) -> bool:
    """Whether nobody may call it: link-local, metadata services, multicast, nothing at all."""
    return any(map(_never, _meant(address)))


def is_inner(address: Address) -> bool:
    """Whether it is, or leads to, anything but the public internet."""
    return any(map(_inner, _meant(address)))


async def look_up(host: str, port: int) -> list[str]:
    """Ask the system. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]


def _meant(address: Address) -> Iterator[Address]:
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


def _never(address: Address) -> bool:
    return (
        address.is_multicast
        or address.is_unspecified
        or any(address in net for net in _NEVER if net.version == address.version)
        or (isinstance(address, ipaddress.IPv4Address) and str(address) == "255.255.255.255")
    )


def _inner(address: Address) -> bool:
    return (
        not address.is_global
        or address.is_reserved
        or any(address in net for net in _ENDING if net.version == address.version)
        or any(address in net for net in _NOT_GLOBAL if net.version == address.version)
    )
