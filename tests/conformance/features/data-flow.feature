Feature: Data flow
  What goes into a task and what comes out of it can be chosen and checked; results that later tasks
  need are exported to the context.

  Scenario: An input is built leaf by leaf
    Given the workflow:
      """yaml
      do:
        - order:
            input: {from: {id: "${ .order.id }", lines: ["${ .order.line }", 2], fixed: yes}}
            set: "${ . }"
      """
    And given the workflow input is:
      """yaml
      order: {id: A-1, line: 1}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      {id: A-1, lines: [1, 2], fixed: "yes"}
      """

  Scenario: The schema of an input is held against the raw input
    Given the workflow:
      """yaml
      do:
        - strict:
            input:
              schema: {document: {type: object, required: [id]}}
              from: "${ {id: 1} }"
            set: {}
      """
    When the workflow is executed
    Then the workflow should fault with 'validation' at '/do/0/strict'

  Scenario: The input of the workflow is checked, then transformed
    Given the workflow:
      """yaml
      input:
        schema: {document: {type: object, required: [customer]}}
        from: .customer
      do:
        - greet: {set: {name: "${ .name }", raw: "${ $workflow.input.customer.name }"}}
      """
    And given the workflow input is:
      """yaml
      customer: {name: Ada}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      {name: Ada, raw: Ada}
      """

  Scenario: A workflow refuses an input that does not fit
    Given the workflow:
      """yaml
      input: {schema: {document: {type: object, required: [customer]}}}
      do: [{never: {set: {}}}]
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      type: https://serverlessworkflow.io/spec/1.0.0/errors/validation
      status: 400
      """

  Scenario: The output of a task sees its input, and its schema the transformed output
    Given the workflow:
      """yaml
      do:
        - count:
            input: {from: "${ {n: 20} }"}
            set: {n: 1}
            output:
              as: "${ $input.n + .n }"
              schema: {document: {type: number}}
        - wrong:
            set: {n: 1}
            output: {as: "${ .n | tostring }", schema: {document: {type: number}}}
      """
    When the workflow is executed
    Then count should complete with output:
      """yaml
      21
      """
    And the workflow should fault with 'validation' at '/do/1/wrong'

  Scenario: An export replaces the context, which is null at first
    Given the workflow:
      """yaml
      do:
        - one: {set: {a: 1}, export: {as: "${ {first: $context, a: .a} }"}}
        - two: {set: {b: 2}, export: {as: "${ {before: $context, b: $output.b} }"}}
        - all: {set: "${ $context }"}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      before: {first: null, a: 1}
      b: 2
      """

  Scenario: An export sees the transformed output, and has a schema of its own
    Given the workflow:
      """yaml
      do:
        - one:
            set: {a: 1}
            output: {as: .a}
            export: {as: "${ {kept: .} }", schema: {document: {properties: {kept: {type: string}}}}}
      """
    When the workflow is executed
    Then the workflow should fault with 'validation' at '/do/0/one'

  Scenario: The output of the workflow is transformed and checked last
    Given the workflow:
      """yaml
      do:
        - one: {set: {a: 1}, export: {as: "${ {seen: .a} }"}}
        - two: {set: {b: 2}}
      output:
        as: {last: "${ .b }", seen: "${ $context.seen }", asked: "${ $workflow.input.x }"}
        schema: {document: {required: [last]}}
      """
    And given the workflow input is:
      """yaml
      x: 9
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      {last: 2, seen: 1, asked: 9}
      """

  Scenario: Set replaces its input and merges nothing
    Given the workflow:
      """yaml
      do:
        - object: {set: {kept: "${ .a }", deep: {list: ["${ .b }"]}}}
        - whole: {set: "${ .deep.list }"}
      """
    And given the workflow input is:
      """yaml
      {a: 1, b: 2, c: 3}
      """
    When the workflow is executed
    Then object should complete with output:
      """yaml
      {kept: 1, deep: {list: [2]}}
      """
    And the workflow should complete with output:
      """yaml
      [2]
      """

  Scenario: A task knows its own name, place and definition
    Given the workflow:
      """yaml
      do:
        - outer:
            do:
              - inner:
                  metadata: {owner: us}
                  set:
                    name: "${ $task.name }"
                    reference: "${ $task.reference }"
                    owner: "${ $task.definition.metadata.owner }"
                    workflow: "${ $workflow.definition.document.name }"
                    runtime: "${ $runtime.name }"
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      name: inner
      reference: /do/0/outer/do/0/inner
      owner: us
      workflow: example
      runtime: parley
      """
