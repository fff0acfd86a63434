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

IMPORTED_AS = {"a2a-sdk": "a2a", "grpcio": "grpc", "pyjwt": "jwt", "pyyaml": "yaml"}
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


def processes(*, profile: str | None = None) -> dict[str, Any]:
    """The services that run what is ours: without a profile, or those that it adds."""
    return {
        name: service
        for name, service in compose()["services"].items()
        if service.get("profiles") == (None if profile is None else [profile])
        and service["image"] == "parley-mesh"
    }


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
    names = {"registry", "erp", "coordinator", *library_names()}

    assert set(processes()) == names
    assert set(compose()["services"]) - names == {"coordinator-2", "database"}


def test_a_process_has_the_same_port_everywhere() -> None:
    (line,) = re.findall(r"^Ports by default: (.+)\.$", text("docs/settings.md"), re.MULTILINE)
    told = {name.lower(): int(port) for name, port in re.findall(r"(\w+) (\d{4})", line)}
    mesh = Mesh(home=ROOT, workflows=ROOT, token="")
    served = {
        name: int(service["command"][service["command"].index("--port") + 1])
        for name, service in processes().items()
    }

    assert told == served == {name: mesh.port(name) for name in served}


def test_with_postgres_a_second_coordinator_is_like_the_first_on_another_port() -> None:
    first, second = compose()["services"]["coordinator"], processes(profile="postgres")
    own = {"profiles", "ports", "depends_on"}

    assert set(second) == {"coordinator-2"}
    assert {k: v for k, v in second["coordinator-2"].items() if k not in own} == {
        k: v for k, v in first.items() if k not in own
    }
    assert second["coordinator-2"]["ports"] != first["ports"]
    assert compose()["services"]["database"]["networks"] == ["mesh"]


def test_what_the_wheel_links_to_is_in_the_image_before_it_is_built() -> None:
    linked = {
        path.resolve().relative_to(ROOT).parts[0]
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_symlink()
    }
    before, _, _ = text("Dockerfile").partition("pip wheel")

    assert [name for name in linked if f"\nCOPY {name} {name}\n" not in before] == []


def test_only_the_coordinator_and_the_registry_are_reachable_and_only_from_this_machine() -> None:
    services = processes()
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}

    assert set(published) == {"coordinator", "registry"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert compose()["networks"]["mesh"]["internal"] is True
    assert {name for name, each in services.items() if "edge" in each["networks"]} == set(published)


def test_no_service_has_more_rights_than_it_needs() -> None:
    for service in [*processes().values(), *processes(profile="postgres").values()]:
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
