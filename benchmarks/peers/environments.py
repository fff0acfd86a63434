"""An environment for each peer, made from its pinned requirements below `.venv-peers`."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
KIT = HERE.parents[1] / "torture/parley_torture"
ENVIRONMENTS = HERE.parents[1] / ".venv-peers"


@dataclass(frozen=True)
class Peer:
    """A product that is compared with ours."""

    title: str
    folder: str

    @property
    def python(self) -> Path:
        return ENVIRONMENTS / self.folder / "bin/python"

    @property
    def adapter(self) -> list[str]:
        """Return the command for `parley torture --adapter`."""
        return [str(self.python), str(HERE / self.folder / "adapter.py")]

    @property
    def contestant(self) -> str:
        """Return the command for the benchmark of pipelines."""
        return f"{self.python} {HERE / 'pipeline.py'} {self.folder}"

    def install(self) -> None:
        """Make its environment, or make it anew if its requirements have changed."""
        wanted = HERE / self.folder / "requirements.txt"
        digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
        stamp = ENVIRONMENTS / self.folder / ".installed"
        if stamp.exists() and stamp.read_text() == digest:
            return
        print(f"installing {self.title}, a minute or two", flush=True)
        folder = ENVIRONMENTS / self.folder
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = (str(self.python), "-m", "pip", "install", "-q", "--disable-pip-version-check")
        subprocess.run([*pip, "-r", str(wanted)], check=True)
        # What the adapters share, and the kit's side of the protocol.
        (packages,) = folder.glob("lib/python*/site-packages")
        (packages / "peers.pth").write_text(f"{HERE}\n{KIT}\n")
        stamp.write_text(digest)


PEERS = (
    Peer("Google ADK", "google_adk"),
    Peer("MS Agent Framework", "agent_framework"),
    Peer("LangGraph", "langgraph_sqlite"),
    Peer("DBOS", "dbos_sqlite"),
)
