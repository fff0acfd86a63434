"""Documents that a check lets pass: what it must not hold against an author."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parley_cards.card import load_card
from parley_coordinator.delegation.catalog import AgentCatalog
from parley_coordinator.errors import InvalidWorkflowError
from parley_coordinator.workflow.check import check
from parley_coordinator.workflow.document import Document, load_document

from tests.cards.samples import a_card, contract_of
from tests.coordinator.workflow.test_broken import PEOPLE, WORKFLOWS, Skills, findings
from tests.coordinator.workflow.test_invoice_exception import CATALOG, FILE

HEAD = 'document: {dsl: "1.0.3", namespace: test, name: sound, version: "1.0.0"}\n'

SOUND = {
    "a loop that asks until it is ready": """
do:
  - look:
      metadata: {label: Look}
      call: match:1.0.0@agents
      with: {invoice: {id: I-1}}
      timeout: {after: PT1M}
  - ready:
      metadata: {label: Done}
      switch: [{again: {when: '${ .verdict == "later" }', then: pause}}, {done: {then: end}}]
  - pause:
      metadata: {label: Pause}
      wait: PT1M
      then: look
""",
    "a counter": """
do:
  - start: {metadata: {label: Start}, set: {n: 0}}
  - count: {metadata: {label: Count}, set: "${ {n: (.n + 1)} }"}
  - more:
      metadata: {label: More}
      switch: [{again: {when: "${ .n < 10 }", then: count}}, {done: {then: end}}]
""",
    "loops in loops, with the names that a document does not write": """
do:
  - rows:
      metadata: {label: Rows}
      for: {each: row, in: "${ .rows }"}
      do:
        - cells:
            for: {each: cell, in: "${ $row.cells }"}
            while: "${ $cell != null }"
            do:
              - keep: {set: {value: "${ $cell }", at: "${ $index }", row: "${ $row }"}}
""",
    "an error inside the handler of another": """
do:
  - outer:
      metadata: {label: Outer}
      try: [{a: {raise: {error: {type: "https://example.com/a", status: 400}}}}]
      catch:
        do:
          - inner:
              try: [{b: {raise: {error: {type: "https://example.com/b", status: 400}}}}]
              catch: {do: [{c: {set: "${ $error }"}}]}
""",
    "events that are listened for, each with its item": """
do:
  - hear:
      metadata: {label: Hear}
      timeout: {after: PT1H}
      listen:
        to:
          any: [{with: {type: com.example.said.v1, data: "${ .loud }"}}]
          until: {one: {with: {type: com.example.done.v1}}}
      foreach:
        item: event
        at: i
        do: [{note: {set: {said: "${ $event.text }", i: "${ $i }"}, export: {as: "${ . }"}}}]
        output: {as: "${ .said }"}
  - say:
      metadata: {label: Say}
      set: {first: "${ .[0] }", last: "${ $context.said }"}
""",
    "correlated events": """
do:
  - hear:
      metadata: {label: Hear}
      timeout: {after: PT1H}
      listen:
        to:
          all:
            - with: {type: com.example.a.v1}
              correlate: {order: {from: "${ .data.order }", expect: "${ $workflow.input.order }"}}
            - with: {type: com.example.b.v1}
""",
    "a function that is called with a deadline": """
use:
  functions:
    look:
      input: {schema: {document: {type: object, required: [id], properties: {id: {type: string}}}}}
      call: http
      with: {method: get, endpoint: "https://example.com/{id}"}
do:
  - one:
      metadata: {label: One}
      call: look
      with: {id: "7"}
      timeout: {after: PT1M}
""",
    "secrets where they belong": """
use:
  secrets: [token, login, client]
  authentications:
    named: {bearer: {use: token}}
