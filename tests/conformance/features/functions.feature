Feature: Functions
  A call names a skill of an agent, a question to people, or a function of the document.

  Scenario: Arguments are evaluated, and the output is the agent's
    Given the workflow:
      """yaml
      do: [{ask: {call: "f:1.0.0@agents", with: {id: "${ .order.id }", all: ["${ .order.n }"]}, output: {as: .ok}}}]
      """
    And given the workflow input is:
      """yaml
      order: {id: A-1, n: 3}
      """
    And the agent 'f' answers:
      """yaml
      {ok: fine}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      fine
      """
    And 'f' should be called with:
      """yaml
      {id: A-1, all: [3]}
      """

  Scenario: All arguments may be one expression
    Given the workflow:
      """yaml
      do: [{ask: {call: "f:1.0.0@agents", with: "${ .arguments }"}}]
      """
    And given the workflow input is:
      """yaml
      arguments: {id: A-1}
      """
    When the workflow is executed
    Then 'f' should be called with:
      """yaml
      id: A-1
      """

  Scenario: Arguments that are no object call nobody
    Given the workflow:
      """yaml
      do: [{ask: {call: "f:1.0.0@agents", with: "${ 5 }"}}]
      """
    When the workflow is executed
    Then the workflow should fault with 'configuration' at '/do/0/ask'
    And nobody should be called

  Scenario: A person decides
    Given the workflow:
      """yaml
      do:
        - review:
            call: human-task:1.0.0@parley
            with: {title: Review, candidates: ["role:approver"], outcomes: [approve, reject]}
            timeout: {after: P1D}
            output: {as: "${ .outcome }"}
      """
    And a person decides 'approve' after 3 hours
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      approve
      """
    And 3 hours should have passed

  Scenario: Nobody decides, and the question goes to somebody else
    Given the workflow:
      """yaml
      do:
        - escalated:
            try:
              - review: {call: "human-task:1.0.0@parley", with: {title: Review}, timeout: {after: P1D}}
            catch:
              errors: {with: {type: "https://serverlessworkflow.io/spec/1.0.0/errors/timeout"}}
              do: [{director: {call: "f:1.0.0@agents", with: {title: Escalated}}}]
      """
    And nobody decides
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      {by: f, title: Escalated}
      """
    And 24 hours should have passed

  Scenario: A function of the document takes the arguments as its input
    Given the workflow:
      """yaml
      use:
        functions:
          greet:
            input: {schema: {document: {required: [name]}}, from: "${ {who: .name} }"}
            call: f:1.0.0@agents
            with: {text: '${ "Hello " + .who }'}
            output: {as: "${ .text }"}
      do:
        - one: {call: greet, with: {name: "${ .name }"}}
      """
    And given the workflow input is:
      """yaml
      name: Ada
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      Hello Ada
      """

  Scenario: Arguments that a function of the document refuses
    Given the workflow:
      """yaml
      use:
        functions:
          greet: {input: {schema: {document: {required: [name]}}}, call: "f:1.0.0@agents"}
      do: [{one: {call: greet}}]
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      {type: "https://serverlessworkflow.io/spec/1.0.0/errors/validation", status: 400}
      """
    And nobody should be called

  Scenario: A function that is not defined is the document's fault
    Given the workflow:
      """yaml
      do: [{one: {call: unknown}}]
      """
    When the workflow is executed
    Then the workflow should fault with 'configuration' at '/do/0/one'
