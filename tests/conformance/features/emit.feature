Feature: Emit
  An event is a CloudEvent; it is published once, and it is the output.

  Scenario: What every event has is filled in
    Given the workflow:
      """yaml
      do: [{tell: {emit: {event: {with: {type: shipped}}}}}]
      """
    When the workflow is executed
    Then the workflow should complete
    And the workflow output should have properties 'id', 'time'
    And the events should be:
      """yaml
      - {type: shipped, specversion: "1.0", source: /test/example/1.0.0}
      """

  Scenario: Data and attributes of one's own are computed
    Given the workflow:
      """yaml
      do:
        - tell:
            emit:
              event:
                with:
                  type: shipped
                  source: /shop
                  subject: "${ .order }"
                  customer: "${ .who }"
                  data: {order: "${ .order }", lines: ["${ .n }"]}
            output: {as: .data}
      """
    And given the workflow input is:
      """yaml
      {order: A-1, who: ada, n: 3}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      {order: A-1, lines: [3]}
      """
    And the events should be:
      """yaml
      - {type: shipped, source: /shop, subject: A-1, customer: ada, data: {order: A-1, lines: [3]}}
      """

  Scenario: An attribute that must be text is text
    Given the workflow:
      """yaml
      do: [{tell: {emit: {event: {with: {type: "${ .n }"}}}}}]
      """
    And given the workflow input is:
      """yaml
      n: 3
      """
    When the workflow is executed
    Then the workflow should fault with 'configuration' at '/do/0/tell'

  Scenario: A loop publishes one event for each item
    Given the workflow:
      """yaml
      do:
        - loop:
            for: {in: "${ [1, 2] }"}
            do: [{tell: {emit: {event: {with: {type: counted, data: "${ $item }"}}}}}]
      """
    When the workflow is executed
    Then the events should be:
      """yaml
      - {type: counted, data: 1}
      - {type: counted, data: 2}
      """
