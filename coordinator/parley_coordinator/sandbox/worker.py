"""One worker: `python -I -m parley_coordinator.sandbox.worker LIMITS`, frames on stdin and stdout.

It has no environment, little memory, and can open no file: neither a module nor `~/.jq`. CPU time
is limited per program, by a timer whose signal ends the process: libjq cannot be interrupted
otherwise.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from functools import lru_cache
from typing import Any, Final

import jq

from parley_coordinator.sandbox.frames import LENGTH, pack_answer, unpack_request
from parley_coordinator.workflow.extent import MAX_LEVELS, excess

_STDIN: Final = 0
_STDOUT: Final = 1
_PROGRAMS: Final = 512
_PAGE: Final = resource.getpagesize()


def main() -> None:
    limits = json.loads(sys.argv[1])
    memory = int(limits["memory_bytes"])
    statm = os.open("/proc/self/statm", os.O_RDONLY)
    _confine(memory, descriptors=statm + 1)
    try:
        _write(pack_answer({}))
        while (frame := _read()) is not None:
            _write(_timed(frame, limits["cpu_s"], limits["output_bytes"]))
            if _size(statm) > memory // 2:
                # Compiled programs keep what they have computed last: make way for a new worker.
                return
    except MemoryError:
        os.abort()  # as libjq does


def _confine(memory_bytes: int, *, descriptors: int) -> None:
    # What the coordinator ignores or blocks is inherited, and this signal must end the process.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPROF})
    os.unsetenv("LC_CTYPE")  # Python itself sets it when it starts without a locale, PEP 538
    for limit, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, descriptors),
        (resource.RLIMIT_NPROC, 0),
    ):
        _, hard = resource.getrlimit(limit)
        lowest = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (lowest, lowest))


def _size(statm: int) -> int:
    """Return the bytes of address space in use, which is what the limit counts."""
    return int(os.pread(statm, 64, 0).split()[0]) * _PAGE


def _timed(frame: bytes, cpu_s: float, output_bytes: int) -> bytes:
    signal.setitimer(signal.ITIMER_PROF, cpu_s)
    try:
        found = _answer(*unpack_request(frame))
        answer = pack_answer(found)
        if len(answer) > output_bytes:
            answer = pack_answer({"limit": f"its output is larger than {output_bytes} bytes"})
        elif (exceeded := excess(found.get("value"))) is not None:
            answer = pack_answer({"limit": f"its output {exceeded}"})
    except RecursionError:
        deep = f"its output is nested more than {MAX_LEVELS} levels deep"
        answer = pack_answer({"limit": deep})
    signal.setitimer(signal.ITIMER_PROF, 0)
    return answer


def _answer(program: str, text: str) -> dict[str, Any]:
    try:
        compiled = _compile(program)
        return {"value": next(iter(compiled.input_text(text)), None) if text else None}
    except ValueError as exc:
        return {"failed": str(exc)[:2000]}


@lru_cache(maxsize=_PROGRAMS)
def _compile(program: str) -> Any:
    return jq.compile(program)


def _read() -> bytes | None:
    head = _exactly(LENGTH.size)
    return None if head is None else _exactly(LENGTH.unpack(head)[0])


def _exactly(size: int) -> bytes | None:
    """Return so many bytes; None at the end of the input: whoever asked has gone."""
    data = bytearray()
    while len(data) < size:
        part = os.read(_STDIN, min(size - len(data), 1 << 20))
        if not part:
            return None
        data += part
    return bytes(data)


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(_STDOUT, view) :]


if __name__ == "__main__":
    main()
