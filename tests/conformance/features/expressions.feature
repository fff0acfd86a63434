Feature: Expressions
  An expression is a function of its input, and the document's own text alone is one.

  Scenario: The first output counts and no output is null
    Given the workflow:
      """yaml
      do: [{take: {set: {first: "${ .list[] }", none: "${ .list[] | select(. > 9) }"}}}]
      """
    And given the workflow input is:
      """yaml
      list: [3, 4]
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      {first: 3, none: null}
      """

  Scenario: A text with an expression inside is a text
    Given the workflow:
      """yaml
      do: [{say: {set: {text: "Hello ${ .name }", built: '${ "Hello \(.name)" }'}}}]
      """
    And given the workflow input is:
      """yaml
      name: Ada
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      text: Hello ${ .name }
      built: Hello Ada
      """

  Scenario: What a run is given is never read as an expression
    Given the workflow:
      """yaml
      do:
        - ask: {call: "f:1.0.0@agents", with: {told: "${ .text }"}}
        - keep: {set: "${ .told }"}
      """
    And given the workflow input is:
      """yaml
      text: "${ .secret }"
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      "${ .secret }"
      """

  Scenario Outline: What looks around is forbidden
    Given the workflow:
      """yaml
      do: [{peek: {set: {x: "${ <expression> }"}}}]
      """
    When the workflow is executed
    Then the workflow should fault with 'expression' at '/do/0/peek'

    Examples:
      | expression     |
      | env            |
      | now            |
      | input          |
      | halt           |
      | debug          |
      | include 'x'; 1 |

  Scenario: An expression that fails says where
    Given the workflow:
      """yaml
      do:
        - outer:
            do: [{inner: {set: {x: '${ .a + {"b": 1} }'}}}]
      """
    And given the workflow input is:
      """yaml
      a: 1
      """
    When the workflow is executed
    Then the workflow should fault with 'expression' at '/do/0/outer/do/0/inner'

  Scenario: Variables of the caller are in scope and the environment is empty
    Given the workflow:
      """yaml
      do: [{look: {set: {env: "${ $ENV }", id: "${ $workflow.id }", by: "${ $workflow.requestedBy }"}}}]
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      {env: {}, id: run-1, by: requester}
      """
