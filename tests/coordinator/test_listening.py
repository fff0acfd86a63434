"""Where a coordinator may listen, and what it then tells others."""

from __future__ import annotations

from pathlib import Path

import pytest
from parley_coordinator.settings import Settings, SettingsError

from tests.wire.certificates import Authority


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "coordinator.example"])
def test_beyond_loopback_it_takes_a_certificate_or_a_decision(host: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PARLEY_TLS"):
        Settings.load({"PARLEY_HOST": host})

    behind = Settings.load({"PARLEY_HOST": host, "PARLEY_EXPOSE": "1"})
    folder = Authority().folder(tmp_path / "tls", "coordinator.example")
    itself = Settings.load({"PARLEY_HOST": host, "PARLEY_TLS": str(folder)})

    assert behind.public_url.startswith("http://")
    assert itself.public_url.startswith("https://")


def test_a_ca_alone_is_no_certificate(tmp_path: Path) -> None:
    folder = Authority().folder(tmp_path / "tls", serves=False)

    with pytest.raises(SettingsError, match="PARLEY_TLS"):
        Settings.load({"PARLEY_HOST": "0.0.0.0", "PARLEY_TLS": str(folder)})
    assert Settings.load({"PARLEY_TLS": str(folder)}).public_url == "http://127.0.0.1:8420"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PARLEY_REGISTRY_URL", "me:geheim@registry"),
        ("PARLEY_REGISTRY_URL", "ftp://me:geheim@registry"),
        ("PARLEY_PUBLIC_URL", "https://me:geheim@parley.example"),
        ("PARLEY_PUBLIC_URL", "https://parley.example?token=geheim"),
        ("PARLEY_PUBLIC_URL", "geheim"),
    ],
)
def test_an_address_that_cannot_be_used_is_named_and_what_is_secret_in_it_is_not(
    variable: str, value: str
) -> None:
    with pytest.raises(SettingsError, match=variable) as refused:
        Settings.load({variable: value})

    assert value == "geheim" or "geheim" not in refused.value.message


def test_settings_are_shown_without_addresses_that_may_hold_a_password() -> None:
    settings = Settings.load({"PARLEY_REGISTRY_URL": "http://me:geheim@registry:8421"})

    assert "geheim" not in repr(settings)
