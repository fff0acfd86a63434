Feature: Run
  A workflow runs another one, and waits for it unless it says otherwise.

  Background:
    Given another workflow 'double':
      """yaml
      do:
        - rest: {wait: PT5M}
        - times: {set: {n: "${ .n * 2 }"}}
      """
    And another workflow 'broken':
      """yaml
      do: [{stop: {raise: {error: {type: "urn:broken", status: 409, title: Broken}}}}]
      """

  Scenario: Its output is that of the other workflow
    Given the workflow:
      """yaml
      do:
        - sub: {run: {workflow: {namespace: test, name: double, version: "1.0.0", input: {n: "${ .n }"}}}}
        - next: {set: {n: "${ .n + 1 }"}}
      """
    And given the workflow input is:
      """yaml
      n: 4
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 9
      """
    And 5 minutes should have passed

  Scenario: Without waiting its output is its input
    Given the workflow:
      """yaml
      do: [{sub: {run: {await: false, workflow: {namespace: test, name: double, version: "1.0.0", input: {n: 2}}}}}]
      """
    And given the workflow input is:
      """yaml
      n: 4
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 4
      """
    And 'double' should be called with:
      """yaml
      n: 2
      """
    And 0 seconds should have passed

  Scenario: Its output may be left alone
    Given the workflow:
      """yaml
      do: [{sub: {run: {return: none, workflow: {namespace: test, name: double, version: "1.0.0", input: {n: 2}}}}}]
      """
    And given the workflow input is:
      """yaml
      n: 4
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      n: 4
      """
    And 5 minutes should have passed

  Scenario: A fault of the other workflow passes on, and can be caught
    Given the workflow:
      """yaml
      do:
        - guarded:
            try: [{sub: {run: {workflow: {namespace: test, name: broken, version: latest}}}}]
            catch:
              errors: {with: {type: "urn:broken", status: 409}}
              do: [{tell: {set: {title: "${ $error.title }"}}}]
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      title: Broken
      """

  Scenario: Two run at the same time, and one is late
    Given the workflow:
      """yaml
      do:
        - both:
            fork:
              branches:
                - one: {run: {workflow: {namespace: test, name: double, version: "1.0.0", input: {n: 1}}}}
                - two:
                    try:
                      - sub:
                          run: {workflow: {namespace: test, name: double, version: "1.0.0", input: {n: 2}}}
                          timeout: {after: PT1M}
                    catch: {do: [{tell: {set: {late: true}}}]}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      [{n: 2}, {late: true}]
      """
    And 5 minutes should have passed
