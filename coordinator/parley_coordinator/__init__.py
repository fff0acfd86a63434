"""Deciding: runs workflows, sends work to agents, asks people, and can say why."""
