Feature: Secrets and authentication
  A document names secrets and how to authenticate; their values are the installation's.

  Scenario: An input may be made of a secret
    Given the workflow:
      """yaml
      use: {secrets: [region]}
      do: [{ask: {input: {from: "${ {where: $secrets.region.name} }"}, call: "f:1.0.0@agents", with: {where: "${ .where }"}}}]
      """
    And the secret 'region' is:
      """yaml
      name: north
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      {by: f, where: north}
      """

  Scenario: A secret that is not there refuses the task
    Given the workflow:
      """yaml
      use: {secrets: [region]}
      do: [{look: {input: {from: "${ $secrets.region }"}, set: {}}}]
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      {type: "https://serverlessworkflow.io/spec/1.0.0/errors/authorization", status: 403, instance: /do/0/look}
      """

  Scenario Outline: Ways to authenticate
    Given the public services
    And the workflow:
      """yaml
      use:
        secrets: [login, token]
        authentications: {named: {bearer: {use: token}}}
      do:
        - send:
            call: http
            with: {method: get, endpoint: {uri: "https://shop.example/echo", authentication: <authentication>}}
            output: {as: .headers.authorization}
      """
    And the secret 'login' is:
      """yaml
      {username: ada, password: open sesame}
      """
    And the secret 'token' is:
      """yaml
      t0ken-of-many-letters
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      <header>
      """

    Examples:
      | authentication                                         | header                          |
      | {basic: {use: login}}                                  | Basic YWRhOm9wZW4gc2VzYW1l      |
      | {basic: {username: ada, password: "${ .x // \"y\" }"}} | Basic YWRhOnk=                  |
      | {bearer: {token: "${ $secrets.token }"}}               | Bearer t0ken-of-many-letters    |
      | {use: named}                                           | Bearer t0ken-of-many-letters    |

  Scenario: Credentials that are not complete send nothing
    Given the workflow:
      """yaml
      use: {secrets: [login]}
      do:
        - send:
            call: http
            with: {method: get, endpoint: {uri: "https://shop.example/echo", authentication: {basic: {use: login}}}}
      """
    And the secret 'login' is:
      """yaml
      username: ada
      """
    When the workflow is executed
    Then the workflow should fault with 'authorization' at '/do/0/send'
    And nobody should be called

  Scenario: Credentials that a server refuses
    Given the public services
    And the workflow:
      """yaml
      do:
        - send:
            call: http
            with:
              method: get
              endpoint:
                uri: https://httpbin.org/basic-auth/ada/sesame
                authentication: {basic: {username: ada, password: wrong}}
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      {type: "https://serverlessworkflow.io/spec/1.0.0/errors/authentication", status: 401, instance: /do/0/send}
      """
