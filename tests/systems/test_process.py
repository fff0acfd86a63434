"""The ERP as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mcp.client import Client
from parley_systems.errors import InvalidSettingsError
from parley_systems.settings import Settings
from parley_wire.addresses import is_loopback

from tests.systems.parts import SAMPLES, call, sample

pytestmark = pytest.mark.anyio


def environment(home: Path, **more: str) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PARLEY_")}
    return {**inherited, "PARLEY_HOME": str(home), **more}


@contextmanager
def erp_process(home: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "parley_systems", "erp", "--port", "0", *options],
        env=environment(home),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("erp listening on http://127.0.0.1:")
        yield process, line.split()[-1]
    finally:
        process.kill()
        process.communicate(timeout=60)


async def test_it_serves_its_samples_and_keeps_its_data_when_it_is_killed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with erp_process(home, "--seed", str(SAMPLES)) as (_, url):
        async with Client(f"{url}/mcp") as client:
            first = await call(
                client,
                "ap.invoice.capture",
                document=sample("matching"),
                idempotency_key="key",
            )
    with erp_process(home) as (process, url):
        async with Client(f"{url}/mcp") as client:
            again = await call(
                client,
                "ap.invoice.capture",
                document=sample("matching"),
                idempotency_key="key",
            )
        process.terminate()
        status = process.wait(timeout=60)

    assert again == first
    assert status == 0
    assert (home / "erp.db").exists()


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--host", "0.0.0.0"], 2, "erp: invalid_settings: set PARLEY_MESH_TOKEN"),
        (["--seed", "/nowhere"], 2, "erp: invalid_master_data: "),
    ],
)
def test_what_it_must_not_start_with_is_one_line_on_stderr(
    tmp_path: Path, options: list[str], status: int, said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "parley_systems", "erp", "--port", "0", *options],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == status
    assert done.stdout == ""
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "erp.db").write_text("not a database at all, but long enough to be read as one")

    done = subprocess.run(
        [sys.executable, "-m", "parley_systems", "erp", "--port", "0"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 7
    assert done.stderr.startswith("erp: database_unusable: ")


def test_without_a_token_only_loopback_is_served() -> None:
    bare = Settings.from_environment({})
    guarded = Settings.from_environment({"PARLEY_MESH_TOKEN": "secret", "PARLEY_HOME": "/data"})

    assert bare.home == Path(".parley")
    assert bare.tokens(host="127.0.0.1") is None
    assert guarded.home == Path("/data")
    tokens = guarded.tokens(host="0.0.0.0")
    assert tokens is not None
    assert tokens.caller("Bearer secret") == "mesh"
    for host in ("0.0.0.0", "::", "10.0.0.7", "erp", ""):
        with pytest.raises(InvalidSettingsError):
            bare.tokens(host=host)


def test_loopback_is_recognized_in_every_spelling() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.9.9.9", "::1", "localhost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "localhost.example", "1"]))
