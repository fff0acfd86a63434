"""`parley doctor` finds what is wrong, says what to do, and changes nothing."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import psycopg
import pytest
from parley_cards.key_files import write_signing_key
from parley_cards.keys import SigningKey
from parley_coordinator.cli.doctor import database, file, machine, mesh, server, tables, trust
from parley_coordinator.cli.doctor.findings import Finding, Status
from parley_coordinator.store.coordinators import Coordinator
from parley_coordinator.store.opening import open_database
from parley_coordinator.store.tables import to_text
from parley_wire.tls import NO_TLS, Tls
from sqlalchemy import text

from tests.coordinator.cli.shell import Shell
from tests.postgres import Server
from tests.wire.certificates import Authority

pytestmark = pytest.mark.anyio

AT = datetime(2026, 1, 1, tzinfo=UTC)
SOUND = server.Server(
    settings={
        "server_version": "16.1",
        "server_version_num": "160001",
        "server_encoding": "UTF8",
        "max_connections": "100",
        "default_transaction_isolation": "read committed",
        "default_transaction_read_only": "off",
        "synchronous_commit": "on",
        "fsync": "on",
        "full_page_writes": "on",
    },
    connections=10,
    own_pid=7,
    told_pid=7,
    replica=False,
    may_create=True,
)


def statuses(findings: list[Finding]) -> dict[str, Status]:
    """Return the worst status of each check."""
    order = list(Status)
    found: dict[str, Status] = {}
    for each in findings:
        found[each.check] = max(found.get(each.check, Status.OK), each.status, key=order.index)
        assert bool(each.do) == (each.status is not Status.OK), each
    return found


def add_run(connection: Any, run: str, **columns: Any) -> None:
    row = {
        "id": run,
        "workflow": "w",
        "version": "1",
        "digest": "d",
        "context_id": run,
        "state": "waiting",
        "segment": 1,
        "input": "1",
        "waiting_for": "[]",
        "depth": 0,
        "requested_by": "me",
        "created_at": to_text(AT),
        "updated_at": to_text(AT),
        **columns,
    }
    names = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    connection.execute(text(f"INSERT INTO run ({names}) VALUES ({values})"), row)  # noqa: S608


async def test_a_new_installation_lacks_nothing_but_a_registry(
    parley: Shell, tmp_path: Path
) -> None:
    home = tmp_path / "new"
    ended = await parley(
        *("doctor", "--home", str(home), "-o", "json", "--registry", "http://127.0.0.1:1")
    )

    found = {each["check"]: each["status"] for each in ended.json["findings"]}
    assert found.pop("registry") == "problem"
    assert set(found.values()) == {"ok"}
    assert {"python", "packages", "home", "disk", "tokens", "secrets", "database"} <= set(found)
    assert (ended.status, ended.json["problems"]) == (1, 1)
    assert "there is 1 problem" in ended.err
    assert not home.exists()


@pytest.mark.parametrize(
    ("days", "status"), [(-2, Status.PROBLEM), (0, Status.WARNING), (30, Status.PROBLEM)]
)
def test_a_certificate_is_missed_before_it_ends(tmp_path: Path, days: int, status: Status) -> None:
    tls = Tls.of(Authority().folder(tmp_path / "tls"))  # for an hour
    (found,) = trust.certificate(tls, now=datetime.now(UTC) + timedelta(days=days))

    assert (found.check, found.status) == ("tls", status)
    assert trust.certificate(NO_TLS, now=datetime.now(UTC)) == []


def test_a_key_for_cards_that_others_may_read_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "key.jwk"
    write_signing_key(SigningKey.new(key_id="mesh"), path)
    assert [(each.status, each.what) for each in trust.card_key(path)] == [
        (Status.OK, "cards are signed by mesh")
    ]
    path.chmod(0o644)
    assert [each.status for each in trust.card_key(path)] == [Status.PROBLEM]
    assert trust.card_key(None) == []


async def test_the_table_says_what_to_do_about_each_problem(parley: Shell, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    secret = tmp_path / "secrets" / "bank"
    secret.write_text("geheim")
    secret.chmod(0o644)
    (tmp_path / "tokens.json").chmod(0o644)
    (tmp_path / "coordinator.db").write_text("this is no database, whatever it is called" * 30)
    ended = await parley("doctor", "--registry", "http://127.0.0.1:1")

    assert ended.status == 1
    lines = ended.out.splitlines()
    assert f"tokens: chmod 600 {tmp_path / 'tokens.json'}" in lines
    assert f"secrets: chmod 600 {secret}" in lines
    assert "file is not a database" in " ".join(ended.out.split())
    assert "geheim" not in ended.out + ended.err


async def test_a_database_that_does_not_answer_is_a_problem_and_its_password_is_not_told(
    parley: Shell,
) -> None:
    url = "postgresql://me:geheim@127.0.0.1:1/parley"
    ended = await parley("doctor", "-o", "json", PARLEY_DATABASE_URL=url)

    (found,) = [each for each in ended.json["findings"] if each["check"] == "database"]
    assert found["status"] == "problem"
    assert "parley at 127.0.0.1:1 cannot be used" in found["what"]
    assert "geheim" not in ended.out + ended.err


async def test_a_folder_of_workflows_that_was_named_is_looked_at_and_no_other(
    parley: Shell, tmp_path: Path
) -> None:
    ended = await parley("doctor", "-o", "json", "--workflows", str(tmp_path / "nowhere"))

    (found,) = [each for each in ended.json["findings"] if each["check"] == "workflows"]
    assert found["status"] == "warning"
    assert "nowhere" in found["what"]


async def test_no_password_in_any_url_is_told(parley: Shell) -> None:
    for url in ("http://me:ge?#/@heim@127.0.0.1:1", "ftp://me:geheim@host", "me:geheim@host"):
        ended = await parley("doctor", "-o", "json", PARLEY_REGISTRY_URL=url)
        assert ended.json["problems"] == 1
        assert "heim" not in ended.out + ended.err

    public = "https://me:geheim@parley.example.com"
    ended = await parley("doctor", "-o", "json", PARLEY_PUBLIC_URL=public)
    assert "without user" in ended.json["findings"][0]["what"]
    assert "geheim" not in ended.out + ended.err


async def test_a_file_is_looked_through_and_its_runs_are_held_against_the_queue(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'coordinator.db'}"
    opened = open_database(url)
    await opened.write(lambda c: add_run(c, "queued"))
    await opened.write(lambda c: add_run(c, "forgotten", wake_at=to_text(AT)))
    await opened.write(lambda c: add_run(c, "ahead", updated_at="9999-01-01T00:00:00.000000Z"))
    await opened.aclose()
    with closing(sqlite3.connect(tmp_path / "queue.db")) as queue:
        queue.execute("CREATE TABLE workflow_status (workflow_uuid TEXT, status TEXT)")
        queue.execute(
            "INSERT INTO workflow_status VALUES ('queued#1', 'DELAYED'), ('ahead#1', 'ENQUEUED')"
        )
        queue.commit()
    before = {path.name for path in tmp_path.iterdir()}
    found = database.examine(url, tmp_path)

    assert statuses(found) == {
        "lock": Status.OK,
        "database": Status.OK,
        "integrity": Status.OK,
        "schema": Status.OK,
        "stuck": Status.OK,
        "overdue": Status.WARNING,
        "clock": Status.WARNING,
        "queue": Status.WARNING,
        "webhooks": Status.OK,
    }
    assert [each.what for each in found if each.check == "queue"] == [
        "1 run is waiting and not on the queue: forgotten"
    ]
    assert {path.name for path in tmp_path.iterdir()} - before <= {
        f"{name}.db-{kind}" for name in ("coordinator", "queue") for kind in ("shm", "wal")
    }


async def test_damage_in_a_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "coordinator.db"
    opened = open_database(f"sqlite:///{path}")
    for number in range(200):
        await opened.write(partial(add_run, run=f"r{number}", input="x" * 2000))
    await opened.aclose()
    with path.open("r+b") as damaged:
        damaged.seek(path.stat().st_size // 2)
        damaged.write(b"\xff" * 8192)
    found = statuses(database.examine(f"sqlite:///{path}", tmp_path))

    assert Status.PROBLEM in (found.get("integrity"), found["database"])


@pytest.mark.parametrize(
    ("revision", "status"), [("0002", Status.WARNING), ("0999", Status.PROBLEM)]
)
async def test_tables_of_another_version_are_named_and_not_looked_into(
    tmp_path: Path, revision: str, status: Status
) -> None:
    url = f"sqlite:///{tmp_path / 'coordinator.db'}"
    opened = open_database(url)
    change = text("UPDATE alembic_version SET version_num = :it")
    await opened.write(lambda c: c.execute(change, {"it": revision}) and None)
    await opened.aclose()
    found = statuses(database.examine(url, tmp_path))

    assert found["schema"] is status
    assert "queue" not in found


async def test_who_runs_on_a_home_is_told(tmp_path: Path) -> None:
    lock = tmp_path / "queue.lock"
    hold = (
        "import fcntl,sys;f=open(sys.argv[1],'w');fcntl.flock(f,2);print('held',flush=True);input()"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", hold, str(lock)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    await process.stdout.readline()
    held = file.holder(lock)
    await process.communicate(b"\n")

    assert "runs on this home" in held[0].what
    if Path("/proc/locks").exists():
        assert str(process.pid) in held[0].what
    assert "no coordinator runs" in file.holder(lock)[0].what


async def test_a_server_is_looked_at_from_its_settings_to_its_runs(
    tmp_path: Path, postgres_url: str
) -> None:
    empty = statuses(database.examine(postgres_url, tmp_path))
    opened = open_database(postgres_url)
    await opened.write(lambda c: add_run(c, "forgotten", holder="gone"))
    await opened.aclose()
    found = statuses(database.examine(postgres_url, tmp_path))

    # The one for tests does not care for a loss of power.
    assert empty.pop("durability") is Status.PROBLEM
    assert set(empty.values()) == {Status.OK}
    assert {name for name in found if found[name] is not Status.OK} == {
        "durability",
        "leases",
        "queue",
    }
    assert {"postgres", "rights", "connections", "isolation", "pooler", "clock"} <= set(found)


async def test_a_role_with_few_rights_is_told_which_it_lacks(
    postgres_server: Server, postgres_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("CREATE ROLE looker LOGIN")
    try:
        found = database.examine(postgres_url.replace("postgres:@", "looker@"), tmp_path)
    finally:
        with psycopg.connect(postgres_server.url, autocommit=True) as admin:
            admin.execute("DROP ROLE looker")

    assert statuses(found)["rights"] is Status.WARNING


@pytest.mark.parametrize(
    ("check", "changed", "status"),
    [
        (server.version, {"server_version_num": "130010"}, Status.PROBLEM),
        (server.version, {"server_encoding": "SQL_ASCII"}, Status.PROBLEM),
        (server.rights, {"default_transaction_read_only": "on"}, Status.PROBLEM),
        (server.durability, {"fsync": "off"}, Status.PROBLEM),
        (server.durability, {"synchronous_commit": "off"}, Status.WARNING),
        (server.connections, {"max_connections": "25"}, Status.WARNING),
        (server.isolation, {"default_transaction_isolation": "serializable"}, Status.OK),
    ],
)
async def test_each_setting_of_a_server_is_judged(
    check: Any, changed: dict[str, str], status: Status
) -> None:
    assert [each.status for each in check(SOUND)] == [Status.OK]
    changed_server = SOUND._replace(settings=SOUND.settings | changed)
    assert [each.status for each in check(changed_server)] == [status]


async def test_a_pooler_between_is_noticed() -> None:
    assert [each.status for each in server.pooler(SOUND._replace(told_pid=8))] == [Status.WARNING]


async def test_clocks_that_are_apart_are_a_problem() -> None:
    assert statuses(tables.clock(AT, AT + timedelta(seconds=1))) == {"clock": Status.OK}
    assert statuses(tables.clock(AT, AT - timedelta(seconds=9))) == {"clock": Status.PROBLEM}


async def test_a_coordinator_that_nobody_has_seen_for_long_is_told() -> None:
    seen = Coordinator("a", "host", 1, "0.1.0", AT, beat_age_s=1, alive=True)
    silent = seen._replace(id="b", beat_age_s=3600)
    left = seen._replace(id="c", alive=False)

    assert statuses(tables.leases([seen, left], 0)) == {"leases": Status.OK}
    assert statuses(tables.leases([seen, silent], 0)) == {"leases": Status.WARNING}
    assert statuses(tables.leases([left], 2)) == {"leases": Status.WARNING}
    assert statuses(tables.leases([], 0)) == {"leases": Status.OK}


async def test_the_machine_is_judged_by_what_it_has(tmp_path: Path) -> None:
    def free(count: int) -> Any:
        return lambda _: (0, 0, count)

    def lacks(name: str) -> str:
        if name == "dbos":
            raise PackageNotFoundError
        return "1"

    assert statuses(machine.python((3, 10, 9))) == {"python": Status.PROBLEM}
    assert statuses(machine.python(sqlite=(3, 31, 0))) == {"python": Status.PROBLEM}
    assert statuses(machine.packages(lacks)) == {"packages": Status.PROBLEM}
    assert statuses(machine.disk(tmp_path / "x" / "y", free(2**20))) == {"disk": Status.PROBLEM}
    assert statuses(machine.disk(tmp_path, free(2**29))) == {"disk": Status.WARNING}
    tmp_path.chmod(0o777)
    assert statuses(machine.home(tmp_path)) == {"home": Status.WARNING}
    (tmp_path / "file").touch()
    assert statuses(machine.home(tmp_path / "file")) == {"home": Status.PROBLEM}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, tasks in (
        ("good", "{set: {x: 1}, metadata: {label: Set it}}"),
        ("bad", "{wrong: 1}"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "workflow.yaml").write_text(
            f"document: {{dsl: '1.0.3', namespace: t, name: {name}, version: '1.0.0'}}\n"
            f"timeout: {{after: {{minutes: 1}}}}\ndo: [{{one: {tasks}}}]\n"
        )
    return tmp_path


async def test_workflows_are_held_against_the_agents_that_there_are(folder: Path) -> None:
    found = mesh.workflows(folder, cards=None)
    assert [each.status for each in found] == [Status.PROBLEM]
    assert str(folder / "bad" / "workflow.yaml") in found[0].what

    (folder / "bad" / "workflow.yaml").unlink()
    assert statuses(mesh.workflows(folder, cards=[])) == {"workflows": Status.OK}
    written = (folder / "good" / "workflow.yaml").read_text()
    (folder / "good" / "workflow.yaml").write_text(
        written.replace("set: {x: 1}", "call: act:1.0.0@agents, timeout: {after: {seconds: 1}}")
    )
    found = mesh.workflows(folder, cards=[])
    assert statuses(found) == {"workflows": Status.PROBLEM}
    assert "good cannot run" in found[0].what
