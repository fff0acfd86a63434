"""A test kit for orchestrators of A2A agents; docs/torture.md says what it asks, and how to be asked.

It knows an orchestrator by its adapter alone. Nothing here imports the coordinator (ADR-0020).
"""
