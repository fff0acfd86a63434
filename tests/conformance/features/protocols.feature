Feature: Protocol calls
  HTTP and OpenAPI are sent for real, to servers on this machine; MCP and A2A are played.

  Scenario: Endpoint, query, headers and body are evaluated
    Given the public services
    And the workflow:
      """yaml
      do:
        - send:
            call: http
            with:
              method: put
              endpoint: https://shop.example/echo
              query: {page: "${ .page }", fixed: "yes"}
              headers: {X-Trace: "${ .trace }"}
              body: {order: "${ .order }"}
            output: {as: "${ {method, query, trace: .headers[\"x-trace\"], sent: (.body | fromjson)} }"}
      """
    And given the workflow input is:
      """yaml
      {page: 2, trace: t-1, order: A-1}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      {method: PUT, query: {page: "2", fixed: "yes"}, trace: t-1, sent: {order: A-1}}
      """

  Scenario Outline: A URI template takes scalars of the input and quotes them
    Given the workflow:
      """yaml
      do:
        - send: {call: http, with: {method: get, endpoint: "https://shop.example/{a}/x?b={b}"}, output: {as: .endpoint}}
      """
    And given the workflow input is:
      """yaml
      <input>
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      <uri>
      """

    Examples:
      | input                   | uri                                        |
      | {a: 1, b: two}          | https://shop.example/1/x?b=two             |
      | {a: "1/2 3", b: true}   | https://shop.example/1%2F2%203/x?b=true    |
      | {a: x}                  | https://shop.example/x/x?b=                |

  Scenario: A URI template takes no objects
    Given the workflow:
      """yaml
      do: [{send: {call: http, with: {method: get, endpoint: "https://shop.example/{a}"}}}]
      """
    And given the workflow input is:
      """yaml
      a: {b: 1}
      """
    When the workflow is executed
    Then the workflow should fault with 'expression' at '/do/0/send'
    And nobody should be called

  Scenario Outline: A status that is no success is an error with that status
    Given the public services
    And the workflow:
      """yaml
      do: [{send: {call: http, with: {method: get, endpoint: "https://shop.example/status/{status}"}}}]
      """
    And given the workflow input is:
      """yaml
      status: <status>
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      {type: "https://serverlessworkflow.io/spec/1.0.0/errors/<type>", status: <status>, instance: /do/0/send}
      """

    Examples:
      | status | type          |
      | 404    | communication |
      | 503    | communication |
      | 408    | communication |

  Scenario Outline: A redirect is an error unless it is to be followed
    Given the public services
    And the workflow:
      """yaml
      do: [{send: {call: http, with: {method: get, endpoint: "https://shop.example/moved", redirect: <redirect>}}}]
      """
    When the workflow is executed
    Then the workflow should <end>

    Examples:
      | redirect | end      |
      | false    | fault    |
      | true     | complete |

  Scenario: What is not JSON is text
    Given the public services
    And the workflow:
      """yaml
      do: [{send: {call: http, with: {method: get, endpoint: "https://shop.example/text"}}}]
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      plain words
      """

  Scenario: A host that nobody allowed is not asked
    Given the public services
    And the workflow:
      """yaml
      do: [{send: {call: http, with: {method: get, endpoint: "https://elsewhere.example/"}}}]
      """
    When the workflow is executed
    Then the workflow should fault with 'authorization' at '/do/0/send'

  Scenario: An operation of an OpenAPI document
    Given the public services
    And the workflow:
      """yaml
      do:
        - find:
            call: openapi
            with:
              document: {endpoint: "https://petstore.swagger.io/v2/swagger.json"}
              operationId: getPetById
              parameters: {petId: "${ .id }"}
            output: {as: .name}
      """
    And given the workflow input is:
      """yaml
      id: 2
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      Tom
      """

  Scenario Outline: What an OpenAPI document does not allow is not sent
    Given the public services
    And the workflow:
      """yaml
      do:
        - find:
            call: openapi
            with: {document: {endpoint: "https://petstore.swagger.io/v2/swagger.json"}, operationId: <operation>, parameters: <parameters>}
      """
    When the workflow is executed
    Then the workflow should fault with '<error>' at '/do/0/find'

    Examples:
      | operation  | parameters   | error         |
      | unknown    | {}           | configuration |
      | getPetById | {}           | validation    |
      | getPetById | {petId: 999} | communication |

  Scenario: A tool of an MCP server
    Given the workflow:
      """yaml
      do:
        - tool:
            call: mcp
            with:
              method: tools/call
              parameters: {name: add, arguments: {a: "${ .a }"}}
              transport: {http: {endpoint: "https://tools.example/{server}"}}
              timeout: {seconds: 5}
            output: {as: .structuredContent}
      """
    And given the workflow input is:
      """yaml
      {a: 1, server: calculator}
      """
    And the protocol 'mcp' answers:
      """yaml
      {structuredContent: {sum: 2}, isError: false}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      sum: 2
      """
    And 'mcp' should be called with:
      """yaml
      protocolVersion: "2025-06-18"
      method: tools/call
      parameters: {name: add, arguments: {a: 1}}
      endpoint: https://tools.example/calculator
      headers: {}
      timeout: 5.0
      client: null
      """

  Scenario: A message to an agent by its card
    Given the workflow:
      """yaml
      do:
        - tell:
            call: a2a
            with:
              method: message/send
              agentCard: {endpoint: "https://agent.example/card.json"}
              parameters: {message: {parts: [{kind: text, text: "${ .text }"}]}}
            output: {as: .id}
      """
    And given the workflow input is:
      """yaml
      text: Hello
      """
    And the protocol 'a2a' answers after 2 hours:
      """yaml
      {id: task-1, status: {state: TASK_STATE_COMPLETED}}
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      task-1
      """
    And 'a2a' should be called with:
      """yaml
      method: message/send
      agentCard: https://agent.example/card.json
      parameters: {message: {parts: [{kind: text, text: Hello}]}}
      """

  Scenario: An agent that fails is an error that can be retried
    Given the workflow:
      """yaml
      do:
        - guarded:
            try: [{tell: {call: a2a, with: {method: message/send, server: "https://agent.example/a2a"}}}]
            catch: {errors: {with: {status: 500}}, retry: {delay: PT1M, limit: {attempt: {count: 2}}}}
      """
    And the protocol 'a2a' fails 2 times with 'runtime', then answers:
      """yaml
      done
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      done
      """
    And 2 minutes should have passed
