Feature: Raise
  Errors are values of RFC 7807; their instance is the place of the task, unless they say otherwise.

  Scenario: An error by name
    Given the workflow:
      """yaml
      use: {errors: {stopped: {type: "urn:stopped", status: 409, title: Stopped}}}
      do: [{stop: {raise: {error: stopped}}}]
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      {type: "urn:stopped", status: 409, title: Stopped, instance: /do/0/stop}
      """

  Scenario: Title, detail and instance may be computed
    Given the workflow:
      """yaml
      do:
        - stop:
            raise:
              error:
                type: "${ .type }"
                status: 422
                title: "${ \"No \" + .what }"
                detail: "${ .n }"
                instance: "${ \"/orders/\" + .what }"
      """
    And given the workflow input is:
      """yaml
      {type: "urn:computed", what: stock, n: 3}
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      {type: "urn:computed", status: 422, title: No stock, detail: "3", instance: /orders/stock}
      """

  Scenario: An error that is not defined is the document's fault
    Given the workflow:
      """yaml
      do: [{stop: {raise: {error: unknown}}}]
      """
    When the workflow is executed
    Then the workflow should fault with 'configuration' at '/do/0/stop'
