"""Fixtures that every test may use."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import postgres

_HERE = Path(__file__).parent
_LONG = {"chaos", "interop", "mesh", "torture"}
"""Folders whose tests start processes."""

# A busy machine is no counterexample, and what a commit comes to depends on the commit alone:
# `make explore` looks for new examples.
settings.register_profile(
    "same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "explore", settings.get_profile("same"), derandomize=False, max_examples=500
)
settings.load_profile("same")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # What starts processes takes longest: begun first, it leaves no worker alone at the end.
    items.sort(key=lambda item: not (_LONG & {*item.path.relative_to(_HERE).parts[:1]}))


def pytest_configure() -> None:
    # In the process that starts the workers; they inherit it.
    os.environ.setdefault(postgres.SHARED, f"{os.getpid()}")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(_folder().parent, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    """The server that all tests of this run share; do not stop it."""
    with postgres.server(_folder()) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: postgres.Server) -> str:
    """The URL of a new, empty database."""
    return postgres_server.create()


def _folder() -> Path:
    return Path(tempfile.gettempdir()) / f"parley-pg-{os.environ[postgres.SHARED]}" / "data"
