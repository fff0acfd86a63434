"""Checks of what this coordinator shows of itself: its certificate, and the key that signs its cards."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography.x509 import load_pem_x509_certificate
from parley_cards.errors import ParleyError
from parley_cards.key_files import read_signing_key
from parley_wire.tls import CERTIFICATE

from parley_coordinator.cli.doctor.findings import Finding, ok, problem, warning

if TYPE_CHECKING:
    from pathlib import Path

    from parley_wire.tls import Tls

SOON: Final = timedelta(days=14)
_RENEW: Final = "put a new tls.crt and tls.key there, and restart"


def certificate(tls: Tls, *, now: datetime) -> list[Finding]:
    """Say how long the certificate lasts; nothing if there is none."""
    if tls.folder is None or not tls.serves:
        return []
    try:
        found = load_pem_x509_certificate((tls.folder / CERTIFICATE).read_bytes())
    except ValueError as exc:
        return [problem("tls", f"{CERTIFICATE} in {tls.folder} cannot be read: {exc}", _RENEW)]
    ends = found.not_valid_after_utc
    words = f"the certificate in {tls.folder} is valid until {ends:%Y-%m-%d %H:%M} UTC"
    if now < found.not_valid_before_utc or now >= ends:
        return [problem("tls", f"{words}, and not now", _RENEW)]
    return [warning("tls", words, _RENEW) if now >= ends - SOON else ok("tls", words)]


def card_key(path: Path | None) -> list[Finding]:
    """Say by which key cards are signed; nothing if they are not."""
    if path is None:
        return []
    try:
        return [ok("card-key", f"cards are signed by {read_signing_key(path).id}")]
    except ParleyError as exc:
        return [problem("card-key", exc.message, "see PARLEY_CARD_KEY in docs/settings.md")]
