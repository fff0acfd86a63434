"""Credentials of requests: HTTP Basic, bearer tokens, OAuth 2.0 client credentials (RFC 6749 4.4).

Access tokens are kept in memory until shortly before they expire. No message of an error holds a
secret, a token, or a word of a token endpoint beyond the error codes of the RFC.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_plus, urlencode
from weakref import WeakValueDictionary

import httpx
from parley_cards import strict_json
from parley_cards.errors import ParleyError
from parley_wire.http import CONNECT_TIMEOUT_S, exchange
from pydantic import ValidationError

from parley_coordinator.protocols.redaction import basic
from parley_coordinator.workflow.calls import OAuth2Authentication, OAuth2Endpoints
from parley_coordinator.workflow.errors import Standard, WorkflowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from parley_coordinator.protocols.egress import Egress

SKEW: Final = timedelta(seconds=30)
"""A token is not used any more so long before it expires; a tenth of its life, if that is less."""
UNSAID: Final = timedelta(minutes=5)
"""How long a token is kept that does not say when it expires."""
MAX_TOKENS: Final = 256
_MAX_BYTES: Final = 65_536
_TIMEOUT: Final = httpx.Timeout(20, connect=CONNECT_TIMEOUT_S)
_DEFAULT: Final = OAuth2Endpoints().token
_METADATA: Final = (
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
)
_CODE: Final = re.compile(r"[a-z_]{1,40}", re.ASCII)
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,16384}")


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    expires: datetime


class Credentials:
    """Makes `Authorization` headers.

    Args:
        http: From `open_http(addresses=egress.addresses)`.
    """

    def __init__(
        self, http: httpx.AsyncClient, egress: Egress, *, now: Callable[[], datetime]
    ) -> None:
        self._http = http
        self._egress = egress
        self._now = now
        self._tokens: dict[str, _Token] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def header(self, authentication: dict[str, Any] | None) -> tuple[str | None, bool]:
        """Return the header, and whether it holds a token that was kept and may be stale.

        Args:
            authentication: As `workflow.authentication.resolve` returns it.

        Raises:
            WorkflowError: `authentication`, if no token is to be had; `authorization`, if the token
                endpoint is not among the allowed hosts.
        """
        if authentication is None:
            return None, False
        match authentication["scheme"]:
            case "basic":
                given = basic(authentication["username"], authentication["password"])
                return f"Basic {given}", False
            case "bearer":
                return f"Bearer {_usable(authentication['token'])}", False
        key = _key(authentication)
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            known = self._tokens.get(key)
            if known is not None and known.expires > self._now():
                return f"Bearer {known.value}", True
            token = await self._fetch(_policy(authentication))
            self._tokens.pop(key, None)
            while len(self._tokens) >= MAX_TOKENS:
                self._tokens.pop(next(iter(self._tokens)))
            self._tokens[key] = token
        return f"Bearer {token.value}", False

    def forget(self, authentication: dict[str, Any] | None, refused: str) -> None:
        """Drop the kept token, if it is still the one in the header that was refused."""
        if authentication is None or authentication["scheme"] != "oauth2":
            return
        key = _key(authentication)
        known = self._tokens.get(key)
        if known is not None and refused == f"Bearer {known.value}":
            del self._tokens[key]

    def values(self) -> Iterator[str]:
        """Yield every token that is kept: confidential as a secret is."""
        return iter([token.value for token in self._tokens.values()])

    async def _fetch(self, policy: OAuth2Authentication) -> _Token:
        authority = str(policy.authority).rstrip("/")
        path = policy.endpoints.token
        url = path if "://" in path else f"{authority}/{path.lstrip('/')}"
        status, answer = await self._ask(url, policy)
        if status in (404, 405) and path == _DEFAULT:
            url = await self._discovered(authority, policy)
            status, answer = await self._ask(url, policy)
        members = answer if isinstance(answer, dict) else {}
        if status != 200:
            code = members.get("error")
            known = code if isinstance(code, str) and _CODE.fullmatch(code) else f"status {status}"
            raise _no_token(url, f"the token endpoint answered {known}")
        value, kind = members.get("access_token"), members.get("token_type", "bearer")
        if not isinstance(value, str) or not _TOKEN.fullmatch(value):
            raise _no_token(url, "the token endpoint answered without a usable access_token")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise _no_token(url, "the token endpoint answered with a token that is no bearer token")
        lasts = _lasts(members.get("expires_in"))
        return _Token(value, self._now() + lasts - min(SKEW, lasts / 10))

    async def _ask(self, url: str, policy: OAuth2Authentication) -> tuple[int, Any]:
        headers, body = _request(policy)
        return await self._exchange("POST", url, headers, body)

    async def _discovered(self, authority: str, policy: OAuth2Authentication) -> str:
        """Return the token endpoint that the authority's metadata name (RFC 8414)."""
        for path in _METADATA:
            url = authority + path
            status, answer = await self._exchange("GET", url, {"accept": "application/json"}, None)
            if status != 200 or not isinstance(answer, dict):
                continue
            issuer, found = answer.get("issuer"), answer.get("token_endpoint")
            trusted = policy.issuers or (authority,)
            if not isinstance(issuer, str) or issuer.rstrip("/") not in {
                each.rstrip("/") for each in trusted
            }:
                raise _no_token(url, "the metadata are of an issuer that was not named")
            if isinstance(found, str) and found:
                return found
        raise _no_token(authority, f"there is nothing at {_DEFAULT}, and no metadata beside it")

    async def _exchange(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None
    ) -> tuple[int, Any]:
        try:
            where = httpx.URL(url)
        except (httpx.InvalidURL, ValueError):
            raise _no_token(url, "the address of the token endpoint is none") from None
        self._egress.check(where)
        try:
            async with (
                asyncio.timeout(_TIMEOUT.read),
                exchange(
                    self._http, method, url, headers=headers, content=body, timeout=_TIMEOUT
                ) as response,
            ):
                raw = bytearray()
                async for chunk in response.aiter_raw():
                    raw += chunk
                    if len(raw) > _MAX_BYTES:
                        raise _no_token(url, "the token endpoint answered with too much")
        except (httpx.TransportError, httpx.InvalidURL, TimeoutError) as exc:
            raise _no_token(url, f"no answer ({type(exc).__name__})") from None
        try:
            return response.status_code, strict_json.loads(bytes(raw))
        except ParleyError:
            return response.status_code, None


