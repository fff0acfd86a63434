"""The cards that ship with the mesh."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from parley_cards.card import InvalidCardError, load_card
from parley_cards.library import UnknownCardError, library_card, library_names


def test_every_card_of_the_library_is_valid_and_carries_the_address() -> None:
    for name in library_names():
        card = library_card(name, url="http://127.0.0.1:8431/")

        assert [(each.binding, each.url) for each in card.interfaces] == [
            ("JSONRPC", "http://127.0.0.1:8431/a2a"),
            ("HTTP+JSON", "http://127.0.0.1:8431/rest"),
        ]
        assert card.dedupes, f"{name} is served by our kit, which de-duplicates"
        assert all(skill.input_schema and skill.output_schema for skill in card.skills), name


def test_no_two_cards_of_the_library_offer_one_skill() -> None:
    skills = [
        skill.id
        for name in library_names()
        for skill in library_card(name, url="http://127.0.0.1:1").skills
    ]

    assert len(skills) == len(set(skills))


@pytest.mark.parametrize("name", ["nobody", "", "../card", "library/documents", "documents.json"])
def test_a_card_that_the_library_lacks_is_not_looked_for(name: str) -> None:
    with pytest.raises(UnknownCardError):
        library_card(name, url="http://127.0.0.1:1")


def test_an_address_that_is_none_is_refused() -> None:
    for name in library_names():
        with pytest.raises(InvalidCardError):
            library_card(name, url="not a url")


def test_the_card_in_the_readme_is_valid_once_it_has_an_address() -> None:
    readme = Path(__file__).parents[2].joinpath("cards/README.md").read_text()
    (example,) = re.findall(r"```json\n(.*?)```", readme, re.DOTALL)
    card = json.loads(example)
    with pytest.raises(InvalidCardError, match="supportedInterfaces"):
        load_card(card)
    card["supportedInterfaces"] = [
        {"url": "http://127.0.0.1:1", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
    ]

    (skill,) = load_card(card).skills

    assert (skill.effect, skill.idempotent) == ("read", True)
