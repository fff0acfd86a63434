Feature: Retries
  Retry n waits `delay` times 1, n or 2^(n-1), and a jitter; limits bound their number and their time.

  Scenario Outline: Delays are constant or grow, and time is virtual
    Given the workflow:
      """yaml
      do:
        - guarded:
            try: [{ask: {call: "f:1.0.0@agents"}}]
            catch: {retry: {delay: PT10S, backoff: {<backoff>: {}}, limit: {attempt: {count: 5}}}}
      """
    And the agent 'f' fails 4 times with 'communication', then answers:
      """yaml
      done
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      done
      """
    And <passed> seconds should have passed
    And the calls should be: f, f, f, f, f

    Examples:
      | backoff     | passed |
      | constant    | 40     |
      | linear      | 100    |
      | exponential | 150    |

  Scenario: A jitter is added between its bounds
    Given the workflow:
      """yaml
      do:
        - guarded:
            try: [{ask: {call: "f:1.0.0@agents"}}]
            catch: {retry: {delay: PT10S, jitter: {from: PT2S, to: PT4S}, limit: {attempt: {count: 1}}}}
      """
    And the agent 'f' fails 1 times with 'communication', then answers:
      """yaml
      done
      """
    When the workflow is executed
    Then the workflow should complete
    And between 12 seconds and 14 seconds should have passed

  Scenario: When retries are exhausted the last error goes on, past its own handler
    Given the workflow:
      """yaml
      do:
        - outer:
            try:
              - inner:
                  try: [{ask: {call: "f:1.0.0@agents"}}]
                  catch: {retry: {delay: PT1S, limit: {attempt: {count: 2}}}}
            catch: {do: [{tell: {set: {at: "${ $error.instance }"}}}]}
      """
    And the agent 'f' fails with 'communication'
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      at: /do/0/outer/try/0/inner/try/0/ask
      """
    And the calls should be: f, f, f
    And 2 seconds should have passed

  Scenario: A limit in time bounds the start of the last attempt
    Given the workflow:
      """yaml
      do:
        - guarded:
            try: [{ask: {call: "f:1.0.0@agents"}}]
            catch: {retry: {delay: PT5S, limit: {duration: PT10S}}}
      """
    And the agent 'f' fails with 'communication'
    When the workflow is executed
    Then the workflow should fault with 'communication' at '/do/0/guarded/try/0/ask'
    And the calls should be: f, f, f
    And 10 seconds should have passed

  Scenario: A limit of an attempt ends it with a timeout, and the next one begins
    Given the workflow:
      """yaml
      do:
        - guarded:
            try: [{ask: {call: "f:1.0.0@agents"}}]
            catch: {retry: {delay: PT1S, limit: {attempt: {count: 1, duration: PT30S}}}}
      """
    And the agent 'f' answers after 5 minutes:
      """yaml
      late
      """
    When the workflow is executed
    Then the workflow should fault with 'timeout' at '/do/0/guarded'
    And 61 seconds should have passed

  Scenario Outline: A policy by name asks its own conditions
    Given the workflow:
      """yaml
      use:
        retries:
          polite: {delay: PT1S, when: "${ $error.status == 503 }", exceptWhen: "${ .impatient }", limit: {attempt: {count: 3}}}
      do:
        - guarded:
            try: [{broken: {raise: {error: {type: "urn:x", status: <status>}}}}]
            catch: {retry: polite}
      """
    And given the workflow input is:
      """yaml
      impatient: <impatient>
      """
    When the workflow is executed
    Then the workflow should fault
    And <passed> seconds should have passed

    Examples:
      | status | impatient | passed |
      | 503    | false     | 3      |
      | 404    | false     | 0      |
      | 503    | true      | 0      |

  Scenario: Each attempt starts with the original input, and exports stay
    Given the workflow:
      """yaml
      do:
        - guarded:
            try:
              - first: {set: {n: "${ .n + 1 }"}, export: {as: "${ {tries: (($context.tries // 0) + 1)} }"}}
              - ask: {call: "f:1.0.0@agents", with: {n: "${ .n }"}}
            catch: {retry: {limit: {attempt: {count: 3}}}}
      output: {as: "${ {tries: $context.tries} }"}
      """
    And given the workflow input is:
      """yaml
      n: 1
      """
    And the agent 'f' fails 2 times with 'communication', then answers:
      """yaml
      done
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      tries: 3
      """
    And 'f' should be called with:
      """yaml
      n: 2
      """

  Scenario: Nested policies multiply
    Given the workflow:
      """yaml
      use: {retries: {twice: {limit: {attempt: {count: 1}}}}}
      do:
        - outer:
            try:
              - inner: {try: [{ask: {call: "f:1.0.0@agents"}}], catch: {retry: twice}}
            catch: {retry: twice}
      """
    And the agent 'f' fails with 'communication'
    When the workflow is executed
    Then the workflow should fault with 'communication' at '/do/0/outer/try/0/inner/try/0/ask'
    And the calls should be: f, f, f, f

  Scenario: With a handler in the same catch, it runs when retries are exhausted
    Given the workflow:
      """yaml
      do:
        - guarded:
            try: [{ask: {call: "f:1.0.0@agents"}}]
            catch:
              retry: {delay: PT1S, limit: {attempt: {count: 2}}}
              do: [{tell: {set: {at: "${ $error.instance }"}}}]
      """
    And the agent 'f' fails with 'communication'
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      at: /do/0/guarded/try/0/ask
      """
    And the calls should be: f, f, f