def _policy(authentication: dict[str, Any]) -> OAuth2Authentication:
    """Check what may have come out of a secret."""
    given = {name: value for name, value in authentication.items() if name != "scheme"}
    try:
        return OAuth2Authentication.model_validate(given)
    except ValidationError as exc:
        place = ".".join(str(step) for step in exc.errors(include_input=False)[0]["loc"])
        raise _incomplete(f"not usable: {place}") from None


def _request(policy: OAuth2Authentication) -> tuple[dict[str, str], bytes]:
    """Build the request for a token: its headers and its body."""
    client, scopes, audiences = policy.client, policy.scopes, policy.audiences
    members: dict[str, Any] = {"grant_type": policy.grant}
    if scopes:
        members["scope"] = " ".join(scopes)
    if audiences:
        members["audience"] = audiences[0] if len(audiences) == 1 else list(audiences)
    headers: dict[str, str] = {
        "accept": "application/json",
        "content-type": policy.request.encoding,
    }
    if not client.id or (client.authentication != "none" and not client.secret):
        raise _incomplete("missing: client.id or client.secret")
    if client.authentication == "client_secret_basic":
        # RFC 6749 2.3.1: both are form-encoded before they are put together.
        pair = basic(quote_plus(client.id), quote_plus(client.secret or ""))
        headers["authorization"] = f"Basic {pair}"
    else:
        members["client_id"] = client.id
        if client.authentication == "client_secret_post":
            members["client_secret"] = client.secret
    if policy.request.encoding == "application/json":
        return headers, json.dumps(members, allow_nan=False).encode()
    return headers, urlencode(members, doseq=True).encode()


def _lasts(seconds: Any) -> timedelta:
    if isinstance(seconds, str) and seconds.isascii() and seconds.isdigit():
        seconds = int(seconds[:9])
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds <= 0:
        return UNSAID
    return timedelta(seconds=min(float(seconds), 86_400.0))


def _usable(token: str) -> str:
    if not _TOKEN.fullmatch(token):
        raise _incomplete("the token is no text for a header")
    return token


def _key(policy: dict[str, Any]) -> str:
    text = json.dumps(policy, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _incomplete(detail: str) -> WorkflowError:
    return WorkflowError(Standard.AUTHENTICATION, "The credentials are not usable", detail)


def _no_token(url: str, detail: str) -> WorkflowError:
    try:
        host = httpx.URL(url).host
    except (httpx.InvalidURL, ValueError):
        host = "the authority"
    return WorkflowError(
        Standard.AUTHENTICATION, f"No token from {host or 'the authority'}", detail
    )
