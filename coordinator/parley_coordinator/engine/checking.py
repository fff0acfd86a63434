"""Loads and checks documents that anybody may have sent: in threads, and few at a time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from parley_coordinator.errors import ChecksBusyError, InvalidWorkflowError
from parley_coordinator.workflow.check import check
from parley_coordinator.workflow.document import Document, load_document
from parley_coordinator.workflow.findings import Finding
from parley_coordinator.workflow.source import read

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from parley_coordinator.model import DeployedDocument
    from parley_coordinator.workflow.check import Catalog
    from parley_coordinator.workflow.expressions import Jq

T = TypeVar("T")

AT_ONCE: Final = 2
"""Documents that are worked on; loading is Python, so more of them would only share one core."""
MAX_WAITING: Final = 32
"""Beyond these, who asks is told to come back: a document may have 1 MiB."""
KEPT: Final = 128
REFRESH_S: Final = 0.5
"""No more often is the registry asked anew because a document is not sound."""
PATIENCE_S: Final = 30.0
"""So long may the expressions of one document take to compile; what is left then is refused."""

Deployed = Mapping[str, Collection[str]]
"""The versions that may run of every workflow, by name."""


class Checks:
    """Turns text into documents, and documents into findings.

    Args:
        catalog: The functions of the admitted agents, as they were a moment ago.
        fresh: The same as they are now; asked before a document is refused. None: `catalog` is fresh.
        jq: Compiles expressions where a hostile one harms nothing; None: in this process.
        people: The subjects that hold each role; None: not known.
    """

    def __init__(
        self,
        catalog: Callable[[], Awaitable[Catalog]],
        *,
        fresh: Callable[[], Awaitable[Catalog]] | None = None,
        jq: Jq | None = None,
        people: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self._catalog = catalog
        self._fresh = fresh
        self._refreshed = float("-inf")
        self._jq = jq
        self._people = people
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._documents: dict[str, Document] = {}
        self._sound: dict[str, tuple[int, int]] = {}
        """By digest: the agents and the workflows that a document was found sound with."""

    async def load(self, raw: bytes, source: str) -> Document:
        """Load a document that somebody sent.

        Raises:
            InvalidWorkflowError: With every reason in `facts["findings"]`.
            ChecksBusyError: If too many others wait already.
        """
        async with self._slot():
            return await asyncio.to_thread(load_document, raw, source=source)

    async def findings(self, document: Document, source: str, deployed: Deployed) -> list[Finding]:
        """Return why a document that somebody sent must not run with the agents that there are.

        Raises:
            ChecksBusyError: If too many others wait already.
            ParleyError: If the registry cannot be asked.
        """
        catalog = await self._catalog()
        async with self._slot():
            found = await self._check(document, source, catalog, deployed)
            fresher = await self._fresher(catalog) if found else None
            if fresher is None:
                return found
            return await self._check(document, source, fresher, deployed)

    async def apart(self, work: Callable[[], T]) -> T:
        """Do other work on texts of any size where it holds up nobody else.

        Raises:
            ChecksBusyError: If too many others wait already.
        """
        async with self._slot():
            return await asyncio.to_thread(work)

    async def deployed(
        self, digest: str, content: Callable[[], Awaitable[DeployedDocument]]
    ) -> Document:
        """Take back a deployed document, with the positions of its text.

        Args:
            content: Reads it; asked only if it is not kept.
        """
        if digest not in self._documents:
            document = await asyncio.to_thread(_take_back, await content())
            while len(self._documents) >= KEPT:
                del self._documents[next(iter(self._documents))]
            self._documents[digest] = document
        return self._documents[digest]

    async def prove(self, document: Document, deployed: Deployed) -> None:
        """Let a deployed document pass if it may run now; looked at once as long as nothing changes.

        Raises:
            InvalidWorkflowError: With every reason in `facts["findings"]`.
            ParleyError: If the registry cannot be asked.
        """
        catalog = await self._catalog()
        pairs = frozenset((name, each) for name, known in deployed.items() for each in known)
        if self._sound.get(document.digest) == (hash(catalog), hash(pairs)):
            return
        found = await self._check(document, document.name, catalog, deployed)
        fresher = await self._fresher(catalog) if found else None
        if fresher is not None:
            catalog = fresher
            found = await self._check(document, document.name, catalog, deployed)
        if found:
            raise InvalidWorkflowError(
                f"{document.name} cannot run: {found[0].message}",
                findings=[finding.as_json() for finding in found],
            )
        self._sound[document.digest] = (hash(catalog), hash(pairs))

    async def _fresher(self, catalog: Catalog) -> Catalog | None:
        """Return the agents as they are now, if there are others: one may have joined a moment ago."""
        now = asyncio.get_running_loop().time()
        if self._fresh is None or now - self._refreshed < REFRESH_S:
            return None
        self._refreshed = now
        fresh = await self._fresh()
        return None if fresh == catalog else fresh

    async def _check(
        self, document: Document, source: str, catalog: Catalog, deployed: Deployed
    ) -> list[Finding]:
        return await asyncio.to_thread(
            check,
            document,
            catalog,
            file=source,
            compiles=None if self._jq is None else _compiles(self._jq),
            workflows=deployed,
            people=self._people,
        )

    @contextlib.asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        if self._waiting >= MAX_WAITING:
            raise ChecksBusyError
        self._waiting += 1
        try:
            async with self._slots:
                yield
        finally:
            self._waiting -= 1


def _compiles(jq: Jq) -> Callable[[str], str | None]:
    """Let a thread wait for this event loop to have a program compiled."""
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE_S
    over = False

    def compiles(program: str) -> str | None:
        nonlocal over
        if over:
            return None  # the document is refused already, and for one reason
        answer = asyncio.run_coroutine_threadsafe(jq.problem(program), loop)
        try:
            return answer.result(max(0.0, end - loop.time()))
        except TimeoutError:
            answer.cancel()
            over = True
            return (
                f"not compiled: the expressions of the document take more than {PATIENCE_S:.0f} s"
            )

    return compiles


def _take_back(found: DeployedDocument) -> Document:
    name = found.deployment.name
    _, positions = read(found.text, source=name)
    return replace(Document.from_json(found.json, source=name), positions=positions)
