Feature: Try and catch
  A catch takes an error if its filter fits, `when` holds and `exceptWhen` does not.

  Scenario Outline: A filter fits if every member that it names is equal
    Given the workflow:
      """yaml
      do:
        - guarded:
            try:
              - broken:
                  raise: {error: {type: "https://serverlessworkflow.io/spec/1.0.0/errors/runtime", status: 503, title: Busy}}
            catch:
              errors: {with: <filter>}
              do: [{tell: {set: {caught: true}}}]
      """
    When the workflow is executed
    Then the workflow should <end>

    Examples:
      | filter                                                                                | end      |
      | {}                                                                                    | complete |
      | {status: 503}                                                                         | complete |
      | {status: 500}                                                                         | fault    |
      | {title: Busy, status: 503}                                                            | complete |
      | {title: Busy, status: 500}                                                            | fault    |
      | {type: "https://serverlessworkflow.io/dsl/errors/types/runtime"}                      | complete |
      | {type: "https://open-workflow-specification.org/spec/1.0.0/errors/runtime"}           | complete |
      | {type: "https://serverlessworkflow.io/spec/1.0.0/errors/timeout"}                     | fault    |
      | {instance: /do/0/guarded/try/0/broken}                                                | complete |
      | {instance: /do/0/broken}                                                              | fault    |

  Scenario Outline: Conditions decide besides the filter
    Given the workflow:
      """yaml
      do:
        - guarded:
            try: [{broken: {raise: {error: {type: "urn:x", status: 503, detail: "${ .why }"}}}}]
            catch:
              as: problem
              <condition>: "${ $problem.detail == \"later\" }"
              do: [{tell: {set: {caught: true}}}]
      """
    And given the workflow input is:
      """yaml
      why: <why>
      """
    When the workflow is executed
    Then the workflow should <end>

    Examples:
      | condition  | why   | end      |
      | when       | later | complete |
      | when       | never | fault    |
      | exceptWhen | later | fault    |
      | exceptWhen | never | complete |

  Scenario: The handler knows the error by name, and its output is that of the try
    Given the workflow:
      """yaml
      do:
        - guarded:
            try: [{ask: {call: "f:1.0.0@agents"}}]
            catch: {as: problem, do: [{tell: {set: {status: "${ $problem.status }", at: "${ $problem.instance }"}}}]}
        - after: {set: {status: "${ .status }", at: "${ .at }"}}
      """
    And the agent 'f' fails with 'communication'
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      {status: 500, at: /do/0/guarded/try/0/ask}
      """

  Scenario: A catch without a handler hands the input on
    Given the workflow:
      """yaml
      do: [{guarded: {try: [{ask: {call: "f:1.0.0@agents"}}], catch: {}}}]
      """
    And given the workflow input is:
      """yaml
      kept: true
      """
    And the agent 'f' fails with 'runtime'
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      kept: true
      """

  Scenario: An error that the inner catch does not take goes on to the outer one
    Given the workflow:
      """yaml
      do:
        - outer:
            try:
              - inner:
                  try: [{broken: {raise: {error: {type: "urn:x", status: 503}}}}]
                  catch: {errors: {with: {status: 404}}, do: [{wrong: {set: {who: inner}}}]}
            catch: {do: [{right: {set: {who: outer}}}]}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      who: outer
      """
    And inner should fault

  Scenario: A handler raises again what it cannot handle
    Given the workflow:
      """yaml
      do:
        - outer:
            try:
              - inner:
                  try: [{broken: {raise: {error: {type: "urn:x", status: 503, title: First}}}}]
                  catch:
                    as: first
                    do:
                      - again: {raise: {error: {type: "urn:again", status: 400, title: "${ $first.title + \" again\" }"}}}
            catch: {do: [{right: {set: {title: "${ $error.title }", at: "${ $error.instance }"}}}]}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      title: First again
      at: /do/0/outer/try/0/inner/catch/do/0/again
      """
