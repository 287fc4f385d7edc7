"""Agents: tests of agents with scripted and drawn models, without a network."""

from arvo.extras import needs_extra

with needs_extra("arvo.testing.agents"):
    import hypothesis as _hypothesis  # noqa: F401 - the extra

from arvo.testing.agents.again import Comparison, again
from arvo.testing.agents.answers import answers
from arvo.testing.agents.check_agent import check_agent
from arvo.testing.agents.scripted import scripted

__all__ = ["Comparison", "again", "answers", "check_agent", "scripted"]
