"""Versions of workflows: the use cases on a real database file."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from parley_cards.errors import ParleyError
from parley_cards.library import library_card
from parley_coordinator.delegation.catalog import AgentCatalog
from parley_coordinator.engine import checking
from parley_coordinator.engine.checking import Checks
from parley_coordinator.engine.deploying import Written
from parley_coordinator.engine.workflows import Workflows
from parley_coordinator.errors import (
    ChecksBusyError,
    CurrentVersionError,
    InvalidWorkflowError,
    NoPreviousVersionError,
    NotPermittedError,
    UnknownVersionError,
    UnknownWorkflowError,
    VersionDeprecatedError,
    VersionTakenError,
)
from parley_coordinator.governance.access import Principal, Role
from parley_coordinator.model import DeploymentState
from parley_coordinator.store.opening import open_database
from parley_coordinator.workflow.document import load_document

pytestmark = pytest.mark.anyio

OPERATOR = Principal(subject="olga", roles=frozenset({Role.OPERATOR}))
REQUESTER = Principal(subject="rita", roles=frozenset({Role.REQUESTER}))
NOW = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)


def text(version: str = "1.0.0", *, name: str = "greet", says: str = "hello") -> bytes:
    return f"""\
# {name}, as people wrote it
document: {{dsl: '1.0.3', namespace: tests, name: {name}, version: '{version}'}}
timeout: {{after: {{minutes: 1}}}}
do:
  - greet:
      metadata: {{label: Greet}}
      set: {{said: {says}}}
""".encode()


CALL = b"""\
document: {dsl: '1.0.3', namespace: tests, name: match, version: '1.0.0'}
timeout: {after: {minutes: 5}}
do:
  - match:
      metadata: {label: Match}
      call: match-invoice:9.9.9@agents
      with: {}
      timeout: {after: {minutes: 1}}
