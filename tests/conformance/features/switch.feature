Feature: Switch
  The first case that holds counts, in the order of the text; a switch hands its input on.

  Scenario Outline: The first case that holds, else the default, wherever it is written
    Given the workflow:
      """yaml
      do:
        - choose:
            switch:
              - otherwise: {then: none}
              - big: {when: ".n > 10", then: large}
              - some: {when: ".n > 5", then: medium}
        - none: {set: {size: none, n: "${ .n }"}, then: end}
        - large: {set: {size: large, n: "${ .n }"}, then: end}
        - medium: {set: {size: medium, n: "${ .n }"}, then: end}
      """
    And given the workflow input is:
      """yaml
      n: <n>
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      {size: <size>, n: <n>}
      """

    Examples:
      | n  | size   |
      | 11 | large  |
      | 6  | medium |
      | 1  | none   |

  Scenario: If no case holds and there is no default its own directive counts
    Given the workflow:
      """yaml
      do:
        - choose: {switch: [{big: {when: ".n > 10", then: exit}}], then: last}
        - between: {set: {wrong: true}}
        - last: {set: {n: "${ .n }"}}
      """
    And given the workflow input is:
      """yaml
      n: 1
      """
    When the workflow is executed
    Then these tasks should run: choose, last

  Scenario: A case without a directive continues
    Given the workflow:
      """yaml
      do:
        - choose: {switch: [{any: {when: "true"}}], then: end}
        - next: {set: {reached: true}}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      reached: true
      """
