"""The gRPC connections of a process, one to each address, opened when they are needed."""

from __future__ import annotations

import asyncio
import re
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final, NamedTuple, Self
from urllib.parse import urlsplit

import grpc
import grpc.aio
from grpc import ChannelConnectivity

from parley_wire.errors import UnsupportedAgentError
from parley_wire.tls import NO_TLS, Tls

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

CONNECT_TIMEOUT_S: Final = 5.0
_SECURE: Final = {"http": False, "grpc": False, "https": True, "grpcs": True}
_HOST: Final = re.compile(r"[0-9A-Za-z]([0-9A-Za-z.-]{0,251}[0-9A-Za-z])?", re.ASCII)
_OPTIONS: Final = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),
    # What a lost answer means is for the caller to judge, not for the library.
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


class NotConnectedError(Exception):
    """There was no connection in time: nothing was sent."""


class GrpcAddress(NamedTuple):
    """Where an agent speaks gRPC."""

    host: str
    port: int
    secure: bool

    @classmethod
    def of(cls, url: str) -> Self:
        """Read `host:port`, which is without TLS, or a URL of http, https, grpc or grpcs.

        Raises:
            UnsupportedAgentError: If it is none; gRPC itself would also dial `unix:` and others.
        """
        try:
            parts = urlsplit(url if "://" in url else f"grpc://{url}")
            host, port = parts.hostname or "", parts.port
        except ValueError:
            host, port = "", None
            parts = urlsplit("none:")
        known = bool(host) and (_is_ip(host) or _HOST.fullmatch(host) is not None)
        bare = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username)
        if not (known and bare) or parts.scheme not in _SECURE:
            raise UnsupportedAgentError(f"{url[:200]!r} is no address of gRPC; use host:port")
        secure = _SECURE[parts.scheme]
        return cls(host, port or (443 if secure else 80), secure)

    @property
    def shown(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class GrpcChannels:
    """Bound to the event loop of the first call.

    Args:
        addresses: Asked for every new connection to a name, instead of the system's resolver.
        tls: Says who is trusted besides those whom the library trusts.
    """

    def __init__(
        self,
        addresses: Callable[[str, int], Awaitable[Sequence[str]]] | None = None,
        *,
        tls: Tls = NO_TLS,
    ) -> None:
        self._addresses = addresses
        self._tls = tls
        self._channels: dict[tuple[GrpcAddress, int], grpc.aio.Channel] = {}

    async def ready(self, address: GrpcAddress, *, max_bytes: int) -> grpc.aio.Channel:
        """Return a channel that is connected.

        Raises:
            NotConnectedError: If there is no connection in time.
        """
        key = (address, max_bytes)
        if key not in self._channels:
            target = await self._target(address)
            if key not in self._channels:
                self._channels[key] = _open(target, address, max_bytes, self._tls)
        channel = self._channels[key]
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await _connected(channel)
        except (TimeoutError, NotConnectedError) as exc:
            # The next call resolves the name anew.
            if key in self._channels and self._channels[key] is channel:
                del self._channels[key]
                await channel.close()
            raise NotConnectedError(f"no connection to {address.shown}") from exc
        return channel

    async def aclose(self) -> None:
        channels, self._channels = self._channels, {}
        for channel in channels.values():
            await channel.close()

    async def _target(self, address: GrpcAddress) -> str:
        if _is_ip(address.host):
            return _ip_target(address.host, address.port)
        if self._addresses is None:
            return f"dns:///{address.shown}"
        try:
            found = await self._addresses(address.host, address.port)
        except OSError as exc:
            raise NotConnectedError(f"{address.host} does not resolve") from exc
        if not found:
            raise NotConnectedError(f"{address.host} does not resolve")
        return _ip_target(found[0], address.port)


def _open(target: str, address: GrpcAddress, max_bytes: int, tls: Tls) -> grpc.aio.Channel:
    options = [
        *_OPTIONS,
        ("grpc.max_receive_message_length", max_bytes),
        ("grpc.max_send_message_length", max_bytes),
        ("grpc.default_authority", address.shown),
    ]
    if not address.secure:
        return grpc.aio.insecure_channel(target, options=options)
    options.append(("grpc.ssl_target_name_override", address.host))
    return grpc.aio.secure_channel(target, tls.grpc_channel(), options=options)


async def _connected(channel: grpc.aio.Channel) -> None:
    state = channel.get_state(try_to_connect=True)
    tried = False
    while state is not ChannelConnectivity.READY:
        if state is ChannelConnectivity.SHUTDOWN or (
            tried and state is ChannelConnectivity.TRANSIENT_FAILURE
        ):
            raise NotConnectedError
        await channel.wait_for_state_change(state)
        tried = True
        state = channel.get_state(try_to_connect=True)


def _ip_target(host: str, port: int) -> str:
    if isinstance(ip_address(host), IPv6Address):
        return f"ipv6:[{host}]:{port}"
    return f"ipv4:{host}:{port}"


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
