"""The tables of one service, in a SQLite file or on Postgres, behind one writer thread."""

from parley_wire.database.database import Database
from parley_wire.database.prepared import Prepared

__all__ = ["Database", "Prepared"]
