Feature: Flow directives
  `then` leads to the next task, out of the list, to the end, or to a task of the same list.

  Scenario: Continue after the last task leaves the list
    Given the workflow:
      """yaml
      do:
        - block: {do: [{only: {set: {n: 1}, then: continue}}]}
        - after: {set: {n: "${ .n + 1 }"}}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 2
      """

  Scenario: Exit leaves its list and the parent goes on with its own directive
    Given the workflow:
      """yaml
      do:
        - block:
            do:
              - leave: {set: {n: 1}, then: exit}
              - never: {set: {n: 100}}
            then: last
        - skipped: {set: {n: 1000}}
        - last: {set: {n: "${ .n + 1 }"}}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 2
      """
    And these tasks should run: block, leave, last

  Scenario: End finishes the workflow from any depth
    Given the workflow:
      """yaml
      output: {as: "${ {result: .n} }"}
      do:
        - loop:
            for: {in: "${ [1, 2, 3] }"}
            do:
              - guarded:
                  try:
                    - choose: {switch: [{found: {when: "${ $item == 2 }", then: end}}, {go: {}}]}
                  catch: {}
              - next: {set: {n: "${ $item }"}}
        - never: {set: {n: 100}}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      result: 1
      """

  Scenario: A name leads forward and backward within its list
    Given the workflow:
      """yaml
      do:
        - start: {set: {n: 0}, then: check}
        - more: {set: {n: "${ .n + 1 }"}}
        - check:
            switch:
              - again: {when: ".n < 3", then: more}
              - enough: {then: exit}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 3
      """
    And these tasks should run: start, check, more, check, more, check, more, check

  Scenario: A task that leads to itself ends some time
    Given the workflow:
      """yaml
      do: [{again: {set: {}, then: again}}]
      """
    When the workflow is executed
    Then the workflow should fault with 'runtime' at '/do/0/again'

  Scenario: A name in another list is not there
    Given the workflow:
      """yaml
      do:
        - block: {do: [{jump: {set: {}, then: after}}]}
        - after: {set: {}}
      """
    When the workflow is executed
    Then the workflow should fault with 'configuration' at '/do/0/block/do/0/jump'
