Feature: Undo calls
  In a handler, a call that says what it compensates is made only if that has happened.

  Background:
    Given the workflow:
      """yaml
      do:
        - order:
            try:
              - reserve: {call: "reserve:1.0.0@agents", export: {as: "${ {reservation: .by} }"}}
              - charge: {call: "charge:1.0.0@agents"}
              - ship: {call: "ship:1.0.0@agents"}
            catch:
              do:
                - unship: {call: "unship:1.0.0@agents", metadata: {compensates: ship}}
                - refund: {call: "refund:1.0.0@agents", metadata: {compensates: charge}}
                - release: {call: "release:1.0.0@agents", with: {id: "${ $context.reservation }"}, metadata: {compensates: reserve}}
      """

  Scenario: All that has happened is undone, in reverse
    Given the agent 'ship' fails with 'runtime'
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      {by: release, id: reserve}
      """
    And the calls should be: reserve, charge, ship, refund, release

  Scenario: What has not happened is not undone
    Given the agent 'reserve' fails with 'runtime'
    When the workflow is executed
    Then the workflow should complete
    And the calls should be: reserve

  Scenario: Nothing is undone if all goes well
    When the workflow is executed
    Then the calls should be: reserve, charge, ship

  Scenario: After an undo call the same error can go on
    Given the workflow:
      """yaml
      do:
        - order:
            try:
              - charge: {call: "charge:1.0.0@agents"}
              - stop: {raise: {error: {type: "urn:stop", status: 409}}}
            catch:
              do:
                - refund: {call: "refund:1.0.0@agents", metadata: {compensates: charge}}
                - again: {raise: {error: {type: "${ $error.type }", status: 409, title: Undone}}}
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      {type: "urn:stop", title: Undone, instance: /do/0/order/catch/do/1/again}
      """
    And the calls should be: charge, refund
