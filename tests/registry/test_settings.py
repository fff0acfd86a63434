"""With which settings a registry starts."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from parley_registry.catalog import Timing
from parley_registry.errors import SettingsError
from parley_registry.settings import load_settings


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "registry.example", ""])
def test_only_a_token_opens_the_registry_to_other_machines(host: str) -> None:
    with pytest.raises(SettingsError, match="PARLEY_MESH_TOKEN"):
        load_settings(host=host, port=1, home=None, environ={"PARLEY_MESH_TOKEN": ""})

    opened = load_settings(host=host, port=1, home=None, environ={"PARLEY_MESH_TOKEN": "x"})
    assert opened.token == "x"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_needs_no_token(host: str) -> None:
    settings = load_settings(host=host, port=1, home=None, environ={})

    assert (settings.token, settings.home, settings.timing) == (None, Path(".parley"), Timing())


def test_the_command_line_goes_before_the_environment() -> None:
    environ = {"PARLEY_HOME": "/var/a", "PARLEY_PROBE_INTERVAL_S": "3"}

    by_environment = load_settings(host="::1", port=1, home=None, environ=environ)
    by_option = load_settings(host="::1", port=1, home=Path("b"), environ=environ)

    assert by_environment.database_url == "sqlite:////var/a/registry.db"
    assert by_environment.timing.probe_every == timedelta(seconds=3)
    assert by_option.home == Path("b")


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "3601", "9" * 5000, "\u0663", "soon"])
def test_a_wait_is_a_whole_number_of_seconds(text: str) -> None:
    with pytest.raises(SettingsError, match="PARLEY_LEASE_GRACE_S"):
        load_settings(host="::1", port=1, home=None, environ={"PARLEY_LEASE_GRACE_S": text})
