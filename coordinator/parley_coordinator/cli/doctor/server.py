"""Checks of a Postgres server: whether it is one that coordinators can share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from parley_coordinator.cli.doctor.findings import Finding, ok, problem, warning

if TYPE_CHECKING:
    from sqlalchemy import Connection

OLDEST: Final = 14
CONNECTIONS: Final = 20
"""What one coordinator may open: 5 for its tables, the rest for the queue and the lease."""
_SHOWN: Final = (
    "server_version",
    "server_version_num",
    "server_encoding",
    "max_connections",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "synchronous_commit",
    "fsync",
    "full_page_writes",
)


class Server(NamedTuple):
    """What a server says of itself."""

    settings: dict[str, str]
    connections: int
    """That are open, of all databases."""
    own_pid: int
    """Of the process that serves us, as it says."""
    told_pid: int
    """As we were told when we connected; another one if a pooler is between."""
    replica: bool
    may_create: bool
    """Tables in its schema, and schemas in the database."""


def look(connection: Connection) -> Server:
    def one(sql: str) -> Any:
        return connection.exec_driver_sql(sql).scalar_one()

    driver: Any = connection.connection.dbapi_connection
    return Server(
        settings={name: str(one(f"SHOW {name}")) for name in _SHOWN},
        connections=int(one("SELECT count(*) FROM pg_stat_activity WHERE datname IS NOT NULL")),
        own_pid=int(one("SELECT pg_backend_pid()")),
        told_pid=int(driver.info.backend_pid),
        replica=bool(one("SELECT pg_is_in_recovery()")),
        may_create=bool(
            one(
                "SELECT coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)"
                " AND has_database_privilege(current_database(), 'CREATE')"
            )
        ),
    )


def version(server: Server) -> list[Finding]:
    what = f"PostgreSQL {server.settings['server_version']}"
    if int(server.settings["server_version_num"]) < OLDEST * 10_000:
        return [problem("postgres", what, f"use PostgreSQL {OLDEST} or later")]
    if server.settings["server_encoding"] != "UTF8":
        what = f"{what}, encoding {server.settings['server_encoding']}"
        return [problem("postgres", what, "create the database with ENCODING 'UTF8'")]
    return [ok("postgres", f"{what}, encoding UTF8")]


def rights(server: Server) -> list[Finding]:
    check = "rights"
    if server.replica or server.settings["default_transaction_read_only"] == "on":
        do = "name the primary server in the database URL, not a replica"
        return [problem(check, "the database can only be read", do)]
    if not server.may_create:
        do = (
            "GRANT CREATE ON DATABASE and ON SCHEMA to the role: a new version makes its own tables"
        )
        return [warning(check, "the role may not create tables and schemas", do)]
    return [ok(check, "the role may write, and create tables and schemas")]


def connections(server: Server) -> list[Finding]:
    most = int(server.settings["max_connections"])
    what = f"{server.connections} of {most} connections are open"
    if most - server.connections < CONNECTIONS:
        do = f"raise max_connections: each coordinator opens up to {CONNECTIONS}"
        return [warning("connections", what, do)]
    return [ok("connections", what)]


def isolation(server: Server) -> list[Finding]:
    """Say what is usual there; every transaction of ours says itself what it needs."""
    default = server.settings["default_transaction_isolation"]
    return [ok("isolation", f"{default} by default; every transaction asks for its own")]


def durability(server: Server) -> list[Finding]:
    off = [
        name
        for name in ("fsync", "full_page_writes", "synchronous_commit")
        if server.settings[name] == "off"
    ]
    if "fsync" in off or "full_page_writes" in off:
        do = f"set {' and '.join(off)} to on: what was acknowledged is lost with the power"
        return [problem("durability", f"off: {', '.join(off)}", do)]
    if off:
        what = "synchronous_commit is off; coordinators turn it on for themselves"
        return [warning("durability", what, "set it to on for the role")]
    return [ok("durability", "what is acknowledged is on disk")]


def pooler(server: Server) -> list[Finding]:
    if server.own_pid != server.told_pid:
        do = (
            "connect without it, or let it keep sessions (pool_mode = session):"
            " coordinators use settings and locks of their sessions"
        )
        return [warning("pooler", "a pooler stands between, such as pgbouncer", do)]
    return [ok("pooler", "nothing stands between")]


CHECKS: Final = (version, rights, connections, isolation, durability, pooler)
