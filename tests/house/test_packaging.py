"""What is installed, and what runs in containers."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from typing import Any

import yaml
from parley_cards.library import library_names
from parley_coordinator.cli.mesh import Mesh

from tests.house.sources import FOLDERS, ROOT, product_modules, text, tree

IMPORTED_AS = {"a2a-sdk": "a2a", "grpcio": "grpc", "pyyaml": "yaml"}
"""Where a distribution's import name is not its own."""
COMES_WITH = {
    "google": "a2a",  # its types are protobuf messages
    "httpx2": "mcp",
    "mcp_types": "mcp",
    "pydantic_core": "pydantic",
    "referencing": "jsonschema",
    "yarl": "aiohttp",
}
"""Imported although not a direct dependency, because a dependency's interface consists of it."""
PIN = re.compile(r"([A-Za-z0-9._-]+)==(\d[0-9a-z.]*)")


def project() -> dict[str, Any]:
    return tomllib.loads(text("pyproject.toml"))


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(text("docker-compose.yml"))
    return loaded


def test_constraints_hold_exact_versions_and_nothing_else() -> None:
    lines = [line for line in text("constraints.txt").splitlines() if not line.startswith("#")]

    assert [line for line in lines if not PIN.fullmatch(line)] == []
    assert lines == sorted(lines, key=str.casefold)


def test_every_dependency_is_pinned() -> None:
    pinned = {_plain(name) for name, _ in PIN.findall(text("constraints.txt"))}
    wanted = [*project()["project"]["dependencies"], *project()["dependency-groups"]["dev"]]

    assert {_plain(re.split(r"[\[<>=!~ ;]", each)[0]) for each in wanted} - pinned == set()


def test_what_is_imported_is_depended_on_and_nothing_else_is() -> None:
    imported = {
        COMES_WITH.get(name, name)
        for path in product_modules()
        for name in _imports(tree(path))
        if name not in sys.stdlib_module_names and name not in FOLDERS.values()
    }
    names = (
        _plain(re.split(r"[\[<>=!~ ;]", each)[0]) for each in project()["project"]["dependencies"]
    )

    assert imported == {IMPORTED_AS.get(name, name) for name in names}


def test_the_wheel_has_every_package() -> None:
    packages = project()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

    assert packages == [f"{folder}/{package}" for folder, package in FOLDERS.items()]


def test_the_image_is_built_from_every_source_root() -> None:
    for folder in FOLDERS:
        assert f"\nCOPY {folder} {folder}\n" in text("Dockerfile")
        assert f"\n!{folder}\n" in text(".dockerignore")


def test_each_process_is_a_service_of_the_one_image() -> None:
    services = compose()["services"]

    assert set(services) == {"registry", "erp", "coordinator", *library_names()}
    assert {service["image"] for service in services.values()} == {"parley-mesh"}


def test_a_process_has_the_same_port_everywhere() -> None:
    (line,) = re.findall(r"^Ports by default: (.+)\.$", text("docs/settings.md"), re.MULTILINE)
    told = {name.lower(): int(port) for name, port in re.findall(r"(\w+) (\d{4})", line)}
    mesh = Mesh(home=ROOT, workflows=ROOT, token="")
    served = {
        name: int(service["command"][service["command"].index("--port") + 1])
        for name, service in compose()["services"].items()
    }

    assert told == served == {name: mesh.port(name) for name in served}


def test_only_the_coordinator_and_the_registry_are_reachable_and_only_from_this_machine() -> None:
    services = compose()["services"]
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}

    assert set(published) == {"coordinator", "registry"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert compose()["networks"]["mesh"]["internal"] is True
    assert {name for name, each in services.items() if "edge" in each["networks"]} == set(published)


def test_no_service_has_more_rights_than_it_needs() -> None:
    for service in compose()["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["environment"]["PARLEY_MESH_TOKEN"].startswith("${PARLEY_MESH_TOKEN:?")
    assert "\nUSER parley\n" in text("Dockerfile")


def test_continuous_integration_runs_what_developers_run() -> None:
    script = ROOT / ".ci/run"

    assert script.stat().st_mode & 0o111
    assert text(".ci/run").rstrip().endswith("exec make test")


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _imports(module: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found
