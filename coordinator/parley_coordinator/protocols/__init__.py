"""Calls of protocols from a workflow: HTTP, OpenAPI, A2A and MCP, to whoever serves them."""
