"""Sends one step to one agent as a transaction on the A2A task life cycle (ADR-0005)."""
