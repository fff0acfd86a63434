Feature: Fork
  Branches run at the same time with the same input: all of them, or the first one to finish.

  Scenario: A join is an array in declared order, whoever comes first
    Given the workflow:
      """yaml
      do:
        - both:
            fork:
              branches:
                - slow: {call: "f:1.0.0@agents", with: {n: "${ .n }"}}
                - fast: {call: "g:1.0.0@agents", with: {n: "${ .n }"}}
      """
    And given the workflow input is:
      """yaml
      n: 1
      """
    And the agent 'f' answers after 10 minutes:
      """yaml
      one
      """
    And the agent 'g' answers after 1 minute:
      """yaml
      two
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [one, two]
      """
    And the calls should be: g, f
    And 10 minutes should have passed

  Scenario: A branch that fails lets the others end, and then counts
    Given the workflow:
      """yaml
      do:
        - guarded:
            try:
              - all:
                  fork:
                    branches:
                      - a: {call: "f:1.0.0@agents"}
                      - b: {call: "g:1.0.0@agents"}
            catch: {do: [{tell: {set: {at: "${ $error.instance }"}}}]}
      """
    And the agent 'f' fails with 'communication'
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      at: /do/0/guarded/try/0/all/fork/branches/0/a
      """
    And the calls should be: f, g

  Scenario: Of branches that all fail the first one in declared order counts
    Given the workflow:
      """yaml
      do:
        - all:
            fork:
              branches:
                - a: {raise: {error: {type: "urn:a", status: 400}}}
                - b: {raise: {error: {type: "urn:b", status: 400}}}
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      type: urn:a
      instance: /do/0/all/fork/branches/0/a
      """

  Scenario: Forks nest
    Given the workflow:
      """yaml
      do:
        - outer:
            fork:
              branches:
                - left: {fork: {branches: [{a: {set: "${ 1 }"}}, {b: {set: "${ 2 }"}}]}}
                - right: {do: [{pause: {wait: PT1S}}, {c: {call: "f:1.0.0@agents"}}]}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [[1, 2], {by: f}]
      """

  Scenario: A race is won by the first output, and the others are left
    Given the workflow:
      """yaml
      do:
        - race:
            fork:
              compete: true
              branches:
                - tortoise: {do: [{walk: {call: "f:1.0.0@agents"}}, {boast: {call: "h:1.0.0@agents"}}]}
                - hare: {call: "g:1.0.0@agents"}
      """
    And the agent 'f' answers after 2 hours:
      """yaml
      slow
      """
    And the agent 'g' answers after 1 hour:
      """yaml
      fast
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      fast
      """
    And the calls should be: g
    And 1 hour should have passed
    And walk should cancel
    And telling it again should run: race, hare

  Scenario: A race can be won by an error
    Given the workflow:
      """yaml
      do:
        - race:
            fork:
              compete: true
              branches:
                - slow: {call: "f:1.0.0@agents"}
                - broken: {do: [{pause: {wait: PT5S}}, {stop: {raise: {error: {type: "urn:x", status: 409}}}}]}
      """
    And the agent 'f' never answers
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      {type: "urn:x", status: 409, instance: /do/0/race/fork/branches/1/broken/do/1/stop}
      """
    And 5 seconds should have passed

  Scenario Outline: A timer races against an event
    Given the workflow:
      """yaml
      do:
        - race:
            fork:
              compete: true
              branches:
                - paid: {listen: {to: {one: {with: {type: paid}}}}}
                - late: {do: [{wait_: {wait: PT1H}}, {remind: {set: "${ [\"late\"] }"}}]}
      """
    And an event after <after>:
      """yaml
      {type: paid, data: paid}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [<output>]
      """
    And <passed> should have passed

    Examples:
      | after      | output | passed     |
      | 10 minutes | paid   | 10 minutes |
      | 2 hours    | late   | 1 hour     |

  Scenario: A race inside a loop is run anew in each iteration
    Given the workflow:
      """yaml
      do:
        - start: {set: "${ [] }"}
        - loop:
            for: {each: n, in: "${ [1, 2] }"}
            do:
              - race:
                  fork:
                    compete: true
                    branches:
                      - a: {do: [{p: {wait: "${ if $n == 1 then \"PT1S\" else \"PT9S\" end }"}}, {x: {set: "${ . + [\"a\"] }"}}]}
                      - b: {do: [{p: {wait: PT5S}}, {x: {set: "${ . + [\"b\"] }"}}]}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [a, b]
      """
    And 6 seconds should have passed

  Scenario: A race against silence waits with it
    Given the workflow:
      """yaml
      do: [{race: {fork: {compete: true, branches: [{a: {call: "f:1.0.0@agents"}}, {b: {call: "f:1.0.0@agents"}}]}}}]
      """
    And the agent 'f' never answers
    When the workflow is executed
    Then the workflow should wait

  Scenario: A race stays decided, also when a loser could finish by now
    Given the workflow:
      """yaml
      do:
        - race:
            fork:
              compete: true
              branches:
                - slow: {do: [{pause: {wait: PT2H}}, {say: {set: "${ [\"slow\"] }"}}]}
                - fast: {do: [{pause: {wait: PT1H}}, {say: {set: "${ [\"fast\"] }"}}]}
        - rest: {wait: PT5H}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [fast]
      """
    And 6 hours should have passed

  Scenario: A fork that failed stays failed for the same reason
    Given the workflow:
      """yaml
      do:
        - guarded:
            try:
              - both:
                  fork:
                    branches:
                      - late: {do: [{pause: {wait: PT1H}}, {stop: {raise: {error: {type: "urn:late", status: 400}}}}]}
                      - soon: {raise: {error: {type: "urn:soon", status: 400}}}
            catch: {as: problem, do: [{rest: {wait: PT5H}}, {tell: {set: {type: "${ $problem.type }"}}}]}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      type: urn:soon
      """