"""


async def matching() -> AgentCatalog:
    return AgentCatalog([library_card("matching", url="http://127.0.0.1:8432")])


@contextlib.asynccontextmanager
async def opened(
    folder: Path, *files: bytes, checks: Checks | None = None
) -> AsyncIterator[Workflows]:
    """Open what is deployed in `folder`, as a start with these files does."""
    database = open_database(f"sqlite:///{folder / 'coordinator.db'}")
    workflows = Workflows(database, checks or Checks(matching), now=lambda: NOW)
    try:
        await workflows.deploy_files(
            [Written(load_document(raw, source="file"), raw, source="file") for raw in files]
        )
        yield workflows
    finally:
        await database.aclose()


async def current(workflows: Workflows, name: str = "greet") -> str:
    return (await workflows.document(name)).version


async def acts(workflows: Workflows) -> list[tuple[Any, ...]]:
    versions = await workflows.versions(REQUESTER, "greet")
    return [(a.by, a.act, a.version, a.from_version, a.to_version) for a in versions.acts]


async def test_what_is_deployed_is_current_and_kept_as_it_was_written(tmp_path: Path) -> None:
    async with opened(tmp_path) as workflows:
        deployment, created = await workflows.deploy(OPERATOR, text(), "greet.yaml")
        found = await workflows.version(REQUESTER, "greet", "1.0.0")

        assert created
        assert (deployment.current, deployment.deployed_by, deployment.deployed_at) == (
            True,
            "olga",
            NOW,
        )
        assert found.text.encode() == text()
        assert found.json["document"]["name"] == "greet"
        assert (await workflows.document("greet")).digest == deployment.digest


async def test_the_same_content_again_changes_nothing_not_even_what_is_current(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as workflows:
        for version in ("1.0.0", "1.1.0"):
            await workflows.deploy(OPERATOR, text(version), "greet.yaml")
        await workflows.roll_back(OPERATOR, "greet")
        before = await workflows.versions(OPERATOR, "greet")

        # Comments and order are no content: the digest is that of the canonical form.
        again, created = await workflows.deploy(OPERATOR, text("1.1.0") + b"# fine\n", "greet.yaml")

        assert (created, again.current) == (False, False)
        assert await workflows.versions(OPERATOR, "greet") == before


async def test_a_version_never_becomes_another_document(tmp_path: Path) -> None:
    async with opened(tmp_path) as workflows:
        await workflows.deploy(OPERATOR, text(), "greet.yaml")

        with pytest.raises(VersionTakenError, match=r"raise `document\.version`"):
            await workflows.deploy(OPERATOR, text(says="bye"), "greet.yaml")

        assert (await workflows.version(OPERATOR, "greet", "1.0.0")).text.encode() == text()


async def test_of_two_documents_that_claim_a_version_at_once_one_wins(tmp_path: Path) -> None:
    async with opened(tmp_path) as workflows:
        answers = await asyncio.gather(
            *(workflows.deploy(OPERATOR, text(says=f"word{n}"), "x") for n in range(8)),
            return_exceptions=True,
        )
        won = [each for each in answers if isinstance(each, tuple)]
        lost = [each for each in answers if isinstance(each, VersionTakenError)]

        assert (len(won), len(lost)) == (1, 7)
        assert (await workflows.document("greet")).digest == won[0][0].digest
        assert len(await acts(workflows)) == 1


async def test_rolling_back_goes_one_deployment_back_each_time(tmp_path: Path) -> None:
    async with opened(tmp_path) as workflows:
        # The order of deployment counts, not that of the numbers.
        for version in ("2.0.0", "1.0.0", "3.0.0"):
            await workflows.deploy(OPERATOR, text(version), "greet.yaml")

        seen = [(await workflows.roll_back(OPERATOR, "greet")).version for _ in range(2)]
        with pytest.raises(NoPreviousVersionError):
            await workflows.roll_back(OPERATOR, "greet")
        named = await workflows.roll_back(OPERATOR, "greet", "3.0.0")
        again = await workflows.roll_back(OPERATOR, "greet", "3.0.0")

        assert seen == ["1.0.0", "2.0.0"]
        assert named == again
        assert await acts(workflows) == [
            ("olga", "deployed", "2.0.0", None, "2.0.0"),
            ("olga", "deployed", "1.0.0", "2.0.0", "1.0.0"),
            ("olga", "deployed", "3.0.0", "1.0.0", "3.0.0"),
            ("olga", "rolled-back", "1.0.0", "3.0.0", "1.0.0"),
            ("olga", "rolled-back", "2.0.0", "1.0.0", "2.0.0"),
            ("olga", "rolled-back", "3.0.0", "2.0.0", "3.0.0"),
        ]


async def test_a_deprecated_version_takes_no_new_run_and_never_becomes_current(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as workflows:
        for version in ("1.0.0", "1.1.0", "1.2.0"):
            await workflows.deploy(OPERATOR, text(version), "greet.yaml")

        first = await workflows.deprecate(OPERATOR, "greet", "1.1.0")
        again = await workflows.deprecate(OPERATOR, "greet", "1.1.0")
        with pytest.raises(VersionDeprecatedError, match=r"use 1\.2\.0"):
            await workflows.startable("greet", "1.1.0")
        with pytest.raises(VersionDeprecatedError):
            await workflows.roll_back(OPERATOR, "greet", "1.1.0")
        with pytest.raises(CurrentVersionError):
            await workflows.deprecate(OPERATOR, "greet", "1.2.0")

        assert first == again
        assert first.state is DeploymentState.DEPRECATED
        assert (await workflows.document("greet", "1.1.0")).version == "1.1.0"
        assert (await workflows.startable("greet", "1.0.0")).version == "1.0.0"
        assert (await workflows.roll_back(OPERATOR, "greet")).version == "1.0.0"
        assert len(await acts(workflows)) == 5


async def test_a_roll_back_survives_a_restart_and_a_new_file_is_deployed(tmp_path: Path) -> None:
    async with opened(tmp_path, text("1.0.0")) as workflows:
        await workflows.deploy(OPERATOR, text("1.1.0"), "greet.yaml")
    async with opened(tmp_path, text("1.1.0")) as workflows:
        await workflows.roll_back(OPERATOR, "greet")
    async with opened(tmp_path, text("1.1.0")) as workflows:
        kept = await current(workflows)
    async with opened(tmp_path, text("1.2.0")) as workflows:
        assert (kept, await current(workflows)) == ("1.0.0", "1.2.0")
        assert [each[:3] for each in await acts(workflows)] == [
            ("files", "deployed", "1.0.0"),
            ("olga", "deployed", "1.1.0"),
            ("olga", "rolled-back", "1.0.0"),
            ("files", "deployed", "1.2.0"),
        ]


async def test_a_file_that_changed_without_a_new_version_stops_the_start_before_any_effect(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, text()):
        pass

    with pytest.raises(VersionTakenError, match=r"greet 1\.0\.0 is deployed with other content"):
        async with opened(tmp_path, text(name="alpha"), text(says="bye")):
            pass

    async with opened(tmp_path) as workflows:
        assert [each.name for each in await workflows.documents()] == ["greet"]


async def test_nothing_unchecked_is_deployed_and_every_finding_is_told(tmp_path: Path) -> None:
    wrong = CALL.replace(b"      timeout: {after: {minutes: 1}}\n", b"").replace(
        b"timeout: {after: {minutes: 5}}\n", b""
    )
    async with opened(tmp_path) as workflows:
        with pytest.raises(InvalidWorkflowError, match=r"match\.yaml:\d+:\d+: ") as refused:
            await workflows.deploy(OPERATOR, wrong, "match.yaml")
        checked = await workflows.check(REQUESTER, wrong, "match.yaml")

        assert [each.as_json() for each in checked.findings] == refused.value.facts["findings"]
        assert {"deadline", "unknown-version"} <= {each.rule for each in checked.findings}
        assert all(each.line > 0 and each.fix for each in checked.findings)
        assert (checked.name, checked.version) == ("match", "1.0.0")
        assert await workflows.overview() == []


async def test_a_workflow_that_runs_another_is_checked_against_what_is_deployed(
    tmp_path: Path,
) -> None:
    parent = b"""\
