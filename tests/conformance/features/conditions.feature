Feature: Conditions
  A task whose `if` does not hold is skipped, and hands its input on.

  Scenario: A skipped task hands its input on and its directive still counts
    Given the workflow:
      """yaml
      do:
        - rare: {if: ".amount > 100", set: {checked: true}, then: last}
        - between: {set: {wrong: true}}
        - last: {set: {kept: "${ .amount }"}}
      """
    And given the workflow input is:
      """yaml
      amount: 5
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      kept: 5
      """
    And these tasks should run: last

  Scenario: A condition sees the raw input, before it is transformed
    Given the workflow:
      """yaml
      do:
        - look:
            if: "${ .inner.wanted }"
            input: {from: "${ .inner.value }"}
            set: {got: "${ . }", raw: "${ $task.input.inner.wanted }"}
      """
    And given the workflow input is:
      """yaml
      inner: {wanted: true, value: 7}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      got: 7
      raw: true
      """

  Scenario Outline: All but null and false holds
    Given the workflow:
      """yaml
      do:
        - start: {set: {ran: false, value: <value>}}
        - task: {if: ".value", set: {ran: true}}
        - last: {set: {ran: "${ .ran }"}}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      ran: <ran>
      """

    Examples:
      | value | ran   |
      | 0     | true  |
      | ''    | true  |
      | []    | true  |
      | null  | false |
      | false | false |

  Scenario: A condition that fails is an error of the task
    Given the workflow:
      """yaml
      do:
        - broken: {if: '.amount + "text"', set: {}}
      """
    And given the workflow input is:
      """yaml
      amount: 5
      """
    When the workflow is executed
    Then the workflow should fault with 'expression' at '/do/0/broken'
