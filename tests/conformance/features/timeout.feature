Feature: Timeouts
  A timeout covers a task with all that is inside; nothing inside can take it.

  Scenario: A task that is late fails with a timeout at its place
    Given the workflow:
      """yaml
      do:
        - guarded:
            try: [{ask: {call: "f:1.0.0@agents", timeout: {after: {minutes: 5}}}}]
            catch:
              errors: {with: {type: "https://serverlessworkflow.io/spec/1.0.0/errors/timeout", status: 408}}
              do: [{tell: {set: {at: "${ $error.instance }"}}}]
      """
    And the agent 'f' answers after 1 hour:
      """yaml
      late
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      at: /do/0/guarded/try/0/ask
      """
    And 5 minutes should have passed

  Scenario: A timeout of the workflow faults it
    Given the workflow:
      """yaml
      timeout: {after: PT1H}
      do: [{guarded: {try: [{pause: {wait: P2D}}], catch: {}}}]
      """
    When the workflow is executed
    Then the workflow should fault with 'timeout' at ''
    And 1 hour should have passed

  Scenario: A timeout has a name, and its length may be computed
    Given the workflow:
      """yaml
      use: {timeouts: {patience: {after: "${ .patience }"}}}
      do: [{pause: {wait: PT1H, timeout: patience}}]
      """
    And given the workflow input is:
      """yaml
      patience: PT3M
      """
    When the workflow is executed
    Then the workflow should fault with 'timeout' at '/do/0/pause'
    And 3 minutes should have passed

  Scenario: No catch inside takes the timeout of what is around it
    Given the workflow:
      """yaml
      do:
        - outer:
            try:
              - limited:
                  timeout: {after: PT1M}
                  for: {in: "${ [1, 2, 3] }"}
                  do:
                    - inner: {try: [{pause: {wait: PT25S}}], catch: {do: [{wrong: {set: {who: inner}}}]}}
            catch: {do: [{right: {set: {who: outer, at: "${ $error.instance }"}}}]}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      who: outer
      at: /do/0/outer/try/0/limited
      """
    And 1 minute should have passed

  Scenario: Of two that pass at the same time the outer one counts
    Given the workflow:
      """yaml
      do:
        - outer:
            timeout: {after: PT1M}
            try: [{inner: {wait: PT1H, timeout: {after: PT1M}}}]
            catch: {do: [{wrong: {set: {}}}]}
      """
    When the workflow is executed
    Then the workflow should fault with 'timeout' at '/do/0/outer'

  Scenario: A timeout covers retries and branches
    Given the workflow:
      """yaml
      do:
        - limited:
            timeout: {after: PT10S}
            fork:
              branches:
                - waits: {listen: {to: {one: {with: {type: never}}}}}
                - tries:
                    try: [{ask: {call: "f:1.0.0@agents"}}]
                    catch: {retry: {delay: PT6S, limit: {attempt: {count: 9}}}}
      """
    And the agent 'f' fails with 'communication'
    When the workflow is executed
    Then the workflow should fault with 'timeout' at '/do/0/limited'
    And the calls should be: f, f
    And 10 seconds should have passed

  Scenario: What an agent calls a timeout is its error, and can be caught inside
    Given the workflow:
      """yaml
      do:
        - limited:
            timeout: {after: PT1H}
            do:
              - guarded:
                  try: [{sub: {run: {workflow: {namespace: test, name: other, version: "1.0.0"}}}}]
                  catch: {do: [{tell: {set: {caught: true}}}]}
      """
    And another workflow 'other':
      """yaml
      do: [{pause: {wait: PT1H, timeout: {after: PT1M}}}]
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      caught: true
      """