document: {dsl: '1.0.3', namespace: tests, name: parent, version: '1.0.0'}
timeout: {after: {minutes: 5}}
do:
  - child:
      metadata: {label: Run the child}
      run:
        workflow: {namespace: tests, name: greet, version: '1.0.0'}
      timeout: {after: {minutes: 1}}
"""
    async with opened(tmp_path) as workflows:
        missing = await workflows.check(OPERATOR, parent, "parent.yaml")
        await workflows.deploy(OPERATOR, text("1.0.0"), "greet.yaml")
        there = await workflows.check(OPERATOR, parent, "parent.yaml")
        await workflows.deploy(OPERATOR, parent, "parent.yaml")
        await workflows.prove(await workflows.document("parent"))
        await workflows.deploy(OPERATOR, text("1.1.0"), "greet.yaml")
        await workflows.deprecate(OPERATOR, "greet", "1.0.0")

        assert [each.rule for each in missing.findings] == ["unknown-workflow"]
        assert there.findings == []
        with pytest.raises(InvalidWorkflowError, match=r"1\.0\.0"):
            await workflows.prove(await workflows.document("parent"))


@pytest.mark.parametrize(
    "raw",
    [b"", b"\xff\xfe", b"[1]", b"do: [", b"document: {}\ndo: []\n", b"- " * 5000, b"a: &a *a"],
)
async def test_a_text_that_does_not_load_is_answered_with_its_findings(
    tmp_path: Path, raw: bytes
) -> None:
    async with opened(tmp_path) as workflows:
        checked = await workflows.check(REQUESTER, raw, "x")

        assert checked.findings
        assert (checked.name, checked.version, checked.digest) == (None, None, None)
        with pytest.raises(InvalidWorkflowError):
            await workflows.deploy(OPERATOR, raw, "x")


async def test_a_diff_shows_what_people_wrote(tmp_path: Path) -> None:
    async with opened(tmp_path) as workflows:
        await workflows.deploy(OPERATOR, text("1.0.0"), "greet.yaml")
        await workflows.deploy(OPERATOR, text("1.1.0", says="bye"), "greet.yaml")

        diff = await workflows.diff(REQUESTER, "greet", "1.0.0")
        none = await workflows.diff(REQUESTER, "greet", "1.1.0", "1.1.0")

        assert diff.startswith("--- greet 1.0.0\n+++ greet 1.1.0\n")
        assert "-      set: {said: hello}\n+      set: {said: bye}\n" in diff
        assert none == ""


async def test_what_does_not_exist_is_named_with_what_does(tmp_path: Path) -> None:
    async with opened(tmp_path, text()) as workflows:
        with pytest.raises(UnknownWorkflowError) as workflow:
            await workflows.document("fly")
        with pytest.raises(UnknownVersionError) as version:
            await workflows.document("greet", "7.0.0")
        with pytest.raises(UnknownWorkflowError):
            await workflows.document("fly", "7.0.0")

        assert workflow.value.facts["known"] == ["greet"]
        assert version.value.facts["known"] == ["1.0.0"]


async def test_only_an_operator_changes_what_is_current(tmp_path: Path) -> None:
    async with opened(tmp_path, text()) as workflows:
        for role in Role:
            if role is Role.OPERATOR:
                continue
            who = Principal(subject="x", roles=frozenset({role}))
            with pytest.raises(NotPermittedError):
                await workflows.deploy(who, text("2.0.0"), "x")
            with pytest.raises(NotPermittedError):
                await workflows.roll_back(who, "greet", "1.0.0")
            with pytest.raises(NotPermittedError):
                await workflows.deprecate(who, "greet", "1.0.0")
        nobody = Principal(subject="x")
        for asked in (
            workflows.check(nobody, text(), "x"),
            workflows.versions(nobody, "greet"),
            workflows.version(nobody, "greet", "1.0.0"),
            workflows.diff(nobody, "greet", "1.0.0"),
        ):
            with pytest.raises(NotPermittedError):
                await asked


async def test_when_too_many_wait_to_be_checked_the_others_are_told_to_come_back(
    tmp_path: Path,
) -> None:
    asked = checking.MAX_WAITING + 8
    async with opened(tmp_path) as workflows:
        answers = await asyncio.gather(
            *(workflows.check(REQUESTER, text(), "x") for _ in range(asked)),
            return_exceptions=True,
        )
        busy = [each for each in answers if isinstance(each, ChecksBusyError)]

        assert len(busy) == 8
        assert (await workflows.check(REQUESTER, text(), "x")).findings == []


class Stuck:
    """Compiles nothing, as a worker that a hostile program keeps busy."""

    async def first(self, program: str, value: Any) -> Any:
        raise NotImplementedError

    async def problem(self, program: str) -> str | None:  # noqa: ARG002
        await asyncio.Event().wait()
        return None


async def test_expressions_that_take_too_long_to_compile_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "PATIENCE_S", 0.2)
    raw = text(says='"${ [range(9)] | map(. * 2) | add }"')
    async with opened(tmp_path, checks=Checks(matching, jq=Stuck())) as workflows:
        async with asyncio.timeout(60):
            checked = await workflows.check(REQUESTER, raw, "x")

        assert [each.rule for each in checked.findings] == ["expression"]
        assert "not compiled" in checked.findings[0].message


async def test_expressions_that_take_too_long_together_are_one_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "PATIENCE_S", 0.2)
    raw = text(says="['${ [range(9)] | add }', '${ [range(8)] | add }', '${ now }']")
    async with opened(tmp_path, checks=Checks(matching, jq=Stuck())) as workflows:
        async with asyncio.timeout(60):
            checked = await workflows.check(REQUESTER, raw, "x")

        messages = [each.message for each in checked.findings]
        assert len(messages) == 2
        assert [message.startswith("not compiled") for message in messages] == [True, False]


async def test_an_unreachable_registry_is_no_finding(tmp_path: Path) -> None:
    async def away() -> AgentCatalog:
        raise ChecksBusyError

    async with opened(tmp_path, checks=Checks(away)) as workflows:
        with pytest.raises(ParleyError):
            await workflows.deploy(OPERATOR, text(), "x")

        assert await workflows.overview() == []
