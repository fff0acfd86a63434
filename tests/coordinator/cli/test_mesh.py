from __future__ import annotations

import shutil
import socket
import stat
import subprocess
from pathlib import Path

import pytest
from parley_coordinator.cli.errors import MeshError, MeshRunningError, UsageError
from parley_coordinator.cli.mesh import AGENTS, Mesh, find_workflows, open_mesh
from parley_coordinator.errors import InvalidWorkflowError

from tests.ports import free_port

SHIPPED = Path(__file__).parents[3] / "workflows"


def workflows(folder: Path) -> Path:
    (folder / "one").mkdir(parents=True)
    (folder / "one" / "workflow.yaml").write_text("document: {}\n")
    return folder


def test_a_mesh_is_six_processes_that_know_each_other(tmp_path: Path) -> None:
    mesh = open_mesh(tmp_path / "home", port_base=9100, workflows=workflows(tmp_path / "w"))

    children = {child.name: child for child in mesh.children({"PATH": "x", "PARLEY_PORT": "1"})}

    assert list(children) == ["registry", "erp", *AGENTS, "coordinator"]
    assert children["coordinator"].url == "http://127.0.0.1:9100"
    assert children["coordinator"].after == AGENTS
    matching = children["matching"]
    assert matching.argv[1:4] == ("-m", "parley_agents", "matching")
    assert matching.argv[matching.argv.index("--registry") + 1] == mesh.url("registry")
    assert matching.argv[matching.argv.index("--erp") + 1] == mesh.url("erp")
    assert all(child.env["PARLEY_MESH_TOKEN"] == mesh.token for child in children.values())
    assert all("PARLEY_PORT" not in child.env for child in children.values())


def test_only_the_coordinator_is_told_where_its_database_is(tmp_path: Path) -> None:
    """Its URL may hold a password: no other process needs it, and no command line shows it."""
    url = "postgresql://me:geheim@db/parley"
    found = workflows(tmp_path / "w")
    mesh = open_mesh(tmp_path / "home", workflows=found, database_url=url)
    told = {child.name: child for child in mesh.children({"PARLEY_DATABASE_URL": "of a shell"})}

    assert told.pop("coordinator").env["PARLEY_DATABASE_URL"] == url
    assert all("PARLEY_DATABASE_URL" not in child.env for child in told.values())
    assert not any("geheim" in word for child in mesh.children() for word in child.argv)

    # A mesh for a demonstration keeps to its own home, whatever the shell says.
    own = open_mesh(tmp_path / "home", workflows=found)
    for child in own.children({"PARLEY_DATABASE_URL": url}):
        assert "PARLEY_DATABASE_URL" not in child.env


def test_each_process_that_speaks_grpc_has_a_port_of_its_own(tmp_path: Path) -> None:
    found = workflows(tmp_path / "w")
    mesh = open_mesh(tmp_path / "home", port_base=9100, workflows=found, grpc="9200")
    told = {
        child.name: child.env.get("PARLEY_GRPC_PORT")
        for child in mesh.children({"PARLEY_GRPC_PORT": "9200"})
    }

    assert told == {
        "coordinator": "9200",
        "documents": "9211",
        "matching": "9212",
        "posting": "9213",
        **dict.fromkeys(("registry", "erp")),
    }
    without = open_mesh(tmp_path / "home", workflows=found).children({"PARLEY_GRPC_PORT": "9200"})
    assert all("PARLEY_GRPC_PORT" not in child.env for child in without)


@pytest.mark.parametrize("grpc", ["0", "x", "65530", "9100", "9111", "9090"])
def test_a_grpc_port_that_cannot_be_or_is_another_ones_is_refused(
    tmp_path: Path, grpc: str
) -> None:
    with pytest.raises(UsageError, match="PARLEY_GRPC_PORT"):
        open_mesh(tmp_path, port_base=9100, workflows=tmp_path, grpc=grpc)


def test_a_file_of_the_current_directory_stands_in_for_no_module(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise SystemExit('ran')\n")
    mesh = open_mesh(tmp_path / "home", port_base=9100, workflows=workflows(tmp_path / "w"))

    for child in mesh.children():
        if child.name in ("registry", "coordinator"):
            words = (*child.argv[:3], "--help")
            done = subprocess.run(
                words, cwd=tmp_path, env=child.env, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            assert "--home" in done.stdout


def test_a_home_has_one_mesh_at_a_time(tmp_path: Path) -> None:
    found = workflows(tmp_path / "w")
    first, second = (open_mesh(tmp_path / "home", workflows=found) for _ in range(2))

    with first.alone(), pytest.raises(MeshRunningError, match="running in"), second.alone():
        pass
    with second.alone():
        pass


def test_what_no_process_could_start_with_is_refused_at_once(tmp_path: Path) -> None:
    def mesh(folder: Path) -> Mesh:
        return open_mesh(tmp_path / "home", workflows=folder)

    with pytest.raises(UsageError, match=r"no NAME/workflow\.yaml"):
        mesh(tmp_path / "nowhere").check_files()
    with pytest.raises(UsageError, match=r"policy\.yaml"):
        mesh(workflows(tmp_path / "w")).check_files()
    shipped = tmp_path / "shipped"
    shutil.copytree(SHIPPED, shipped)
    mesh(shipped).check_files()
    workflows(shipped)
    with pytest.raises(InvalidWorkflowError, match=r"one/workflow\.yaml:1:"):
        mesh(shipped).check_files()


def test_the_shared_token_is_made_once_and_kept_private(tmp_path: Path) -> None:
    found = workflows(tmp_path / "w")

    first = open_mesh(tmp_path / "home", workflows=found)
    second = open_mesh(tmp_path / "home", workflows=found)

    assert first.token == second.token
    assert len(first.token) > 40
    assert stat.S_IMODE((tmp_path / "home" / "mesh-token").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


def test_a_taken_port_is_named_with_what_it_is_for(tmp_path: Path) -> None:
    with socket.socket() as taken:
        base = free_port()
        taken.bind(("127.0.0.1", base + 1))
        taken.listen()
        mesh = open_mesh(tmp_path, port_base=base, workflows=workflows(tmp_path / "w"))

        with pytest.raises(MeshError, match="for registry is taken"):
            mesh.check_ports()
        port = taken.getsockname()[1]
        mesh = open_mesh(
            tmp_path, port_base=port + 20, workflows=tmp_path / "w", grpc=str(port - 11)
        )
        with pytest.raises(MeshError, match="for gRPC of documents is taken"):
            mesh.check_ports()


@pytest.mark.parametrize("port_base", [0, 80, 65_530])
def test_impossible_ports_are_refused(tmp_path: Path, port_base: int) -> None:
    with pytest.raises(UsageError, match="--port-base"):
        open_mesh(tmp_path, port_base=port_base, workflows=tmp_path)


def test_workflows_here_come_before_those_of_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflows(tmp_path / "workflows")
    monkeypatch.chdir(tmp_path)

    assert find_workflows() == Path("workflows")


def test_without_workflows_here_those_of_the_source_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert (find_workflows() / "invoice-exception" / "workflow.yaml").is_file()
