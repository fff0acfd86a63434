"""Runs jq programs in worker processes that can be killed (ADR-0012)."""
