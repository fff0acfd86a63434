Feature: For
  One iteration after the other, each with the output of the one before.

  Scenario: Items and indexes have names, and each iteration gets the output of the one before
    Given the workflow:
      """yaml
      do:
        - start: {set: {seen: []}}
        - loop:
            for: {each: line, at: number, in: "${ $workflow.input.lines }"}
            do:
              - add: {set: {seen: '${ .seen + ["\($number):\($line)"] }'}}
      """
    And given the workflow input is:
      """yaml
      lines: [a, b]
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      seen: ["0:a", "1:b"]
      """

  Scenario: While is asked before each iteration
    Given the workflow:
      """yaml
      do:
        - loop:
            for: {in: "${ [1, 2, 3, 4] }"}
            while: "${ (.sum // 0) < 3 }"
            do: [{add: {set: {sum: "${ (.sum // 0) + $item }"}}}]
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      sum: 3
      """

  Scenario: Loops nest, and each knows the variables around it
    Given the workflow:
      """yaml
      do:
        - start: {set: "${ [] }"}
        - rows:
            for: {each: row, in: "${ [1, 2] }"}
            do:
              - columns:
                  for: {each: column, in: "${ [10, 20] }"}
                  do:
                    - ask: {call: "f:1.0.0@agents", with: {n: "${ $row + $column }", all: "${ . }"}}
                    - keep: {set: "${ .all + [.n] }"}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [11, 21, 12, 22]
      """
    And the calls should be: f, f, f, f

  Scenario Outline: An empty array and null are no iterations
    Given the workflow:
      """yaml
      do: [{loop: {for: {in: "<in>"}, do: [{never: {set: {wrong: true}}}]}}]
      """
    And given the workflow input is:
      """yaml
      kept: true
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      kept: true
      """
    And these tasks should run: loop

    Examples:
      | in        |
      | ${ [] }   |
      | ${ null } |
      | .absent   |

  Scenario: What is no array cannot be looped over
    Given the workflow:
      """yaml
      do: [{loop: {for: {in: "${ 5 }"}, do: [{never: {set: {}}}]}}]
      """
    When the workflow is executed
    Then the workflow should fault with 'configuration' at '/do/0/loop'

  Scenario: An array may be written out, with expressions in it
    Given the workflow:
      """yaml
      do:
        - loop:
            for: {in: [{n: 1}, {n: "${ .two }"}]}
            do: [{add: {set: {two: 2, sum: "${ (.sum // 0) + $item.n }"}}}]
      """
    And given the workflow input is:
      """yaml
      two: 2
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      {two: 2, sum: 3}
      """

  Scenario: Exit ends one iteration and the loop goes on
    Given the workflow:
      """yaml
      do:
        - loop:
            for: {in: "${ [1, 2, 3] }"}
            do:
              - choose: {switch: [{leave: {when: "${ $item == 2 }", then: exit}}, {go: {}}]}
              - ask: {call: "f:1.0.0@agents", with: {n: "${ $item }"}}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      {by: f, n: 3}
      """
    And the calls should be: f, f

  Scenario: A fault inside leaves the loop, and what was exported stays
    Given the workflow:
      """yaml
      do:
        - guarded:
            try:
              - loop:
                  for: {in: "${ [1, 2, 3] }"}
                  do:
                    - note: {set: {n: "${ $item }"}, export: {as: "${ {last: .n} }"}}
                    - stop: {if: "${ $item == 2 }", raise: {error: {type: "urn:stop", status: 400}}}
            catch:
              do: [{tell: {set: {last: "${ $context.last }", at: "${ $error.instance }"}}}]
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      last: 2
      at: /do/0/guarded/try/0/loop/do/1/stop
      """

  Scenario: A long loop writes down how far it is
    Given the workflow:
      """yaml
      do:
        - loop:
            for: {in: "${ [range(300)] }"}
            do:
              - count: {set: {n: "${ (.n // 0) + 1 }"}, export: {as: "${ {item: $item} }"}}
              - rest: {if: "${ $item % 60 == 0 }", wait: PT1S}
      output: {as: "${ {n: .n, item: $context.item} }"}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      {n: 300, item: 299}
      """
    And 3 checkpoints should be written
    And 5 seconds should have passed
    And telling it again should run: loop
