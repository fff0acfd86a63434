"""What a failed request means: whether anything was sent decides what may be done next."""

from __future__ import annotations

import asyncio
import gc
import gzip
import socket
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from parley_wire.http import exchange, open_http

from tests.ports import free_port

pytestmark = pytest.mark.anyio

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(handle: Handle) -> AsyncIterator[str]:
    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(closing, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return head + await reader.readexactly(int(line.split(b":")[1]))
    return head


async def test_a_refused_connection_is_a_connect_error() -> None:
    async with open_http() as http:
        with pytest.raises(httpx.ConnectError):
            await http.post(f"http://127.0.0.1:{free_port()}", content=b"x")


async def test_an_unknown_host_is_a_connect_error() -> None:
    async with open_http() as http:
        with pytest.raises(httpx.ConnectError):
            await http.get("http://no-such-host.invalid/")


async def test_a_connection_that_closes_without_an_answer_is_not_a_connect_error() -> None:
    """The stock adapter calls this ConnectTimeout: its callers would send again."""

    async def hang_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await _request(reader)

    async with raw_server(hang_up) as url, open_http() as http:
        with pytest.raises(httpx.ReadError):
            await http.post(url, content=b"x")


async def test_a_reset_after_sending_is_a_read_error() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    async with raw_server(reset) as url, open_http() as http:
        with pytest.raises(httpx.ReadError):
            await http.post(url, content=b"x")


async def test_a_body_that_ends_early_is_a_read_error() -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort")
        await writer.drain()

    async with raw_server(cut) as url, open_http() as http:
        with pytest.raises(httpx.ReadError):
            await http.post(url, content=b"x")


async def test_silence_is_a_read_timeout() -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw_server(silent) as url, open_http(timeout_s=0.1) as http:
        with pytest.raises(httpx.ReadTimeout):
            await http.post(url, content=b"x")


async def test_what_is_not_http_is_a_protocol_error() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        await writer.drain()

    async with raw_server(babble) as url, open_http() as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.post(url, content=b"x")


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("http://127.0.0.1:99999/", {}),
        ("http://127.0.0.1:1:1/", {}),
        ("http://[::1/", {}),
        ("http://127.0.0.1:{port}/", {"x-a": "caf\u00e9"}),
        ("http://127.0.0.1:{port}/", {"x-a": "1\r\nx-b: 2"}),
        ("http://127.0.0.1:{port}/", {"x a": "1"}),
    ],
)
async def test_a_request_that_cannot_be_made_is_known_not_to_have_been_sent(
    url: str, headers: dict[str, str]
) -> None:
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(1))

    async with raw_server(answer) as served, open_http() as http:
        where = url.replace("{port}", served.rpartition(":")[2])
        with pytest.raises(httpx.UnsupportedProtocol):
            async with exchange(
                http, "POST", where, headers=headers, content=b"x", timeout=httpx.Timeout(5)
            ):
                pass

    assert asked == []


async def test_compression_that_was_not_asked_for_is_refused() -> None:
    asked: list[bytes] = []

    async def bomb(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await _request(reader))
        body = gzip.compress(b"0" * 10_000_000)
        head = f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    async with raw_server(bomb) as url, open_http() as http:
        with pytest.raises(httpx.RemoteProtocolError, match="gzip"):
            await http.get(url)
    assert b"accept-encoding: identity" in asked[0].lower()


async def test_redirects_are_not_followed_and_cookies_not_kept() -> None:
    seen: list[bytes] = []

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append(await _request(reader))
            writer.write(
                b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\n"
                b"set-cookie: a=b\r\ncontent-length: 0\r\n\r\n"
            )
            await writer.drain()

    async with raw_server(redirect) as url, open_http() as http:
        assert (await http.get(url)).status_code == 302
        http.cookies.clear()
        assert (await http.get(url)).status_code == 302
    assert len(seen) == 2
    assert b"cookie" not in seen[1].lower()


async def test_the_path_arrives_as_it_was_encoded() -> None:
    seen: list[bytes] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await _request(reader))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()

    async with raw_server(echo) as url, open_http() as http:
        await http.get(f"{url}/tasks/a%2Fb%3Ac?x=%26")
    assert seen[0].startswith(b"GET /tasks/a%2Fb%3Ac?x=%26 HTTP/1.1")


async def test_a_closed_client_leaves_no_open_sockets_behind() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await writer.drain()
        await reader.read()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        async with raw_server(endless) as url:
            for _ in range(3):
                http = open_http()
                async with http.stream("GET", url) as response:
                    assert await anext(response.aiter_raw()) == b"hello"
                await http.aclose()
        gc.collect()
    assert [str(each.message) for each in caught if each.category is ResourceWarning] == []
