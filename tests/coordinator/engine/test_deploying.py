"""Whatever people do with versions, in whatever order, the rules hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from parley_cards.errors import ParleyError
from parley_coordinator.engine import deploying
from parley_coordinator.engine.deploying import By, Written
from parley_coordinator.errors import UnknownWorkflowError
from parley_coordinator.model import DeploymentState, Versions
from parley_coordinator.store.tables import METADATA
from parley_coordinator.workflow.document import load_document
from sqlalchemy import create_engine

VERSIONS = ("1.0.0", "1.1.0", "2.0.0", "3.0.0")


def written(version: str, says: str) -> Written:
    raw = (
        f"document: {{dsl: '1.0.3', namespace: t, name: greet, version: '{version}'}}\n"
        f"do: [{{greet: {{set: {{said: {says}}}}}}}]\n"
    ).encode()
    return Written(load_document(raw, source="x"), raw, source="x")


DOCUMENTS = {(v, says): written(v, says) for v in VERSIONS for says in ("one", "two")}


class Deploying(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.engine = create_engine("sqlite://")
        self.connection = self.engine.connect()
        METADATA.create_all(self.connection)
        self.at = datetime(2026, 1, 1, tzinfo=UTC)
        self.digests: dict[str, str] = {}

    def teardown(self) -> None:
        if hasattr(self, "connection"):
            self.connection.close()
            self.engine.dispose()

    def _do(self, act: Any, *given: Any) -> Any:
        """Do it in a transaction; None if it is refused, and then nothing has changed."""
        before = self._versions()
        self.at += timedelta(seconds=1)
        try:
            with self.connection.begin_nested():
                return act(self.connection, *given, By("olga", self.at))
        except ParleyError:
            assert self._versions() == before
            return None

    def _versions(self) -> Versions | None:
        try:
            return deploying.versions(self.connection, "greet")
        except UnknownWorkflowError:
            return None

    @rule(version=st.sampled_from(VERSIONS), says=st.sampled_from(["one", "two"]))
    def deploy(self, version: str, says: str) -> None:
        given = DOCUMENTS[version, says]
        done = self._do(deploying.deploy, given)

        assert (done is None) == (
            self.digests.get(version, given.document.digest) != given.document.digest
        )
        if done is not None:
            assert done[1] == (version not in self.digests)
            assert done[0].current or not done[1]
            self.digests[version] = given.document.digest

    @rule(version=st.sampled_from(VERSIONS))
    def deprecate(self, version: str) -> None:
        done = self._do(deploying.deprecate, "greet", version)

        assert done is None or done.state is DeploymentState.DEPRECATED

    @rule(version=st.none() | st.sampled_from(VERSIONS))
    def roll_back(self, version: str | None) -> None:
        done = self._do(deploying.roll_back, "greet", version)

        assert done is None or (done.current and done.version == (version or done.version))

    @invariant()
    def one_version_is_current_and_may_run(self) -> None:
        versions = self._versions()
        if versions is not None:
            current = [each for each in versions.deployments if each.current]
            assert [each.state for each in current] == [DeploymentState.ACTIVE]

    @invariant()
    def every_version_is_the_document_that_it_was_first(self) -> None:
        versions = self._versions()
        found = {} if versions is None else {d.version: d.digest for d in versions.deployments}
        assert found == self.digests

    @invariant()
    def the_log_leads_from_the_first_version_to_the_current_one(self) -> None:
        versions = self._versions()
        if versions is not None:
            before = [act.from_version for act in versions.acts]
            after = [act.to_version for act in versions.acts]
            assert before == [None, *after[:-1]]
            assert after[-1] == versions.current.version


TestDeploying = Deploying.TestCase
TestDeploying.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
