"""The document of failures has the table of the code, row by row."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from parley_wire import failures

from tests.house.sources import table

if TYPE_CHECKING:
    from collections.abc import Mapping

TABLES: dict[str, Mapping[str, failures.Meaning] | Mapping[int, failures.Meaning]] = {
    "transport": failures.TRANSPORT,
    "HTTP": failures.HTTP,
    "JSON-RPC": failures.JSONRPC,
    "A2A": failures.A2A,
    "gRPC": failures.GRPC,
}


def test_what_a_failure_means_is_told_as_it_is_decided() -> None:
    rows = [row for row in table("docs/failure-semantics.md", "binding")[1:] if row[0] in TABLES]
    told = {
        (row[0], code, row[2].strip("`"), row[3])
        for row in rows
        for code in re.findall(r"`([^`]+)`", row[1])
    }

    assert told == {
        (binding, str(code), str(meaning), meaning.disposition)
        for binding, known in TABLES.items()
        for code, meaning in known.items()
    }
