"""Keys that sign agent cards, and those that an operator has enrolled to check them by.

A key is a JSON Web Key or PEM. It is known by its `kid`: the one that its JWK has, or its thumbprint
(RFC 7638). Which algorithm is used follows from the key alone:

=================  =========
key                algorithm
=================  =========
EC, P-256          ES256
EC, P-384          ES384
OKP, Ed25519       EdDSA
RSA, 2048 or more  RS256
=================  =========

A JWK may end: `nbf` and `exp` (seconds since 1970), and `revoked`, the object of OpenID Federation 1.0
section 8.7 or anything but null and false.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Final, Literal, Self, TypeAlias

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.utils import der_to_raw_signature

from parley_cards import strict_json
from parley_cards.canonical import canonical
from parley_cards.card import CardError
from parley_cards.errors import Kind, ParleyError

MIN_RSA_BITS: Final = 2048
MAX_KEYS: Final = 1000
MAX_ID: Final = 200
ALGORITHMS: Final = frozenset({"ES256", "ES384", "EdDSA", "RS256"})
_THUMBPRINT: Final = {
    "EC": ("crv", "kty", "x", "y"),
    "OKP": ("crv", "kty", "x"),
    "RSA": ("e", "kty", "n"),
}
_SECRET: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

Usable: TypeAlias = Literal["", "revoked", "expired", "not valid yet"]


class CardKeyError(CardError):
    """What should be a key for agent cards is none, or not one that is good enough."""

    code: ClassVar[str] = "card_key"
    kind: ClassVar[Kind] = Kind.INVALID


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key."""

    id: str
    algorithm: str
    key: jwt.PyJWK = field(repr=False)

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read a private JWK, or PEM.

        Raises:
            CardKeyError: If it is neither, or cannot sign.
        """
        data = _jwk_of(raw)
        if "d" not in data:
            raise CardKeyError("this is a public key; sign with the private one")
        key = _checked(data)
        return cls(_key_id(data), key.algorithm_name, key)

    @classmethod
    def new(cls, algorithm: str = "ES256", *, key_id: str = "") -> Self:
        """Raises: CardKeyError, for an algorithm that no key is made for."""
        match algorithm:
            case "ES256":
                data = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
            case "EdDSA":
                data = OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate(), as_dict=True)
            case _:
                raise CardKeyError(f"no key is made for {algorithm[:20]!r}: ES256, or EdDSA")
        return cls(checked_id(key_id) if key_id else _key_id(data), algorithm, jwt.PyJWK(data))

    def sign(self, message: bytes) -> bytes:
        """Return the signature as JWS has it; always the same, so that no restart changes a card."""
        key = self.key.key
        if isinstance(key, ec.EllipticCurvePrivateKey):
            hashed = SHA256() if self.algorithm == "ES256" else SHA384()
            found = key.sign(message, ec.ECDSA(hashed, deterministic_signing=True))
            return der_to_raw_signature(found, key.curve)
        return bytes(self.key.Algorithm.sign(message, key))

    def private_jwk(self) -> dict[str, Any]:
        return {**_jwk_from(self.key.key), "kid": self.id, "alg": self.algorithm, "use": "sig"}

    def public_jwk(self) -> dict[str, Any]:
        """Return what is enrolled."""
        return {name: value for name, value in self.private_jwk().items() if name not in _SECRET}


@dataclass(frozen=True, slots=True)
class EnrolledKey:
    """A public key that an operator trusts."""

    id: str
    algorithm: str
    key: jwt.PyJWK = field(repr=False)
    not_before: datetime | None = None
    expires: datetime | None = None
    revoked: bool = False

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read a public JWK, or PEM.

        Raises:
            CardKeyError: If it is neither, or private.
        """
        return cls.of(_jwk_of(raw))

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """Raises: CardKeyError."""
        if _SECRET & data.keys():
            raise CardKeyError("this key is private or shared; enrol the public one only")
        if data.get("use", "sig") != "sig":
            raise CardKeyError("this key is not for signatures: its `use` is another")
        key = _checked(data)
        return cls(
            _key_id(data),
            key.algorithm_name,
            key,
            not_before=_moment(data, "nbf"),
            expires=_moment(data, "exp"),
            revoked=data.get("revoked") not in (None, False),
        )

    def unusable(self, now: datetime) -> Usable:
        """Say why no signature may be checked by it (A2A 1.0 8.4.3); empty if one may."""
        if self.revoked:
            return "revoked"
        if self.expires is not None and now >= self.expires:
            return "expired"
        if self.not_before is not None and now < self.not_before:
            return "not valid yet"
        return ""


