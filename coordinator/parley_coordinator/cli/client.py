"""The coordinator's REST API, as commands use it."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

import httpx
from parley_cards.errors import ParleyError
from parley_wire.addresses import is_http_url
from parley_wire.showing import shown_url

from parley_coordinator.cli import settings
from parley_coordinator.cli.errors import RefusedError, UnreachableError, UsageError
from parley_coordinator.governance.access import Role
from parley_coordinator.governance.accounts import FILE_NAME, read_tokens

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

TIMEOUT_S: Final = 30.0
ATTEMPTS: Final = 3
"""Of a request that was sent and got no answer; every request here may safely be sent again."""
CONNECT_PAUSES_S: Final = (0.2, 0.4, 0.8, 1.6, 2.0)
"""Between attempts to connect: a coordinator that restarts is back before they are over."""
FIRST_PAUSE_S: Final = 0.2
LAST_PAUSE_S: Final = 2.0
FOLLOW_PATIENCE_S: Final = 30.0
"""So long, in pauses, a run is followed that nobody tells anything about."""
MAX_PAGES: Final = 100
_STRANGER: Final = (
    "the coordinator does not know this token;"
    " use the home that it was started with (--home), or its token in PARLEY_TOKEN"
)
_TOKEN = re.compile(r"[!-~]{1,500}")


class Coordinator:
    """A coordinator, spoken to as one account.

    Use as a context manager.
    """

    def __init__(self, url: str, token: str) -> None:
        self._where = shown_url(url)
        try:
            self._http = httpx.Client(
                base_url=url.rstrip("/"),
                headers={"authorization": f"Bearer {token}", "user-agent": "parley-cli"},
                timeout=httpx.Timeout(TIMEOUT_S, connect=5),
                trust_env=False,
                verify=_trusted(),
            )
        except httpx.InvalidURL as exc:
            raise UsageError(f"{self._where!r} is not an http(s) address; see --url") from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def get(self, *path: str, **query: str | int | None) -> Any:
        """Read a resource; parameters that are None are left out.

        Raises:
            UnreachableError, RefusedError
        """
        params = {name: value for name, value in query.items() if value is not None}
        return self._sent("GET", path, params=params)

    def post(self, *path: str, body: Any, headers: Mapping[str, str] | None = None) -> Any:
        """Send a request that changes something and is harmless to repeat.

        Raises:
            UnreachableError, RefusedError
        """
        return self._sent("POST", path, json=body, headers=headers)

    def post_text(self, *path: str, raw: bytes, source: str) -> Any:
        """Send a workflow document; `source` is what messages call it.

        Raises:
            UnreachableError, RefusedError
        """
        return self._sent(
            "POST",
            path,
            content=raw,
            params={"source": source},
            headers={"content-type": "application/yaml"},
        )

    def answers(self) -> bool:
        """Whether somebody is there; asks once."""
        try:
            return self._http.get("/healthz", timeout=2).is_success
        except httpx.TransportError:
            return False

    def entries(self, name: str, *, limit: int, **query: str | int | None) -> list[Any]:
        """Read up to `limit` entries of the list `/v1/NAME`, over as many pages as that takes."""
        found: list[Any] = []
        cursor = ""
        for _ in range(MAX_PAGES):
            page = self.get(
                "v1", name, limit=min(limit - len(found), 200), cursor=cursor or None, **query
            )
            found += page[name]
            cursor = page["nextCursor"]
            if not cursor or len(found) >= limit:
                break
        return found

    def events(self, run_id: str) -> Iterator[tuple[str, Any]]:
        """Follow a run: yield `(event, data)` to its end, over as many connections as it takes.

        Raises:
            UnreachableError: If nothing came for `FOLLOW_PATIENCE_S`.
            RefusedError
        """
        last, waited, pause = "", 0.0, FIRST_PAUSE_S
        lost: httpx.TransportError | None = None
        while True:
            try:
                with self._http.stream(
                    "GET",
                    _path("v1", "runs", run_id, "events"),
                    headers={"last-event-id": last} if last else {},
                    timeout=httpx.Timeout(60, connect=5),
                ) as response:
                    if response.status_code == 204:
                        return
                    if response.status_code != 200:
                        response.read()
                        raise _refused(response)
                    for event, event_id, data in _parsed(response.iter_lines()):
                        last, waited, pause = event_id or last, 0.0, FIRST_PAUSE_S
                        yield event, data
                        if event == "run" and data["state"] in (
                            "completed",
                            "faulted",
                            "cancelled",
                        ):
                            return
            except httpx.TransportError as exc:
                lost = exc
            # Lost, or ended by a coordinator that stops.
            if waited >= FOLLOW_PATIENCE_S:
                raise self._unreachable(lost) from lost
            time.sleep(pause)
            waited, pause = waited + pause, min(pause * 2, LAST_PAUSE_S)

    def _sent(self, method: str, path: tuple[str, ...], **what: Any) -> Any:
        try:
            request = self._http.build_request(method, _path(*path), **what)
        except (UnicodeError, ValueError) as exc:
            raise UsageError("an option or argument holds text that cannot be sent") from exc
        response = self._answer(request)
        if not response.is_success:
            raise _refused(response)
        try:
            return response.json()
        except ValueError as exc:
            raise UnreachableError(f"what answers at {self._where} is no coordinator") from exc

    def _answer(self, request: httpx.Request) -> httpx.Response:
        pauses = iter(CONNECT_PAUSES_S)
        unanswered = 0
        while True:
            try:
                return self._http.send(request)
            except httpx.ConnectError as exc:
                pause = next(pauses, None)
                if pause is None:
                    raise self._unreachable(exc) from exc
                time.sleep(pause)
            except httpx.TransportError as exc:
                unanswered += 1
                if unanswered == ATTEMPTS:
                    raise self._unreachable(exc) from exc

    def _unreachable(self, exc: httpx.TransportError | None) -> UnreachableError:
        why = "" if exc is None else f" ({type(exc).__name__})"
        return UnreachableError(
            f"no coordinator answers at {self._where}{why}; start one: parley up"
        )


def open_coordinator(url: str, home: Path, role: str) -> Coordinator:
    """Connect as `role`, with its token from `home`, or with PARLEY_TOKEN if that is set.

    Raises:
        UsageError: If there is no token.
    """
    if not is_http_url(url):
        raise UsageError(f"{shown_url(url)!r} is not an http(s) address; see --url")
    given = settings.token()
    if given is not None:
        if not _TOKEN.fullmatch(given):
            raise UsageError("PARLEY_TOKEN is no token; it must be one word of ASCII characters")
        return Coordinator(url, given)
    if role not in {str(each) for each in Role}:
        raise UsageError(f"there is no account {role!r}; there are: {', '.join(Role)}")
    path = home / FILE_NAME
    try:
        tokens = read_tokens(path)
    except ParleyError as exc:
        raise UsageError(
            f"{exc.message}; the coordinator makes the file when it first starts"
            " (see --home), or set PARLEY_TOKEN"
        ) from exc
    if Role(role) not in tokens:
        raise UsageError(f"{path} has no token for {role}")
    return Coordinator(url, tokens[Role(role)])


def _trusted() -> ssl.SSLContext | bool:
    tls = settings.tls()
    return tls.client_context() if tls.trusts else True


def _path(*segments: str) -> str:
    return "/" + "/".join(quote(segment, safe=":") for segment in segments)


def _refused(response: httpx.Response) -> RefusedError | UnreachableError:
    try:
        problem = response.json()
        return RefusedError(
            _STRANGER if response.status_code == 401 else str(problem["detail"]),
            code=str(problem["code"]),
            http_status=response.status_code,
            findings=problem.get("findings", ()),
        )
    except (ValueError, KeyError, TypeError):
        return UnreachableError(
            f"what answers at {shown_url(str(response.url.copy_with(path='/')))} is no coordinator"
            f" (HTTP {response.status_code})"
        )


def _parsed(lines: Iterator[str]) -> Iterator[tuple[str, str, Any]]:
    """Read Server-Sent Events as this server writes them: `(event, id, data)`."""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield fields.get("event", ""), fields.get("id", ""), json.loads(fields["data"])
            fields = {}
