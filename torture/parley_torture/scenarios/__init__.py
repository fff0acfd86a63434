"""The scenarios, in the order in which they are told."""

from __future__ import annotations

from parley_torture.scenario import SCENARIOS

from parley_torture.scenarios import answers, transport, cards, life, people, kills, many, host  # isort: skip

__all__ = ["SCENARIOS", "answers", "cards", "host", "kills", "life", "many", "people", "transport"]
