"""Which hosts a document may reach, by name and by what the name resolves to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_coordinator.protocols.egress import Egress
from parley_coordinator.settings import SettingsError
from parley_coordinator.workflow.errors import Standard, WorkflowError
from parley_wire.serving import Background

from tests.coordinator.protocols.bench import PATIENT, Service, bench, http_request

pytestmark = pytest.mark.anyio

PUBLIC = "93.184.215.14"


def allows(patterns: str, url: str) -> bool:
    try:
        Egress.parse(patterns).check(httpx.URL(url))
    except WorkflowError as exc:
        assert exc.is_a(Standard.AUTHORIZATION), exc
        return False
    return True


async def resolves(patterns: str, host: str, addresses: Sequence[str], port: int = 443) -> bool:
    async def lookup(_host: str, _port: int) -> Sequence[str]:
        return addresses

    try:
        found = await Egress.parse(patterns, lookup=lookup).addresses(host, port)
    except WorkflowError:
        return False
    assert len(found) == len(addresses)
    return True


@pytest.mark.parametrize(
    ("patterns", "url", "allowed"),
    [
        ("", "https://api.example.com/", False),
        ("api.example.com", "https://api.example.com/", True),
        ("API.example.com.", "https://api.EXAMPLE.com./", True),
        ("api.example.com", "https://api.example.com:8443/", True),
        ("api.example.com:8443", "https://api.example.com/", False),
        ("api.example.com:443", "https://api.example.com/", True),
        ("api.example.com", "https://evil-api.example.com/", False),
        ("api.example.com", "https://api.example.com.evil.org/", False),
        ("*.example.com", "https://a.b.example.com/", True),
        ("*.example.com", "https://example.com/", False),
        ("*.example.com", "https://badexample.com/", False),
        ("127.0.0.1", "http://127.0.0.1:9/", True),
        ("127.0.0.1", "http://127.0.0.2/", False),
        ("[::1]:80", "http://[::1]/", True),
        ("[::1]", "http://[0:0:0:0:0:0:0:1]/", True),
        ("127.0.0.1", "http://[::ffff:127.0.0.1]/", True),
        ("169.254.169.254", "http://169.254.169.254/", False),
        ("[fd00:ec2::254]", "http://[fd00:ec2::254]/", False),
        ("0.0.0.0", "http://0.0.0.0/", False),
        ("224.0.0.1", "http://224.0.0.1/", False),
    ],
)
def test_a_host_is_reached_only_if_a_pattern_names_it(
    patterns: str, url: str, allowed: bool
) -> None:
    assert allows(patterns, url) is allowed


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "http://",
        "http://ada:pw@example.com/",
        "http://example.com:99999/",
        "http://example.com:0/",
    ],
)
def test_an_address_that_is_none_is_refused_as_such(url: str) -> None:
    with pytest.raises(WorkflowError) as caught:
        Egress.parse("example.com").check(httpx.URL(url))

    assert caught.value.is_a(Standard.CONFIGURATION)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["*", "*.127.0.0.1", "http://a", "a/b", "a:0", "a:70000", "a b", "::1", "a.*.b"]
)
def test_a_pattern_that_is_none_ends_the_start(text: str) -> None:
    with pytest.raises(SettingsError, match="PARLEY_EGRESS"):
        Egress.parse(f"example.com, {text}")


@pytest.mark.parametrize(
    ("patterns", "addresses", "allowed"),
    [
        ("api.example.com", [PUBLIC], True),
        ("api.example.com", ["10.0.0.1"], False),
        ("api.example.com", [PUBLIC, "10.0.0.1"], False),
        ("api.example.com", ["127.0.0.1"], False),
        ("api.example.com", ["64:ff9b::7f00:1"], False),
        ("api.example.com", ["2002:7f00:1::"], False),
        ("api.example.com", ["::ffff:10.0.0.1"], False),
        ("*.example.com", ["10.0.0.1"], False),
        ("*.example.com:443", ["10.0.0.1"], False),
        ("api.example.com:443", ["10.0.0.1"], True),
        ("api.example.com:443", ["169.254.169.254"], False),
        ("api.example.com:443", ["168.63.129.16"], False),
        ("api.example.com:443", ["224.0.0.1"], False),
        ("api.example.com:443", ["::"], False),
        ("api.example.com:443", ["64:ff9b::a9fe:a9fe"], False),
        ("api.example.com:443", ["64:ff9b:1::a9fe:a9fe"], False),
        ("api.example.com:443", ["2002:a9fe:a9fe::1"], False),
        ("api.example.com:443", ["::169.254.169.254"], False),
        ("api.example.com:443", ["::ffff:169.254.169.254"], False),
        ("api.example.com:443", ["::ffff:0:a9fe:a9fe"], False),
        ("api.example.com:443", ["2001:0:5db8:d70e:0:0:5601:5601"], False),
        ("api.example.com:443", ["64:ff9b::a00:1"], True),
        ("api.example.com:443", ["fd20:ce::254"], False),
        ("api.example.com", ["fec0::1"], False),
        ("api.example.com", ["192.88.99.1"], False),
        ("api.example.com", ["3fff::1"], False),
        ("api.example.com", ["192.0.0.8"], False),
        ("api.example.com", ["2606:2800:21f:cb07:6820:80da:af6b:8b2c"], True),
    ],
)
async def test_every_address_of_a_name_is_judged(
    patterns: str, addresses: list[str], allowed: bool
) -> None:
    assert await resolves(patterns, "api.example.com", addresses) is allowed


async def test_localhost_is_inside_and_named_beyond_doubt() -> None:
    assert await resolves("localhost", "localhost", ["127.0.0.1", "::1"])
    assert not await resolves("example.com", "localhost", ["127.0.0.1"])


async def test_the_connection_goes_to_the_address_that_was_judged(tmp_path: Path) -> None:
    asked: list[str] = []

    async def lookup(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    service = Service()
    async with Background(service.app()) as served:
        port = served.url.rpartition(":")[2]
        name = f"inner.example.com:{port}"
        async with bench(tmp_path, egress=name, lookup=lookup) as run:
            answer = await run.perform(http_request(f"http://{name}/x"))

    assert answer["headers"]["host"] == name
    assert asked == ["inner.example.com"]


async def test_a_name_that_turns_to_an_inner_address_is_not_connected_to(tmp_path: Path) -> None:
    async def lookup(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    service = Service()
    async with Background(service.app()) as served:
        port = served.url.rpartition(":")[2]
        async with bench(tmp_path, egress="evil.example.com", lookup=lookup) as run:
            error = await run.failure(http_request(f"http://evil.example.com:{port}/"))

    assert error.is_a(Standard.AUTHORIZATION)
    assert service.asked == []


LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
HOST = st.lists(LABEL, min_size=2, max_size=4).map(".".join).filter(lambda h: not h[-1].isdigit())


@PATIENT
@given(host=HOST, below=LABEL, port=st.integers(1, 65_535))
def test_a_host_pattern_names_that_host_alone_and_a_domain_pattern_what_is_below(
    host: str, below: str, port: int
) -> None:
    inner = f"{below}.{host}"

    assert allows(host, f"http://{host}:{port}/")
    assert not allows(host, f"http://{inner}/")
    assert allows(f"*.{host}", f"http://{inner}/")
    assert not allows(f"*.{host}", f"http://{host}/")
    assert not allows(f"*.{host}", f"http://{below}{host}/")


@PATIENT
@given(st.text(max_size=40))
def test_any_text_is_a_list_of_hosts_or_a_clear_error(text: str) -> None:
    try:
        Egress.parse(text)
    except SettingsError as exc:
        assert "PARLEY_EGRESS" in exc.message


@PATIENT
@given(st.ip_addresses())
def test_no_address_is_reached_that_is_not_written_down(address: object) -> None:
    shown = f"[{address}]" if ":" in str(address) else str(address)

    assert not allows("example.com, *.example.com", f"http://{shown}/")
