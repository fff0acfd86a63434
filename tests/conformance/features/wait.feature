Feature: Wait
  Time passes, and the input is handed on.

  Scenario Outline: A length is an object, ISO 8601, or an expression
    Given the workflow:
      """yaml
      do: [{pause: {wait: <length>}}]
      """
    And given the workflow input is:
      """yaml
      long: P1DT2H
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      long: P1DT2H
      """
    And <passed> should have passed

    Examples:
      | length                     | passed     |
      | {days: 1, milliseconds: 0} | 24 hours   |
      | PT0.5S                     | 0.5 second |
      | "${ .long }"               | 26 hours   |

  Scenario: A length that is none is the document's fault
    Given the workflow:
      """yaml
      do: [{pause: {wait: "${ .long }"}}]
      """
    And given the workflow input is:
      """yaml
      long: tomorrow
      """
    When the workflow is executed
    Then the workflow should fault with 'configuration' at '/do/0/pause'
