"""The proof that this process may advance runs while others share its database (ADR-0015).

A thread says every few seconds that the process is alive, in the database and by its clock. Who finds
the lease taken, or could not renew it for as long as it lasts, ends at once: nothing that is half done
may go on beside the coordinator that has taken it over.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final, NoReturn

from parley_wire.errors import DatabaseUnreachableError, DatabaseUnusableError
from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from parley_coordinator.store import coordinators

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from parley_coordinator.store.coordinators import Member

logger = logging.getLogger(__name__)

BEAT_S: Final = 2.0
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""It goes on while the machine is suspended, where there is such a clock."""
_PARTS: Final = 5
"""So many beats fit into a lease at least."""


class Lease:
    """The lease of this process.

    Args:
        url: The Postgres that the coordinators share. The lease has a connection of its own: it does
            not stand in line behind what the process writes.
        end: Ends the process, at once and without any farewell.
    """

    def __init__(
        self, url: str, member: Member, *, ttl_s: float, end: Callable[[], NoReturn]
    ) -> None:
        self.member = member
        self.ttl_s = ttl_s
        self.beat_s = min(BEAT_S, ttl_s / _PARTS)
        self._end = end
        self._engine = create_engine(
            make_url(url).set(drivername="postgresql+psycopg"),
            isolation_level="AUTOCOMMIT",
            poolclass=NullPool,
            connect_args={
                "connect_timeout": max(int(ttl_s / 2), 2),
                "options": f"-c statement_timeout={int(ttl_s * 1000)}",
                "tcp_user_timeout": int(ttl_s * 1000),
            },
        )
        self._connection: Connection | None = None
        self._beaten = _clock_s()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="lease", daemon=True)

    def begin(self) -> None:
        """Take the lease and keep it; for a thread that may wait.

        Raises:
            DatabaseUnreachableError: If the server does not answer.
        """
        began = _clock_s()
        try:
            coordinators.join(self._open(), self.member)
        except DBAPIError as exc:
            raise DatabaseUnreachableError("the database gave no lease: it went away") from exc
        self._beaten = began
        self._thread.start()

    def stop(self) -> None:
        """Renew it no longer; it counts until it is given back or runs out."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        self._close()
        self._engine.dispose()

    def check(self) -> None:
        """End the process if the others may think that it is dead: it was stopped, or cut off."""
        late = _clock_s() - self._beaten
        if late > self.ttl_s and not self._stopped.is_set():
            self._lose(f"could not renew its lease for {late:.1f} s")

    def guard(self, connection: Connection) -> None:
        """End the process if its lease is taken; for the beginning of every transaction that writes.

        Raises:
            DatabaseUnusableError: If it was given back: the process is about to end anyway.
        """
        if coordinators.is_alive(connection, self.member.id):
            return
        if self._stopped.is_set():
            raise DatabaseUnusableError("this coordinator has given back its lease")
        self._lose("was taken for dead, and its runs were taken over")

    def _beat_on(self) -> None:
        while not self._stopped.wait(self.beat_s):
            self.check()
            began = _clock_s()
            try:
                alive = coordinators.beat(self._open(), self.member.id)
            except DBAPIError as exc:
                self._close()
                logger.warning("coordinator %s could not renew its lease: %s", self.member.id, exc)
                continue
            if not alive and not self._stopped.is_set():
                self._lose("was taken for dead, and its runs were taken over")
            self._beaten = began

    def _open(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _lose(self, why: str) -> NoReturn:
        logger.critical("coordinator %s %s: it ends now", self.member.id, why)
        self._end()


def _clock_s() -> float:
    return time.clock_gettime(_CLOCK)
