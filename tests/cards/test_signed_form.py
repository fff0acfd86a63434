"""What a signature covers: the canonical form after the rules of A2A 1.0 8.4.1."""

from __future__ import annotations

import json
from typing import Any

import pytest
from a2a.types import AgentCard
from google.api import field_behavior_pb2
from google.protobuf.json_format import MessageToDict, ParseDict
from hypothesis import given
from hypothesis import strategies as st
from parley_cards.canonical import NotCanonicalError, canonical
from parley_cards.signed_form import CARD, Form, signed_bytes

from tests.cards.samples import a_card
from tests.wire.support import PATIENT

EMPTY_SCHEMES: dict[str, Any] = {
    "bearer": {"httpAuthSecurityScheme": {"scheme": "", "description": ""}},
    "ticket": {"apiKeySecurityScheme": {"location": "header", "name": "ticket"}},
    "login": {
        "oauth2SecurityScheme": {
            "flows": {"deviceCode": {"tokenUrl": "https://a.example", "scopes": {}}}
        }
    },
}


def test_the_example_of_the_specification_has_the_bytes_that_it_prints() -> None:
    fragment = {
        "name": "Example Agent",
        "description": "",
        "capabilities": {"streaming": False, "pushNotifications": False, "extensions": []},
        "skills": [],
    }
    whole = json.loads(signed_bytes(fragment))
    printed = {name: value for name, value in whole.items() if name in fragment}

    assert canonical(printed).decode() == (
        '{"capabilities":{"pushNotifications":false,"streaming":false},'
        '"description":"","name":"Example Agent","skills":[]}'
    )


def test_the_table_is_the_one_of_the_protocol_buffers() -> None:
    assert _differences(AgentCard.DESCRIPTOR, CARD, "AgentCard") == []


def _differences(message: Any, form: Form, place: str) -> list[str]:
    found: list[str] = []
    told = {*form.required, *form.plain, *form.optional}
    named = {each.json_name for each in message.fields if each.json_name != "signatures"}
    if told != named:
        found.append(f"{place}: {told ^ named}")
    for each in message.fields:
        name, here = each.json_name, f"{place}.{each.json_name}"
        inner = each.message_type
        is_map = inner is not None and inner.GetOptions().map_entry
        if is_map:
            inner = inner.fields_by_name["value"].message_type
        if name == "signatures":
            continue
        behaviour = each.GetOptions().Extensions[field_behavior_pb2.field_behavior]
        required = field_behavior_pb2.REQUIRED in behaviour
        kind = "optional" if each.has_presence else "required" if required else "plain"
        if name not in getattr(form, kind):
            found.append(f"{here} is {kind}")
        elif kind != "optional" and getattr(form, kind)[name] != _default(each, is_map=is_map):
            found.append(f"{here} has another default")
        if inner is None or inner.full_name.startswith("google."):
            continue
        deeper = (form.maps if is_map else form.inside).get(name)
        if deeper is None:
            if kind != "optional" or any(not field.has_presence for field in inner.fields):
                found.append(f"{here} is not described")
        else:
            found += _differences(inner, deeper, here)
    return found


def _default(each: Any, *, is_map: bool) -> Any:
    if is_map:
        return {}
    return [] if each.is_repeated else each.default_value


@pytest.mark.parametrize(
    "change",
    [
        {"iconUrl": None},
        {"securitySchemes": {}},
        {"securityRequirements": []},
        {"signatures": [{"protected": "a", "signature": "b"}]},
    ],
)
def test_what_says_nothing_does_not_count(change: dict[str, Any]) -> None:
    assert signed_bytes({**a_card(), **change}) == signed_bytes(a_card())


@pytest.mark.parametrize(
    "change",
    [
        {"iconUrl": ""},
        {"unknown": ""},
        {"unknown": None},
        {"url": "https://echo.example"},
        {"securityRequirements": [{}]},
        {"securityRequirements": [{"schemes": {"bearer": {}}}]},
        {"provider": {}},
    ],
)
def test_everything_else_does(change: dict[str, Any]) -> None:
    assert signed_bytes({**a_card(), **change}) != signed_bytes(a_card())


def test_what_an_extension_says_is_signed_as_it_stands() -> None:
    card, other = a_card(), a_card()
    other["capabilities"]["extensions"][0]["params"]["note"] = None

    assert signed_bytes(card) != signed_bytes(other)


def test_a_number_that_readers_disagree_on_cannot_be_signed() -> None:
    with pytest.raises(NotCanonicalError):
        signed_bytes({**a_card(), "unknown": 2**60})


words = st.text(max_size=8)
flags = st.sampled_from([None, True, False])
requirements = st.lists(
    st.dictionaries(
        st.just("schemes"),
        st.dictionaries(words, st.dictionaries(st.just("list"), st.lists(words, max_size=2))),
    ),
    max_size=2,
)


@PATIENT
@given(
    description=words,
    icon=st.none() | words,
    streaming=flags,
    required=flags,
    tenant=st.none() | words,
    tags=st.lists(words, max_size=2),
    examples=st.none() | st.lists(words, max_size=2),
    schemes=st.sampled_from([None, {}, EMPTY_SCHEMES]),
    needs=st.none() | requirements,
)
def test_a_card_that_went_through_protobuf_is_signed_alike(
    description: str, icon: str | None, tenant: str | None, **drawn: Any
) -> None:
    card = a_card()
    card |= {"description": description, "iconUrl": icon, "securitySchemes": drawn["schemes"]}
    card["securityRequirements"] = drawn["needs"]
    card["capabilities"]["streaming"] = drawn["streaming"]
    card["capabilities"]["extensions"][1]["required"] = drawn["required"]
    card["supportedInterfaces"][0]["tenant"] = tenant
    card["skills"][0] |= {"tags": drawn["tags"], "examples": drawn["examples"]}

    again = MessageToDict(ParseDict(card, AgentCard()))

    assert signed_bytes(again) == signed_bytes(card)
