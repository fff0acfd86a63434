"""Reading an agent card: what a valid one says, and every way in which one is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from a2a.types import AgentCard, AgentInterface, AgentSkill
from google.protobuf.json_format import MessageToJson
from hypothesis import given
from hypothesis import strategies as st
from parley_cards.card import MAX_CARD_BYTES, InvalidCardError, load_card
from parley_cards.errors import ParleyError
from parley_cards.extensions import SKILL_CONTRACT

from tests.cards.samples import a_card, contract_of


def findings(raw: bytes | str | dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidCardError) as caught:
        load_card(raw)
    assert caught.value.code == "invalid_card"
    return {each["path"]: each["problem"] for each in caught.value.facts["findings"]}


def without(card: dict[str, Any], *path: str | int) -> dict[str, Any]:
    place: Any = card
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    return card


def test_a_card_says_its_interfaces_skills_and_contracts() -> None:
    raw = json.dumps(a_card(), indent=3).encode()

    card = load_card(raw)

    assert card.raw == raw
    assert (card.name, card.version, card.streaming, card.dedupes) == (
        "Echo agent",
        "1.2.0",
        True,
        True,
    )
    assert [(i.binding, i.url) for i in card.interfaces] == [
        ("JSONRPC", "https://echo.example/a2a"),
        ("GRPC", "localhost:50051"),
    ]
    echo, shout = card.skills
    assert (echo.version, echo.idempotent, echo.effect) == ("1.1.0", True, "read")
    assert echo.input_schema is not None
    assert echo.input_schema["required"] == ["text"]
    assert card.skill("echo") is echo
    assert card.skill("sing") is None
    assert (shout.version, shout.idempotent, shout.effect, shout.input_schema) == (
        "1.0.0",
        False,
        "unknown",
        None,
    )


def test_a_contract_may_name_the_skill_that_undoes_it() -> None:
    card = a_card()
    contract_of(card).update(effect="write", undo="unsay")

    echo, shout = load_card(card).skills

    assert (echo.undo, shout.undo) == ("unsay", "")


def test_a_skill_that_only_reads_has_no_undo() -> None:
    card = a_card()
    contract_of(card)["undo"] = "unsay"

    found = findings(card)

    (path,) = found
    assert path.endswith("/skills/echo/undo")
    assert found[path] == "undoes a skill that only reads"


def test_the_digest_is_of_the_content_and_not_of_the_layout() -> None:
    card = a_card()
    turned = dict(reversed(card.items()))
    changed = a_card() | {"version": "1.2.1"}

    assert load_card(json.dumps(card)).digest == load_card(json.dumps(turned, indent=1)).digest
    assert load_card(card).digest != load_card(changed).digest
    assert load_card(card).digest.startswith("sha256:")


def test_a_card_that_the_sdk_wrote_is_read() -> None:
    written = AgentCard(
        name="Foreign",
        description="Written by somebody else.",
        version="3",
        supported_interfaces=[
            AgentInterface(
                url="http://127.0.0.1:9/rest",
                protocol_binding="HTTP+JSON",
                protocol_version="1.0",
                tenant="acme",
            )
        ],
        capabilities={"streaming": False},
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id="do_it", name="Do it", description="Does it", tags=["x"])],
    )

    card = load_card(MessageToJson(written))

    assert card.interfaces[0].tenant == "acme"
    assert card.skills[0].id == "do_it"
    assert not card.dedupes


def test_fields_of_a_later_protocol_are_kept_and_ignored() -> None:
    card = a_card() | {"futureField": {"x": [1, 2]}}
    card["skills"][0]["novelty"] = 7

    assert load_card(card).json["futureField"] == {"x": [1, 2]}


def test_null_is_absent_where_a_field_is_optional() -> None:
    card = a_card() | {"provider": None, "iconUrl": None, "signatures": None}
    card["capabilities"]["streaming"] = None

    assert not load_card(card).streaming


@pytest.mark.parametrize(
    "field",
    [
        "name",
        "description",
        "version",
        "supportedInterfaces",
        "capabilities",
        "defaultInputModes",
        "defaultOutputModes",
        "skills",
    ],
)
def test_every_required_field_is_missed_by_name(field: str) -> None:
    assert findings(without(a_card(), field)) == {f"/{field}": "is required"}
    assert f"/{field}" in findings(a_card() | {field: None})


@pytest.mark.parametrize("field", ["id", "name", "description", "tags"])
def test_every_required_field_of_a_skill_is_missed_by_place(field: str) -> None:
    assert findings(without(a_card(), "skills", 1, field)) == {f"/skills/1/{field}": "is required"}


@pytest.mark.parametrize("field", ["url", "protocolBinding", "protocolVersion"])
def test_every_required_field_of_an_interface_is_missed_by_place(field: str) -> None:
    card = without(a_card(), "supportedInterfaces", 0, field)

    assert findings(card)[f"/supportedInterfaces/0/{field}"] == "is required"


def test_all_reasons_are_listed_and_not_only_the_first() -> None:
    card = a_card() | {"name": 7, "skills": "none"}

    assert findings(card) == {"/name": "must be a string", "/skills": "must be an array"}


def test_no_type_is_converted() -> None:
    card = a_card() | {"version": 1.0}
    card["capabilities"]["streaming"] = "yes"

    assert findings(card) == {
        "/version": "must be a string",
        "/capabilities/streaming": "must be true or false",
    }


def test_a_card_without_interfaces_or_skills_is_of_no_use() -> None:
    card = a_card() | {"supportedInterfaces": [], "skills": []}

    assert findings(card).keys() == {"/supportedInterfaces", "/skills"}


def an_older_card(**fields: Any) -> dict[str, Any]:
    older = {
        "url": "https://echo.example/rpc",
        "preferredTransport": "JSONRPC",
        "protocolVersion": "0.3.0",
        "security": [{"bearer": []}],
        "supportsAuthenticatedExtendedCard": False,
    }
    return without(a_card(), "supportedInterfaces") | older | fields


def test_a_card_of_a2a_0_3_is_read_with_its_preferred_address_first() -> None:
    raw = json.dumps(
        an_older_card(
            additionalInterfaces=[
                {"url": "https://echo.example/rpc", "transport": "JSONRPC"},
                {"url": "https://echo.example/rest", "transport": "HTTP+JSON"},
            ]
        )
    ).encode()

    card = load_card(raw)

    assert [(each.url, each.binding, each.protocol_version) for each in card.interfaces] == [
        ("https://echo.example/rpc", "JSONRPC", "0.3.0"),
        ("https://echo.example/rest", "HTTP+JSON", "0.3.0"),
    ]
    assert card.raw == raw
    assert card.skill("echo") is not None
    assert "supportedInterfaces" not in card.json


def test_what_a_card_of_a2a_0_3_leaves_out_is_its_default() -> None:
    card = load_card(without(without(an_older_card(), "preferredTransport"), "protocolVersion"))

    assert card.interfaces[0].binding == "JSONRPC"
    assert card.interfaces[0].protocol_version == "0.3.0"


@pytest.mark.parametrize("version", ["0.2.5", "0.1", "1.0", "", "0.3.0.0", "v0.3"])
def test_a_card_of_an_even_older_protocol_is_recognized(version: str) -> None:
    assert "A2A 0.2 or older" in findings(an_older_card(protocolVersion=version))[""]


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda each: st.lists(each) | st.dictionaries(st.text(), each),
    )
)
def test_addresses_of_a_card_of_a2a_0_3_may_be_anything_without_harm(odd: Any) -> None:
    for field in ("url", "preferredTransport", "additionalInterfaces", "protocolVersion"):
        try:
            load_card(an_older_card(**{field: odd}))
        except ParleyError as exc:
            assert exc.code == "invalid_card"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/a2a",
        "echo.example",
        "ftp://echo.example",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://",
        "http:///a2a",
        "http://user:secret@echo.example",
        "http://@echo.example",
        "http://echo.example/a b",
        "http://echo.example\\@evil.example",
        "http://echo.example:99999",
        "http://echo.example:0",
        "http://[::1",
        "http://echo.example/#x",
        "http://echo.example/\nX: y",
    ],
)
def test_an_address_that_cannot_be_called_safely_is_refused(url: str) -> None:
    card = a_card()
    card["supportedInterfaces"][0]["url"] = url

    assert findings(card).keys() == {"/supportedInterfaces/0/url"}


def test_two_skills_of_one_id_are_refused() -> None:
    card = a_card()
    card["skills"][1]["id"] = "echo"

    assert "repeats 'echo'" in findings(card)["/skills/1/id"]


@pytest.mark.parametrize(
    "name", ["", " ", "x\x1b[31m", "a\nb", "a\u202eb", "x" * 201, "a\x00", "a\u2028b"]
)
def test_a_name_that_lies_on_a_terminal_is_refused(name: str) -> None:
    assert findings(a_card() | {"name": name}).keys() == {"/name"}


def test_a_card_larger_than_the_limit_is_refused_unread() -> None:
    raw = b" " * MAX_CARD_BYTES + json.dumps(a_card()).encode()

    assert "bytes" in findings(raw)[""]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b'"card"',
        b"<html></html>",
        b"\xff\xfe{}",
        b'{"name": NaN}',
        b'{"name": "a", "name": "b"}',
        b'{"name": "\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        "\ud800",
    ],
)
def test_bytes_that_are_no_json_object_are_refused(raw: bytes | str) -> None:
    assert findings(raw).keys() == {""}


def test_an_object_that_is_no_json_is_refused() -> None:
    loop: dict[str, Any] = {}
    loop["self"] = loop

    for bad in (loop, {"x": object()}, {"x": float("nan")}, {"x": "\ud800"}):
        assert findings(bad).keys() == {""}


def test_a_number_that_readers_disagree_on_is_refused() -> None:
    assert "2^53" in findings(a_card() | {"future": 2**60})[""]


def test_a_contract_of_a_skill_that_is_not_there_is_refused() -> None:
    card = a_card()
    card["capabilities"]["extensions"][0]["params"]["skills"]["sing/high"] = {}

    assert list(findings(card)) == ["/capabilities/extensions/0/params/skills/sing~1high"]


def test_a_reason_is_one_line_whatever_the_card_calls_its_fields() -> None:
    card = a_card()
    card["capabilities"]["extensions"][0]["params"]["skills"]["a\nok\x1b[2J"] = {}

    (place,) = findings(card)
    assert place.endswith("/a\\u000aok\\u001b[2J")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", "1"),
        ("version", "01.0.0"),
        ("version", "1.0.0\n"),
        ("version", 2),
        ("idempotent", "true"),
        ("effect", "destroy"),
        ("input", []),
        ("output", "object"),
    ],
)
def test_a_malformed_contract_is_refused_by_place(field: str, value: object) -> None:
    card = a_card()
    contract_of(card)[field] = value

    path = f"/capabilities/extensions/0/params/skills/echo/{field}"
    assert findings(card).keys() == {path}


@pytest.mark.parametrize("at_once", [1, 1000, None])
def test_a_card_may_say_how_many_calls_it_takes_at_once(at_once: int | None) -> None:
    card = a_card()
    card["capabilities"]["extensions"][0]["params"]["concurrency"] = at_once

    assert load_card(card).concurrency == at_once


@pytest.mark.parametrize("at_once", [0, 1001, True, "8", 2.0])
def test_a_number_of_calls_at_once_that_makes_no_sense_is_refused(at_once: object) -> None:
    card = a_card()
    card["capabilities"]["extensions"][0]["params"]["concurrency"] = at_once

    assert findings(card).keys() == {"/capabilities/extensions/0/params/concurrency"}


def test_a_contract_extension_without_skills_is_refused() -> None:
    card = a_card()
    card["capabilities"]["extensions"] = [{"uri": SKILL_CONTRACT}, {"uri": SKILL_CONTRACT}]

    assert findings(card).keys() == {
        "/capabilities/extensions/0/params/skills",
        "/capabilities/extensions/1",
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


@given(st.binary(max_size=300) | st.text(max_size=300))
def test_hostile_bytes_never_raise_anything_but_an_invalid_card(raw: bytes | str) -> None:
    with pytest.raises(InvalidCardError):
        load_card(raw)


@given(st.data())
def test_a_card_with_any_part_replaced_loads_or_is_refused(data: st.DataObject) -> None:
    card = a_card()
    place: Any = card
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            place[key] = data.draw(json_values)
            break
        place = place[key]

    error = None
    try:
        load_card(card)
    except ParleyError as exc:
        error = exc

    assert error is None or (error.facts["findings"] and len(error.message) < 1000)


@given(st.data())
def test_a_card_with_any_byte_damaged_loads_or_is_refused(data: st.DataObject) -> None:
    raw = bytearray(json.dumps(a_card()).encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))

    error = None
    try:
        load_card(bytes(raw))
    except ParleyError as exc:
        error = exc

    assert error is None or error.facts["findings"]
