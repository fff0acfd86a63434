"""The matching agent: says what may be done with an invoice.

It reads nothing but its input, and decides by the policy file that it was started with
(matching_rules.py).
"""

from __future__ import annotations

from pathlib import Path

from parley_agents.matching_contract import MatchDecision, MatchRequest
from parley_agents.matching_policy import load_policy
from parley_agents.matching_rules import decide
from parley_agents.runtime import Agent, SkillTask


def create_agent(policy_file: Path) -> Agent:
    """Return the agent.

    Raises:
        InvalidPolicyError: If there is no policy to decide by.
    """
    policy = load_policy(policy_file)
    agent = Agent("matching")

    @agent.skill("match-invoice")
    async def match_invoice(_: SkillTask, request: MatchRequest) -> MatchDecision:
        return decide(request, policy)

    return agent
