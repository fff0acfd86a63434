"""The faces of the coordinator over HTTP: REST for people and programs, A2A for agents.

Nothing is decided here: every request is authenticated, read strictly, and handed to the use cases
behind the ports of `parley_coordinator.web.ports`.
"""