class Keyring:
    """The keys that an operator has enrolled, each under its own id.

    Raises:
        CardKeyError: If two have one id, or there are too many.
    """

    def __init__(self, keys: Iterable[EnrolledKey] = ()) -> None:
        self._keys: dict[str, EnrolledKey] = {}
        for key in keys:
            if key.id in self._keys:
                raise CardKeyError(f"two keys have the id {key.id[:80]!r}; give one another kid")
            if len(self._keys) == MAX_KEYS:
                raise CardKeyError(f"there are more than {MAX_KEYS} keys")
            self._keys[key.id] = key

    def __len__(self) -> int:
        return len(self._keys)

    def get(self, key_id: str) -> EnrolledKey | None:
        return self._keys.get(key_id)

    def usable(self, now: datetime) -> frozenset[str]:
        """Return the ids of the keys that signatures may be checked by now."""
        return frozenset(key.id for key in self._keys.values() if not key.unusable(now))


def keys_of(raw: bytes) -> list[EnrolledKey]:
    """Read a JWK Set, one public JWK, or PEM.

    Raises:
        CardKeyError: If it is none of them, or one of the keys is not usable.
    """
    if raw.lstrip().startswith(b"-----"):
        return [EnrolledKey.read(raw)]
    value = _json_object(raw)
    if "keys" not in value:
        return [EnrolledKey.of(value)]
    listed = value["keys"]
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise CardKeyError("`keys` of a JWK Set must be an array of objects")
    return [EnrolledKey.of(each) for each in listed]


def _jwk_of(raw: bytes) -> dict[str, Any]:
    if not raw.lstrip().startswith(b"-----"):
        return _json_object(raw)
    try:
        if b"PRIVATE KEY-----" in raw:
            return _jwk_from(load_pem_private_key(raw, password=None))
        return _jwk_from(load_pem_public_key(raw))
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise CardKeyError("this PEM holds no key that can be read; is it encrypted?") from exc


def _jwk_from(key: object) -> dict[str, Any]:
    try:
        if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
            return ECAlgorithm.to_jwk(key, as_dict=True)
        if isinstance(key, ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey):
            return OKPAlgorithm.to_jwk(key, as_dict=True)
        if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
            found = RSAAlgorithm.to_jwk(key, as_dict=True)
            return {name: value for name, value in found.items() if name != "key_ops"}
    except jwt.InvalidKeyError as exc:
        raise CardKeyError(f"this key cannot be used: {exc}") from exc
    raise CardKeyError("cards are signed with EC, Ed25519 or RSA keys; this is another")


def _json_object(raw: bytes) -> dict[str, Any]:
    try:
        value = strict_json.loads(raw)
    except ParleyError as exc:
        raise CardKeyError(f"this is neither PEM nor JSON: {exc.message}") from exc
    if not isinstance(value, dict):
        raise CardKeyError("a key in JSON must be an object: a JWK, or a JWK Set")
    return value


def _checked(data: Mapping[str, Any]) -> jwt.PyJWK:
    """Raises CardKeyError for a key that cards are not signed with."""
    if data.get("kty") not in _THUMBPRINT:  # not symmetric: whoever checks could sign as well
        raise CardKeyError("a key needs a `kty`: EC, OKP or RSA")
    try:
        # `alg` is compared below: what is taken for it here follows from the key.
        key = jwt.PyJWK({name: value for name, value in data.items() if name != "alg"})
    except jwt.PyJWTError as exc:
        raise CardKeyError(f"this JWK is not valid: {exc}") from exc
    if key.algorithm_name not in ALGORITHMS:
        raise CardKeyError("cards are signed with P-256, P-384, Ed25519 or RSA; this is another")
    if data.get("alg", key.algorithm_name) != key.algorithm_name:
        raise CardKeyError(f"this key signs with {key.algorithm_name}; its `alg` is another")
    if (
        isinstance(key.key, rsa.RSAPrivateKey | rsa.RSAPublicKey)
        and key.key.key_size < MIN_RSA_BITS
    ):
        raise CardKeyError(f"an RSA key must have {MIN_RSA_BITS} bits or more")
    return key


def _key_id(data: Mapping[str, Any]) -> str:
    given = data.get("kid")
    if given is None:
        members = {name: data[name] for name in _THUMBPRINT[data["kty"]]}
        found = hashlib.sha256(canonical(members)).digest()
        return base64.urlsafe_b64encode(found).decode().rstrip("=")
    return checked_id(given)


def checked_id(key_id: object) -> str:
    """Raises: CardKeyError, if it is not one line of 1 to 200 printable characters."""
    if not isinstance(key_id, str) or not 0 < len(key_id) <= MAX_ID or not key_id.isprintable():
        raise CardKeyError(f"a `kid` must be one line of 1 to {MAX_ID} printable characters")
    return key_id


def _moment(data: Mapping[str, Any], name: str) -> datetime | None:
    value = data.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CardKeyError(f"`{name}` of a key must be seconds since 1970")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError) as exc:
        raise CardKeyError(f"`{name}` of a key is no time that there is") from exc
