"""Signed agent cards: who has signed one, and that nobody has changed it since."""

from __future__ import annotations

import base64
import copy
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import jwt
import pytest
from a2a.types import AgentCard
from a2a.utils import signing
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from google.protobuf.json_format import MessageToDict, ParseDict
from hypothesis import given
from hypothesis import strategies as st
from parley_cards.key_files import read_keyring, read_signing_key, write_signing_key
from parley_cards.keys import CardKeyError, EnrolledKey, Keyring, SigningKey, keys_of
from parley_cards.library import library_card, library_names
from parley_cards.signatures import (
    InvalidCardSignatureError,
    MissingCardSignatureError,
    Mode,
    Signed,
    admit,
    sign,
    verify,
)
from parley_cards.signed_form import signed_bytes

from tests.cards.samples import a_card
from tests.wire.support import PATIENT

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ALGORITHMS = ("ES256", "EdDSA")


@cache
def key(name: str = "vendor", algorithm: str = "ES256") -> SigningKey:
    return SigningKey.new(algorithm, key_id=name)


def ring(*keys: SigningKey, **more: Any) -> Keyring:
    return Keyring(EnrolledKey.of({**each.public_jwk(), **more}) for each in keys)


def header_of(signature: dict[str, Any]) -> dict[str, Any]:
    raw = signature["protected"]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)))
    return found


