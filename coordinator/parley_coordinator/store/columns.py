"""The types of columns on both databases."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Integer, Text

TEXT: Final = Text().with_variant(Text(collation="C"), "postgresql")
"""Compared byte by byte, as SQLite does, whatever the locale of the server: times and cursors sort."""
NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")
"""64 bits. As a primary key of its own, the database counts."""
