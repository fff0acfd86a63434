"""The wall clock of a process in the kit's hands: a preloaded library adds what a file says.

Only the C library's functions are wrapped: a program that asks the kernel by itself is not fooled.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from parley_torture.errors import TortureError

if TYPE_CHECKING:
    from typing import Self

SOURCE: Final = Path(__file__).with_name("clock.c")


class Clock:
    """A clock that jumps when it is told to; time that passes is left alone."""

    def __init__(self, library: Path, offset: Path) -> None:
        self._offset = offset
        self.prefix = ("env", f"LD_PRELOAD={library}", f"TORTURE_CLOCK={offset}")

    @staticmethod
    def missing() -> str | None:
        """Why there can be none on this machine."""
        if sys.platform != "linux":
            return "the clock can be turned on Linux only"
        if shutil.which("cc") is None:
            return "there is no C compiler (cc) for the library that turns the clock"
        return None

    @classmethod
    async def make(cls, folder: Path) -> Self:
        """Build the library in a folder that exists.

        Raises:
            TortureError: If it does not compile.
        """
        library, offset = folder / "clock.so", folder / "clock"
        build = await asyncio.create_subprocess_exec(
            *("cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await build.communicate()
        if build.returncode != 0:
            raise TortureError(f"the library that turns the clock does not compile: {said[:500]!r}")
        clock = cls(library, offset)
        clock.jump(0)
        return clock

    def jump(self, seconds: int) -> None:
        """Set the wall clock so far from the true one."""
        # In place: processes have the file in their memory.
        with self._offset.open("r+b" if self._offset.exists() else "wb") as file:
            file.write(seconds.to_bytes(8, sys.byteorder, signed=True))