def with_header(card: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The same card with another header on its first signature."""
    changed = copy.deepcopy(card)
    raw = json.dumps(header_of(changed["signatures"][0]) | changes).encode()
    changed["signatures"][0]["protected"] = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    return changed


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_who_has_signed_a_card_is_known(algorithm: str) -> None:
    signer = key("vendor", algorithm)
    found = verify(sign(a_card(), signer), ring(signer), now=NOW)

    assert (found.state, found.key_id) == (Signed.VERIFIED, "vendor")


def shuffled(value: Any, draw: Any) -> Any:
    if isinstance(value, dict):
        names = draw(st.permutations(sorted(value)))
        return {name: shuffled(value[name], draw) for name in names}
    return [shuffled(each, draw) for each in value] if isinstance(value, list) else value


@PATIENT
@given(st.data())
def test_neither_the_order_of_names_nor_white_space_matters(data: st.DataObject) -> None:
    card = shuffled(sign(a_card(), key()), data.draw)
    sent = json.loads(json.dumps(card, indent=data.draw(st.integers(0, 3))))

    assert verify(sent, ring(key()), now=NOW).state is Signed.VERIFIED


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner: list[tuple[Any, ...]] = []
    if isinstance(value, dict):
        inner = [place for name in value for place in places(value[name], (*path, name))]
    elif isinstance(value, list):
        inner = [place for n, each in enumerate(value) for place in places(each, (*path, n))]
    return [*([path] if path else []), *inner]


@PATIENT
@given(st.data())
def test_any_change_of_what_a_card_says_breaks_its_signature(data: st.DataObject) -> None:
    card = sign(a_card(), key())
    signatures = card.pop("signatures")
    before = signed_bytes(card)
    *path, last = data.draw(st.sampled_from(places(card)))
    holder: Any = card
    for step in path:
        holder = holder[step]
    if data.draw(st.booleans()):
        del holder[last]
    else:
        holder[last] = data.draw(
            st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=3)
        )
    changed = {**card, "signatures": signatures}

    if signed_bytes(card) == before:
        assert verify(changed, ring(key()), now=NOW).state is Signed.VERIFIED
    else:
        with pytest.raises(InvalidCardSignatureError):
            verify(changed, ring(key()), now=NOW)


@PATIENT
@given(st.binary(max_size=80), st.text(max_size=40), st.integers(0, 3))
def test_whatever_stands_in_a_signature_is_read_without_a_failure(
    signature: bytes, protected: str, which: int
) -> None:
    raw = base64.urlsafe_b64encode(signature).decode().rstrip("=")
    odd: Any = (
        {"protected": protected, "signature": raw},
        {"protected": raw, "signature": protected},
        {"protected": raw},
        protected,
    )[which]
    card = {**a_card(), "signatures": [odd]}

    assert verify(card, ring(key()), now=NOW).state is Signed.UNVERIFIED


def test_a_card_without_signatures_is_unsigned() -> None:
    assert verify(a_card(), ring(key()), now=NOW).state is Signed.UNSIGNED
    assert verify({**a_card(), "signatures": []}, ring(key()), now=NOW).state is Signed.UNSIGNED


def test_a_key_that_is_not_enrolled_proves_nothing() -> None:
    found = verify(sign(a_card(), key()), ring(key("another")), now=NOW)

    assert (found.state, found.key_id) == (Signed.UNVERIFIED, "vendor")
    assert "not enrolled" in found.reason


def test_another_key_under_an_enrolled_id_is_found_out() -> None:
    forged = sign(a_card(), SigningKey.new(key_id="vendor"))

    with pytest.raises(InvalidCardSignatureError):
        verify(forged, ring(key()), now=NOW)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES384", "RS256", "", "es256"])
def test_the_key_says_how_it_signs_and_the_card_does_not(algorithm: str) -> None:
    card = with_header(sign(a_card(), key()), alg=algorithm)

    with pytest.raises(InvalidCardSignatureError):
        verify(card, ring(key()), now=NOW)


def test_a_key_that_a_card_brings_along_is_not_looked_at() -> None:
    brought = SigningKey.new(key_id="stranger")
    card = sign(a_card(), brought)
    hints = {"jwk": brought.public_jwk(), "jku": "https://stranger.example/jwks.json"}

    assert verify(with_header(card, **hints), ring(key()), now=NOW).state is Signed.UNVERIFIED


def test_a_header_with_demands_that_we_do_not_know_is_not_read() -> None:
    card = with_header(sign(a_card(), key()), crit=["b64"], b64=False)

    assert verify(card, ring(key()), now=NOW).state is Signed.UNVERIFIED


def test_one_good_signature_suffices() -> None:
    card = sign(sign(a_card(), SigningKey.new(key_id="vendor")), key("auditor"))
    card["signatures"].insert(0, {"protected": "?", "signature": "?"})

    assert verify(card, ring(key(), key("auditor")), now=NOW).key_id == "auditor"


def test_signing_again_replaces_what_the_key_has_signed_before() -> None:
    old = sign(sign(a_card(), key("auditor")), key())
    new = sign({**old, "version": "1.3.0"}, key())

    assert [header_of(each)["kid"] for each in new["signatures"]] == ["auditor", "vendor"]
    assert verify(new, ring(key()), now=NOW).state is Signed.VERIFIED


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"exp": NOW.timestamp()}, "expired"),
        ({"exp": NOW.timestamp() - 1}, "expired"),
        ({"nbf": NOW.timestamp() + 1}, "not valid yet"),
        ({"revoked": {"revoked_at": 1}}, "revoked"),
        ({"revoked": True}, "revoked"),
    ],
)
def test_a_key_that_has_ended_is_not_used(said: dict[str, Any], why: str) -> None:
    found = verify(sign(a_card(), key()), ring(key(), **said), now=NOW)

    assert found.state is Signed.UNVERIFIED
    assert why in found.reason


def test_a_key_is_used_until_it_ends() -> None:
    ends = {"nbf": NOW.timestamp(), "exp": (NOW + timedelta(seconds=1)).timestamp()}

    assert verify(sign(a_card(), key()), ring(key(), **ends), now=NOW).state is Signed.VERIFIED


def test_what_is_admitted_depends_on_the_mode() -> None:
    good, unknown = sign(a_card(), key()), sign(a_card(), key("another"))
    bad = {**good, "version": "9.9.9"}
    for mode in Mode:
        kept = [
            (name, admit(card, ring(key()), mode, now=NOW).state)
            for name, card in {"good": good, "unknown": unknown, "none": a_card()}.items()
            if mode is not Mode.REQUIRE or name == "good"
        ]
        unverified = ("unknown", Signed.UNVERIFIED), ("none", Signed.UNSIGNED)
        assert (
            kept
            == {
                Mode.OFF: [("good", Signed.UNVERIFIED), *unverified],
                Mode.VERIFY_IF_PRESENT: [("good", Signed.VERIFIED), *unverified],
                Mode.REQUIRE: [("good", Signed.VERIFIED)],
            }[mode]
        )
    assert admit(bad, ring(key()), Mode.OFF, now=NOW).state is Signed.UNVERIFIED
    for mode in (Mode.VERIFY_IF_PRESENT, Mode.REQUIRE):
        with pytest.raises(InvalidCardSignatureError):
            admit(bad, ring(key()), mode, now=NOW)
    for card in (unknown, a_card()):
        with pytest.raises(MissingCardSignatureError):
            admit(card, ring(key()), Mode.REQUIRE, now=NOW)


@pytest.mark.parametrize("name", library_names())
def test_the_library_of_another_vendor_verifies_what_we_sign_and_we_what_it_signs(
    name: str,
) -> None:
    card = library_card(name, url="https://agent.example").json
    public = jwt.PyJWK(key().public_jwk())
    check = signing.create_signature_verifier(lambda _kid, _jku: public, ["ES256"])
    check(ParseDict(sign(card, key()), AgentCard()))

    header: Any = {"kid": "vendor", "alg": "ES256", "typ": "JOSE", "jku": None}
    theirs = signing.create_agent_card_signer(key().key.key, header)
    signed = MessageToDict(theirs(ParseDict(card, AgentCard())))

    assert verify(signed, ring(key()), now=NOW).state is Signed.VERIFIED


def test_what_an_sdk_has_left_out_of_a_signature_is_named() -> None:
    """Such a signature would hold for a card that demands no token, too."""
    card = a_card() | {"securityRequirements": [{"schemes": {"bearer": {}}}]}
    header: Any = {"kid": "vendor", "alg": "ES256", "typ": "JOSE", "jku": None}
    theirs = signing.create_agent_card_signer(key().key.key, header)
    signed = MessageToDict(theirs(ParseDict(card, AgentCard())))
    assert signed["securityRequirements"] == card["securityRequirements"]

    with pytest.raises(InvalidCardSignatureError, match="without its empty values"):
        verify(signed, ring(key()), now=NOW)


def test_a_key_is_the_same_as_jwk_and_as_pem() -> None:
    for private in (
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ):
        secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        signer = SigningKey.read(secret)
        assert SigningKey.read(json.dumps(signer.private_jwk()).encode()).id == signer.id
        card = sign(a_card(), signer)
        assert sign(a_card(), signer) == card  # or each restart would make another card
        for enrolled in (public, json.dumps(signer.public_jwk()).encode()):
            found = verify(card, Keyring(keys_of(enrolled)), now=NOW)
            assert (found.state, found.key_id) == (Signed.VERIFIED, signer.id)
        assert str(signer.private_jwk()["d"]) not in repr(signer)


WEAK = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to see it refused
P521 = ec.generate_private_key(ec.SECP521R1())


def pem(private: Any) -> bytes:
    found: bytes = private.public_key().public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    return found


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "neither"),
        (b"[]", "object"),
        (b"{}", "kty"),
        (b'{"keys": {}}', "array"),
        (b'{"kty": "oct", "k": "c2VjcmV0"}', "private or shared"),
        (b'{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}', "not valid"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "PEM"),
        (json.dumps(key().private_jwk()).encode(), "private"),
        (json.dumps({**key().public_jwk(), "use": "enc"}).encode(), "use"),
        (json.dumps({**key().public_jwk(), "alg": "ES384"}).encode(), "alg"),
        (json.dumps({**key().public_jwk(), "kid": ""}).encode(), "kid"),
        (json.dumps({**key().public_jwk(), "kid": 7}).encode(), "kid"),
        (json.dumps({**key().public_jwk(), "exp": "soon"}).encode(), "exp"),
        (json.dumps({**key().public_jwk(), "exp": 1e99}).encode(), "exp"),
        (pem(WEAK), "2048"),
        (pem(P521), "P-384"),
    ],
)
def test_what_is_no_key_for_cards_is_refused_with_the_reason(raw: bytes, why: str) -> None:
    with pytest.raises(CardKeyError, match=why):
        keys_of(raw)


def test_keys_are_files(tmp_path: Path) -> None:
    write_signing_key(key(), tmp_path / "vendor.jwk")
    with pytest.raises(CardKeyError, match="not overwritten"):
        write_signing_key(key(), tmp_path / "vendor.jwk")
    signer = read_signing_key(tmp_path / "vendor.jwk")
    assert (signer.id, signer.private_jwk()) == ("vendor", key().private_jwk())
    (tmp_path / "vendor.jwk").chmod(0o644)
    with pytest.raises(CardKeyError, match="chmod 600"):
        read_signing_key(tmp_path / "vendor.jwk")

    folder = tmp_path / "enrolled"
    folder.mkdir()
    assert len(read_keyring(folder)) == 0
    (folder / "one.json").write_text(json.dumps(key().public_jwk()))
    many = [key("a").public_jwk(), key("b", "EdDSA").public_jwk()]
    (folder / "more.jwks").write_text(json.dumps({"keys": many}))
    (folder / "README").write_text("not a key")
    assert len(read_keyring(folder)) == 3
    (folder / "again.json").write_text(json.dumps(key().public_jwk()))
    with pytest.raises(CardKeyError, match="two keys"):
        read_keyring(folder)
    with pytest.raises(CardKeyError, match="cannot read"):
        read_keyring(tmp_path / "nowhere.json")
