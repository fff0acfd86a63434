"""Server-sent events, read strictly and within bounds (WHATWG HTML 9.2.6)."""

from __future__ import annotations

from typing import Final

from parley_wire.errors import BodyTooLargeError

_BOM: Final = b"\xef\xbb\xbf"


class SseParser:
    """Takes bytes as they arrive, gives the data of each complete event.

    Comments (pings), ids, names and retry times are passed over: A2A puts everything into the data.

    Args:
        max_bytes: Of one event, and of one line.
    """

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0
        self._begun = False
        self._overflowed = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of the events that are complete now, in order.

        What is too large is reported by the next call, so that the events before it are not lost.

        Raises:
            BodyTooLargeError: If one event got longer than allowed.
        """
        if self._overflowed:
            raise BodyTooLargeError(limit=self._max_bytes)
        text = self._rest + chunk if self._rest else chunk
        if not self._begun:
            if len(text) < len(_BOM) and _BOM.startswith(text):
                self._rest = text
                return []
            self._begun = True
            text = text.removeprefix(_BOM)
        if b"\r" in text:
            # A CR at the very end may be half of a CR LF.
            held = text.endswith(b"\r")
            text = text[: len(text) - held].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            *lines, last = text.split(b"\n")
            self._rest = last + b"\r" if held else last
        else:
            *lines, self._rest = text.split(b"\n")
        events: list[bytes] = []
        for line in lines:
            self._line(line, events)
        self._overflowed |= len(self._rest) > self._max_bytes
        if self._overflowed and not events:
            raise BodyTooLargeError(limit=self._max_bytes)
        return events

    def _line(self, line: bytes, events: list[bytes]) -> None:
        if not line:
            if self._data:
                events.append(b"\n".join(self._data))
                self._data, self._size = [], 0
            return
        if not line.startswith(b"data"):
            return
        name, _, value = line.partition(b":")
        if name != b"data":
            return
        value = value.removeprefix(b" ")
        self._size += len(value) + 1
        if self._size > self._max_bytes:
            self._overflowed = True
            self._data, self._size = [], 0
        elif not self._overflowed:
            self._data.append(value)
