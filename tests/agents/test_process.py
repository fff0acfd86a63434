"""An agent as a process: what it is told, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from parley_agents.doors import with_doors
from parley_agents.errors import AgentSettingsError
from parley_agents.settings import Given, load_settings
from parley_cards.key_files import write_signing_key
from parley_cards.keys import CardKeyError, SigningKey
from parley_cards.library import library_card

from tests.agents.invoice_cases import POLICY_FILE
from tests.wire.certificates import Authority


def given(**options: Any) -> Given:
    return Given(**{"host": "127.0.0.1", "port": 8431, **options})


def test_without_settings_an_agent_is_on_loopback_and_finds_the_mesh_there() -> None:
    settings = load_settings(given(), {})

    assert settings.url == "http://127.0.0.1:8431"
    assert settings.registry_url == "http://127.0.0.1:8421"
    assert settings.erp_url == "http://127.0.0.1:8430"
    assert settings.policy == Path("workflows/invoice-exception/policy.yaml")
    assert (settings.token, settings.pace_s) == (None, 0.0)


def test_the_environment_is_read_and_the_command_line_wins() -> None:
    environ = {
        "PARLEY_HOME": "home",
        "PARLEY_MESH_TOKEN": "secret",
        "PARLEY_PUBLIC_URL": "https://documents.example/",
        "PARLEY_REGISTRY_URL": "http://registry:8421",
        "PARLEY_ERP_URL": "http://erp:8430",
        "PARLEY_POLICY": "other.yaml",
    }

    told = load_settings(given(host="0.0.0.0"), environ)
    over = load_settings(given(erp="http://10.0.0.7:1", registry="none", home=Path("h")), environ)

    assert (told.url, told.token) == ("https://documents.example", "secret")
    assert (told.registry_url, told.erp_url) == ("http://registry:8421", "http://erp:8430")
    assert (told.policy, told.home) == (Path("other.yaml"), Path("home"))
    assert (over.registry_url, over.erp_url, over.home) == (None, "http://10.0.0.7:1", Path("h"))


def test_a_certificate_and_a_key_change_the_card_that_others_see(tmp_path: Path) -> None:
    signer = SigningKey.new(key_id="vendor-2026")
    write_signing_key(signer, tmp_path / "vendor.jwk")
    environ = {
        "PARLEY_TLS": str(Authority().folder(tmp_path / "tls")),
        "PARLEY_CARD_KEY": str(tmp_path / "vendor.jwk"),
        "PARLEY_GRPC_PORT": "9000",
    }

    told = load_settings(given(), environ)
    card = with_doors(library_card("matching", url=told.url), told.doors, url=told.url)

    assert [each.url for each in card.interfaces] == [
        "https://127.0.0.1:8431/a2a",
        "https://127.0.0.1:8431/rest",
        "https://127.0.0.1:9000",
    ]
    assert told.doors.signer is not None
    assert told.doors.signer.id == "vendor-2026"
    assert str(signer.private_jwk()["d"]) not in repr(told)
    (tmp_path / "vendor.jwk").chmod(0o640)
    with pytest.raises(CardKeyError, match="chmod 600"):
        load_settings(given(), environ)


def test_ipv6_loopback_is_loopback() -> None:
    assert load_settings(given(host="::1"), {}).url == "http://[::1]:8431"


@pytest.mark.parametrize(
    ("options", "environ", "problem"),
    [
        ({"host": "0.0.0.0"}, {}, "without a token"),
        ({"host": "agent.example"}, {}, "without a token"),
        ({"host": "0.0.0.0"}, {"PARLEY_MESH_TOKEN": "t"}, "--url"),
        ({"port": 0}, {}, "--url"),
        ({"url": "ftp://x"}, {}, "--url must be"),
        ({"registry": "localhost:8421"}, {}, "--registry must be"),
        ({"erp": "http://"}, {}, "--erp must be"),
        ({"erp": "http://x:99999"}, {}, "--erp must be"),
        ({"pace_s": -1.0}, {}, "--pace"),
        ({"pace_s": float("nan")}, {}, "--pace"),
        ({"pace_s": float("inf")}, {}, "--pace"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    options: dict[str, Any], environ: dict[str, str], problem: str
) -> None:
    with pytest.raises(AgentSettingsError, match=problem):
        load_settings(given(**options), environ)


@contextmanager
def process(home: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PARLEY_")}
    with subprocess.Popen(
        [sys.executable, "-m", "parley_agents", *words, "--home", str(home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
        cwd=home,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


@pytest.mark.parametrize("policy", [None, "name: x"], ids=["no file", "no policy"])
def test_the_matching_agent_does_not_start_without_a_policy(
    tmp_path: Path, policy: str | None
) -> None:
    file = tmp_path / "policy.yaml"
    if policy is not None:
        file.write_text(policy)

    with process(tmp_path, "matching", "--policy", str(file)) as running:
        _, errors = running.communicate(timeout=60)

    assert running.returncode == 2
    assert errors.startswith("matching: invalid_policy: ")
    assert len(errors.splitlines()) == 1


def test_an_agent_prints_the_contracts_that_its_card_must_have(tmp_path: Path) -> None:
    with process(tmp_path, "posting", "--contracts") as running:
        output, _ = running.communicate(timeout=60)

    contracts = json.loads(output)
    card = library_card("posting", url="http://127.0.0.1:1")
    assert {skill.id: skill.input_schema for skill in card.skills} == {
        skill_id: contract["input"] for skill_id, contract in contracts.items()
    }


def test_a_started_agent_serves_its_card_and_ends_when_told(tmp_path: Path) -> None:
    options = ("--port", "0", "--url", "http://matching.example", "--registry", "none")

    with process(tmp_path, "matching", *options, "--policy", str(POLICY_FILE)) as running:
        assert running.stdout is not None
        line = running.stdout.readline()
        url = line.split()[-1]
        card = httpx.get(f"{url}/.well-known/agent-card.json", trust_env=False).json()
        health = httpx.get(f"{url}/healthz", trust_env=False)
        running.send_signal(signal.SIGTERM)
        _, errors = running.communicate(timeout=60)

    assert line.startswith("matching listening on http://127.0.0.1:")
    assert card["supportedInterfaces"][0]["url"] == "http://matching.example/a2a"
    assert health.status_code == 200
    assert (running.returncode, errors) == (0, "")