do:
  - one:
      metadata: {label: One}
      timeout: {after: PT1M}
      call: http
      with: {method: get, endpoint: {uri: "https://example.com/", authentication: {use: named}}}
  - two:
      metadata: {label: Two}
      timeout: {after: PT1M}
      call: openapi
      with:
        document: {endpoint: https://example.com/openapi.json}
        operationId: look
        authentication: {basic: {username: ada, password: "${ $secrets.login.password }"}}
  - three:
      metadata: {label: Three}
      timeout: {after: PT1M}
      call: mcp
      with:
        method: tools/call
        parameters: {name: look, arguments: "${ . }"}
        transport:
          http:
            endpoint:
              uri: https://example.com/mcp
              authentication: {oauth2: {use: client}}
  - four:
      metadata: {label: Four}
      timeout: {after: PT1M}
      input: {from: {key: '${ $secrets["token"] }', more: "${ .more }"}}
      call: a2a
      with:
        method: message/send
        agentCard: {endpoint: https://example.com/card.json}
        parameters: {message: {parts: [{data: {key: "${ .key }"}}, "${ .more }"]}}
""",
    "a saga: undo calls in reverse": """
do:
  - trip:
      metadata: {label: Book a trip}
      timeout: {after: PT1H}
      try:
        - hotel: {call: "reserve:1.0.0@agents"}
        - both:
            fork:
              branches:
                - train: {call: "reserve:1.0.0@agents"}
                - plane: {call: "reserve:1.0.0@agents"}
        - pay: {call: "free:2.1.0@agents"}
      catch:
        do:
          - undoTrain: {call: "release:1.0.0@agents", metadata: {compensates: train}}
          - undoPlane: {call: "release:1.0.0@agents", metadata: {compensates: plane}}
          - undoHotel: {call: "release:1.0.0@agents", metadata: {compensates: hotel}}
          - fail: {raise: {error: {type: "https://example.com/no-trip", status: 500}}}
""",
    "effects that stay: the last one, and one with a reason": """
do:
  - first:
      metadata: {label: First, keep: A reservation lapses by itself}
      call: reserve:1.0.0@agents
      timeout: {after: PT1M}
  - last:
      metadata: {label: Last}
      call: reserve:1.0.0@agents
      timeout: {after: PT1M}
""",
    "an approval by others, of whom one never starts runs": """
do:
  - ask:
      metadata: {label: Ask}
      call: human-task:1.0.0@parley
      with:
        title: "${ .title }"
        candidates: ["role:approver"]
        excludeActors: ["${ $workflow.requestedBy }", ada]
        outcomes: [approve, reject]
        proposal: {action: "release:1.0.0@agents"}
      timeout: {after: P1D}
  - act:
      metadata: {label: Act}
      call: release:1.0.0@agents
      timeout: {after: PT1M}
""",
    "candidates that are computed": """
do:
  - ask:
      metadata: {label: Ask}
      call: human-task:1.0.0@parley
      with:
        title: T
        candidates: ["role:lead", "${ .who }"]
        excludeActors: [rita]
        outcomes: [approve]
        proposal: {action: look}
      timeout: {after: P1D}
""",
    "workflows that are known, and itself under a condition": """
do:
  - other:
      metadata: {label: Other}
      run: {workflow: {namespace: test, name: known, version: "1.0.0"}}
      timeout: {after: PT1H}
  - deeper:
      metadata: {label: Deeper}
      if: "${ .depth > 0 }"
      run: {workflow: {namespace: test, name: sound, version: latest, input: "${ . }"}}
      timeout: {after: PT1H}
""",
    "a race of reads": """
do:
  - race:
      metadata: {label: Race}
      timeout: {after: PT1M}
      fork:
        compete: true
        branches:
          - ask: {call: "match:1.0.0@agents", with: {invoice: {id: I-1}}}
          - get: {call: http, with: {method: GET, endpoint: "https://example.com/"}}
          - late: {wait: PT5S}
""",
    "a schedule, and an input that may be null": """
schedule: {cron: "30 6 * * 1-5"}
input: {schema: {document: {type: [object, "null"]}}}
do:
  - a: {metadata: {label: A}, set: {a: 1}}
""",
    "a schedule on events": """
schedule: {on: {any: [{with: {type: com.example.a.v1}}]}}
input: {schema: {document: {type: array}}}
do:
  - a: {metadata: {label: A}, set: {first: "${ .[0].order.id }"}}
""",
    "members that may be absent": """
input:
  schema:
    document:
      type: object
      additionalProperties: false
      properties: {id: {type: string}, note: {anyOf: [{type: string}, {type: "null"}]}}
do:
  - match:
      metadata: {label: Match}
      timeout: {after: PT1M}
      call: match:1.0.0@agents
      with: {invoice: {id: "${ .note }"}, lines: ["${ .id // .note }"]}
  - either:
      metadata: {label: Either}
      try:
        - a: {set: {a: 1}, export: {as: "${ $context + {a: .} }"}}
        - b: {raise: {error: {type: "https://example.com/no", status: 400}}}
      catch: {do: [{c: {set: {b: "${ $context.a }"}}}]}
  - say:
      metadata: {label: Say}
      set: {a: "${ $context.a.a }", b: "${ .b }"}
""",
    "an expression that only jq understands": """
do:
  - a: {metadata: {label: A}, set: {n: 1}}
  - b: {metadata: {label: B}, set: {m: "${ [.n, .x?] | map(. // 0) | add }"}}
evaluate: {language: jq, mode: loose}
""",
}


@pytest.mark.parametrize("name", SOUND)
def test_nothing_is_held_against_a_sound_document(name: str) -> None:
    assert findings(HEAD + SOUND[name]) == []


def test_what_is_not_known_is_not_checked() -> None:
    document = load_document(
        HEAD + SOUND["workflows that are known, and itself under a condition"], source="x.yaml"
    )

    assert check(document, Skills(), file="x.yaml") == []
    (missing,) = check(document, Skills(), file="x.yaml", workflows={})
    assert missing.rule == "unknown-workflow"


def test_a_card_says_which_skill_undoes_another() -> None:
    card = a_card()
    contract_of(card).update(effect="write", undo="shout")
    functions = AgentCatalog([load_card(card)]).functions()

    assert [functions[name][0].undo for name in ("echo", "shout")] == ["shout", ""]


def test_programs_are_compiled_where_the_caller_wants() -> None:
    compiled: list[str] = []

    def elsewhere(program: str) -> str:
        compiled.append(program)
        return "no"

    document = load_document(
        HEAD + SOUND["an expression that only jq understands"], source="x.yaml"
    )
    (finding,) = check(document, Skills(), file="x.yaml", compiles=elsewhere)

    assert (finding.rule, finding.message) == ("expression", "no")
    assert len(compiled) == 1
    assert "map(. // 0)" in compiled[0]


WHOLE = load_document(FILE.read_bytes(), source=FILE.name).json
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5000),
    st.sampled_from(
        (
            *(
                "",
                "${ . }",
                "${ .a.b[0] }",
                "${ $context.invoice }",
                "${ $secrets.x }",
                "${",
                "end",
            ),
            *("exit", "post", "capture", "PT1M", "match-invoice:1.0.0@agents", "http", "x:1.0.0@y"),
            *("${ . + 1 }", "role:approver", "${ [.[] | .x] }"),
        )
    ),
    st.text(max_size=8),
    st.just({}),
    st.just([]),
)
EXTRA = st.sampled_from(
    (
        *(
            "if",
            "then",
            "for",
            "do",
            "try",
            "catch",
            "call",
            "with",
            "set",
            "run",
            "listen",
            "emit",
        ),
        *("fork", "switch", "wait", "raise", "timeout", "input", "output", "export", "metadata"),
        *("schedule", "use", "in", "each", "foreach", "compensates", "keep", "candidates"),
    )
)


def nodes(value: Any) -> list[Any]:
    found = [value]
    for each in value.values() if isinstance(value, dict) else value:
        if isinstance(each, dict | list):
            found += nodes(each)
    return found


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """The reference workflow with a few things removed, replaced, moved or added."""

    def copy(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: copy(each) for name, each in value.items()}
        return [copy(each) for each in value] if isinstance(value, list) else value

    found: dict[str, Any] = copy(WHOLE)
    for _ in range(draw(st.integers(1, 3))):
        places = [node for node in nodes(found) if node]
        place = draw(st.sampled_from(places))
        key = draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        match draw(st.sampled_from(("remove", "replace", "move", "add"))):
            case "remove":
                del place[key]
            case "replace":
                place[key] = draw(LEAVES)
            case "move":
                place[key] = copy(draw(st.sampled_from(places)))
            case "add" if isinstance(place, dict):
                place[draw(EXTRA)] = draw(LEAVES | st.sampled_from(places).map(copy))
    return found


@settings(max_examples=150, deadline=None)
@given(mutated())
def test_a_mutated_workflow_is_refused_or_checked_and_never_fails(json: dict[str, Any]) -> None:
    try:
        document = Document.from_json(json)
    except InvalidWorkflowError:
        return
    for finding in check(
        document, CATALOG, file="mutated.yaml", workflows=WORKFLOWS, people=PEOPLE
    ):
        assert finding.rule
        assert finding.message
        assert finding.fix


SPECIFICATION = os.environ.get("PARLEY_SPEC", "")
OF_THE_HOUSE = {"label", "deadline"}
REFUSED = {
    "accumulate-room-readings.yaml": "unknown-path",  # a listen gives an array
    "authentication-oauth2.yaml": "secret",
    "authentication-oidc.yaml": "not-in-profile",
    "authentication-oidc-secret.yaml": "not-in-profile",
    "call-asyncapi-publish.yaml": "refused",
    "call-asyncapi-subscribe-consume-amount.yaml": "refused",
    "call-asyncapi-subscribe-consume-forever-foreach.yaml": "refused",
    "call-asyncapi-subscribe-consume-until.yaml": "refused",
    "call-asyncapi-subscribe-consume-while.yaml": "refused",
    "call-custom-function-cataloged.yaml": "refused",
    "call-grpc.yaml": "refused",
    "call-mcp.yaml": "refused",  # over stdio
    "conditional-task.yaml": "unreachable",  # a skipped task goes where its `then` says
    "for.yaml": "unknown-path",  # a listen gives an array
    "fork.yaml": "race-writes",
    "mock-service-extension.yaml": "not-in-profile",
    "run-container-cleanup-always.yaml": "refused",
    "run-container-cleanup-eventually.yaml": "refused",
    "run-container-stdin-and-arguments.yaml": "refused",
    "run-container-with-name.yaml": "refused",
    "run-container-with-pull-policy.yaml": "refused",
    "run-container.yaml": "refused",
    "run-return-all.yaml": "refused",
    "run-return-code.yaml": "refused",
    "run-return-none.yaml": "refused",
    "run-return-stderr.yaml": "refused",
    "run-subflow.yaml": "unknown-workflow",
    "run-script-with-stdin-and-arguments.yaml": "refused",
    "run-shell-stdin-and-arguments.yaml": "refused",
}
"""The specification's examples that are refused for more than what this house asks of everybody."""


def git(*arguments: str) -> bytes:
    command = ["git", "--git-dir", SPECIFICATION, *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.mark.skipif(not SPECIFICATION, reason="PARLEY_SPEC names no git directory")
def test_every_refusal_of_the_specifications_examples_is_known() -> None:
    names = git("ls-tree", "-r", "-z", "--name-only", "HEAD", "examples").decode().split("\0")
    examples = [name for name in names if name.endswith(".yaml")]

    refused = {}
    for name in examples:
        text = git("show", f"HEAD:{name}").decode()
        found = {each.split(": ")[0].split(" ")[1] for each in findings(text)} - OF_THE_HOUSE
        if found:
            refused[name.removeprefix("examples/")] = " ".join(sorted(found))

    assert len(examples) > 60
    assert {name: rules for name, rules in refused.items() if REFUSED.get(name) != rules} == {}
    assert REFUSED.keys() == refused.keys()
