Feature: Listen
  Events that came since the run began are heard, in their order; the output is always an array.

  Background:
    Given an event after 1 minute:
      """yaml
      {type: temperature, subject: room-1, data: {value: 20, order: A}}
      """
    And an event after 2 minutes:
      """yaml
      {type: humidity, subject: room-1, data: {value: 55, order: B}}
      """
    And an event after 3 minutes:
      """yaml
      {type: temperature, subject: room-2, data: {value: 31, order: B}}
      """
    And an event after 4 minutes:
      """yaml
      {type: alarm, subject: room-2, data: {value: 1, order: A}}
      """

  Scenario: One event
    Given the workflow:
      """yaml
      do: [{hear: {listen: {to: {one: {with: {type: humidity}}}}}}]
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      - {value: 55, order: B}
      """
    And 2 minutes should have passed

  Scenario: All of several, in the order in which they came
    Given the workflow:
      """yaml
      do: [{hear: {listen: {to: {all: [{with: {type: alarm}}, {with: {type: temperature}}]}}}}]
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      - {value: 20, order: A}
      - {value: 1, order: A}
      """
    And 4 minutes should have passed

  Scenario: Any of several
    Given the workflow:
      """yaml
      do: [{hear: {listen: {to: {any: [{with: {type: alarm}}, {with: {type: humidity}}]}}}}]
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      - {value: 55, order: B}
      """

  Scenario: Any until a condition holds on what was heard
    Given the workflow:
      """yaml
      do:
        - hear: {listen: {to: {any: [{with: {type: temperature}}], until: "${ any(.[]; .value > 30) }"}}}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      - {value: 20, order: A}
      - {value: 31, order: B}
      """
    And 3 minutes should have passed

  Scenario: Any until another event, which is not in the output
    Given the workflow:
      """yaml
      do:
        - hear: {listen: {to: {any: [{with: {type: temperature}}], until: {one: {with: {type: alarm}}}}}}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      - {value: 20, order: A}
      - {value: 31, order: B}
      """
    And 4 minutes should have passed

  Scenario: An empty any hears everything
    Given the workflow:
      """yaml
      do: [{hear: {listen: {to: {any: [], until: "${ length == 3 }"}}, output: {as: "${ map(.value) }"}}}]
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [20, 55, 31]
      """

  Scenario: Each event is handled, one at a time, and adds to the output and the context
    Given the workflow:
      """yaml
      do:
        - hear:
            listen: {to: {any: [{with: {type: temperature}}], until: "${ length == 2 }"}}
            foreach:
              item: reading
              at: number
              do: [{ask: {call: "f:1.0.0@agents", with: {value: "${ $reading.value }", number: "${ $number }"}}}]
              output: {as: "${ .value * 2 }"}
              export: {as: "${ (($context // []) + [.]) }"}
      output: {as: "${ {heard: ., kept: $context} }"}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      {heard: [40, 62], kept: [40, 62]}
      """
    And 'f' should be called with:
      """yaml
      {value: 31, number: 1}
      """

  Scenario Outline: Correlation with an expected value takes the events that have it
    Given the workflow:
      """yaml
      do:
        - hear:
            listen:
              to:
                one:
                  with: {type: temperature}
                  correlate: {order: {from: "${ .data.order }", expect: <expect>}}
      """
    And given the workflow input is:
      """yaml
      order: B
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      - {value: 31, order: B}
      """

    Examples:
      | expect        |
      | B             |
      | "${ .order }" |

  Scenario: Correlation without one is bound by the first event
    Given the workflow:
      """yaml
      do:
        - hear:
            listen:
              to:
                all:
                  - {with: {type: temperature}, correlate: {order: {from: .data.order}}}
                  - {with: {type: alarm}, correlate: {order: {from: .data.order}}}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      - {value: 20, order: A}
      - {value: 1, order: A}
      """

  Scenario: What is bound by one event is asked of all that follow
    Given the workflow:
      """yaml
      do:
        - hear:
            listen:
              to:
                all:
                  - {with: {type: temperature}, correlate: {order: {from: .data.order}}}
                  - {with: {type: humidity}, correlate: {order: {from: .data.order}}}
      """
    When the workflow is executed
    Then the workflow should wait

  Scenario: What the handler exports is seen by the condition that ends the listening
    Given the workflow:
      """yaml
      do:
        - hear:
            listen: {to: {any: [], until: "${ $context.last == 31 }"}}
            foreach: {export: {as: "${ {last: .value} }"}}
            output: {as: "${ length }"}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      3
      """

  Scenario Outline: Attributes are compared with literals, patterns and expressions
    Given the workflow:
      """yaml
      do: [{hear: {listen: {to: {one: {with: <with>}}}, output: {as: "${ .[0].value }"}}}]
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      <value>
      """

    Examples:
      | with                                             | value |
      | {subject: room-2}                                | 31    |
      | {type: "al.*"}                                   | 1     |
      | {type: "(temp\|humid).*", subject: room-1}       | 20    |
      | {data: "${ .value > 50 }"}                       | 55    |
      | {type: "${ \"humidity\" }"}                      | 55    |

  Scenario Outline: What is read of an event
    Given the workflow:
      """yaml
      do: [{hear: {listen: {to: {one: {with: {type: alarm}}}, read: <read>}, output: {as: "${ .[0] | <of> }"}}}]
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      room-2
      """

    Examples:
      | read     | of                                            |
      | envelope | .subject                                      |
      | raw      | .subject                                      |
      | data     | if .value == 1 then \"room-2\" else . end     |

  Scenario: An event that came before the listener is heard, and only once
    Given the workflow:
      """yaml
      do:
        - pause: {wait: PT10M}
        - first: {listen: {to: {one: {with: {type: temperature}}}}, export: {as: "${ .[0].value }"}}
        - second: {listen: {to: {one: {with: {type: temperature}}}}, export: {as: "${ [$context, .[0].value] }"}}
      output: {as: "${ $context }"}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [20, 31]
      """
    And 10 minutes should have passed

  Scenario: A listener with a deadline is late
    Given the workflow:
      """yaml
      do:
        - guarded:
            try: [{hear: {listen: {to: {one: {with: {type: alarm}}}}, timeout: {after: PT90S}}}]
            catch: {do: [{tell: {set: {at: "${ $error.instance }"}}}]}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      at: /do/0/guarded/try/0/hear
      """
    And 90 seconds should have passed

  Scenario: A listener that was late stays late, also when the event is there by now
    Given the workflow:
      """yaml
      do:
        - guarded:
            try: [{hear: {listen: {to: {one: {with: {type: alarm}}}}, timeout: {after: PT90S}}}]
            catch: {do: [{rest: {wait: PT10M}}, {tell: {set: {late: true}}}]}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      late: true
      """
    And 690 seconds should have passed

  Scenario: A listener without a deadline waits for ever
    Given the workflow:
      """yaml
      do: [{hear: {listen: {to: {one: {with: {type: unheard-of}}}}}}]
      """
    When the workflow is executed
    Then the workflow should wait

  Scenario: A run hears its own events
    Given the workflow:
      """yaml
      do:
        - tell: {emit: {event: {with: {type: told, data: 5}}}}
        - hear: {listen: {to: {one: {with: {type: told}}}}}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [5]
      """

  Scenario: A listener in a loop hears each event once
    Given the workflow:
      """yaml
      do:
        - loop:
            for: {in: "${ [1, 2] }"}
            do: [{hear: {listen: {to: {one: {with: {type: temperature}}}}, export: {as: "${ ($context // []) + [.[0].value] }"}}}]
      output: {as: "${ $context }"}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [20, 31]
      """

  Scenario: Two listeners at the same time both hear an event
    Given the workflow:
      """yaml
      do:
        - both:
            fork:
              branches:
                - one: {listen: {to: {one: {with: {type: alarm}}}}}
                - two: {listen: {to: {one: {with: {subject: room-2, type: alarm}}}}}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      - [{value: 1, order: A}]
      - [{value: 1, order: A}]
      """

  Scenario: An event that is handled for long does not make the listener deaf
    Given the workflow:
      """yaml
      do:
        - hear:
            listen: {to: {any: [{with: {type: temperature}}], until: {one: {with: {type: alarm}}}}}
            foreach:
              do: [{rest: {wait: PT1H}}, {keep: {set: "${ .value }"}}]
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [20, 31]
      """
    And 121 minutes should have passed

  Scenario: A handler that fails fails the listener
    Given the workflow:
      """yaml
      do:
        - hear:
            listen: {to: {one: {with: {type: alarm}}}}
            foreach: {do: [{stop: {raise: {error: {type: "urn:stop", status: 409}}}}]}
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      {type: "urn:stop", instance: /do/0/hear/foreach/do/0/stop}
      """

  Scenario: A listener hears what its own handler publishes
    Given the workflow:
      """yaml
      do:
        - hear:
            listen: {to: {any: [{with: {type: alarm}}, {with: {type: answer}}], until: "${ length == 2 }"}}
            foreach:
              do: [{tell: {if: "${ .order == \"A\" }", emit: {event: {with: {type: answer, data: {order: B}}}}}}]
      output: {as: "${ map(.data.order // .order) }"}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [B, B]
      """
    And 4 minutes should have passed
