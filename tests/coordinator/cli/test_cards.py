"""`parley card`: keys, signing, and who has signed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from parley_cards.library import library_card

from tests.coordinator.cli.shell import Shell
from tests.coordinator.cli.test_commands import refused

pytestmark = pytest.mark.anyio


async def test_a_card_is_signed_and_its_signer_is_told(parley: Shell, tmp_path: Path) -> None:
    key, card = tmp_path / "vendor.jwk", tmp_path / "card.json"
    card.write_bytes(library_card("matching", url="https://agent.example").raw)
    made = await parley("card", "keygen", str(key), "--kid", "vendor-2026", "--algorithm", "EdDSA")
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "vendor.json").write_text(made.out)
    assert (made.json["kid"], "d" in made.json, key.stat().st_mode & 0o777) == (
        "vendor-2026",
        False,
        0o600,
    )

    told = await parley("card", "public", PARLEY_CARD_KEY=str(key))
    signed = await parley("card", "sign", str(card), "--key", str(key))
    again = await parley("card", "sign", "-", "--key", str(key), stdin=signed.out.encode())
    found = await parley(
        *("card", "verify", "-", "-o", "json"),
        stdin=again.out.encode(),
        PARLEY_CARD_KEYS=str(keys),
    )

    assert told.json == made.json
    assert len(again.json["signatures"]) == 1
    assert (found.json["state"], found.json["key"]) == ("verified", "vendor-2026")


async def test_what_is_not_signed_as_it_must_be_is_one_line_and_a_status(
    parley: Shell, tmp_path: Path
) -> None:
    key, card = tmp_path / "vendor.jwk", tmp_path / "card.json"
    card.write_bytes(library_card("matching", url="https://agent.example").raw)
    keys = tmp_path / "keys.json"
    keys.write_text((await parley("card", "keygen", str(key))).out)
    changed = (await parley("card", "sign", str(card), "--key", str(key))).json
    changed["version"] = "9.9.9"
    stranger = tmp_path / "stranger.jwk"
    await parley("card", "keygen", str(stranger))
    unknown = (await parley("card", "sign", str(card), "--key", str(stranger))).out
    verify = ("card", "verify", "-", "--keys", str(keys))

    refused(await parley(*verify, stdin=json.dumps(changed).encode()), 2, "card_signature_invalid")
    refused(await parley(*verify, stdin=unknown.encode()), 2, "card_signature_missing")
    refused(await parley(*verify, stdin=card.read_bytes()), 2, "card_signature_missing")
    refused(await parley(*verify, stdin=b"{}"), 2, "invalid_card")
    refused(await parley("card", "keygen", str(key)), 2, "card_key")
    refused(await parley("card", "sign", str(card), "--key", str(keys)), 2, "card_key")
    refused(await parley("card", "sign", "nowhere.json", "--key", str(key)), 2, "usage")


async def test_a_folder_for_tls_that_cannot_be_used_is_told(parley: Shell, tmp_path: Path) -> None:
    ended = await parley("agents", PARLEY_TLS=str(tmp_path / "nowhere"))

    refused(ended, 2, "tls")
