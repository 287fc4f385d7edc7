"""Answers: a Hypothesis strategy for all answers of a model to an agent."""

from typing import Any

import orjson
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from arvo.agents.agent import Agent
from arvo.agents.conversation import Answer, ToolCall, Usage
from arvo.agents.tools import Tool
from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issues
from arvo.testing.strategies.payloads import payloads

CALLS_MAX = 4
TOKENS_MAX = 1_000

# Not JSON, not an object, not valid by any contract, and text that JSON cannot hold.
_NONSENSE = ("", "null", "[]", "{", "plain text", '{"unknown": 1}', "NaN", "\ud800", '"\\ud800"')


def answers(agent: Agent, version: str | None = None) -> SearchStrategy[Answer]:
    """Draw any answer of any model: of its tools and of others, valid and not.

    *version*: of the agent's contract, by default the latest. The simplest is a valid final answer.
    """
    contract = agent.contract.version(version or "latest")
    role = agent.roles[contract.version]
    final = _json(contract.completed) | st.sampled_from(_NONSENSE) | st.text(max_size=8)
    calls = st.lists(_calls(role.tools), max_size=CALLS_MAX).map(tuple)
    return st.builds(Answer, final, calls, _usage(), st.none() | st.just("opaque"))


def _calls(tools: tuple[Tool, ...]) -> SearchStrategy[ToolCall]:
    ids = st.sampled_from(("", "same", "call_0_0"))
    nonsense = st.sampled_from(_NONSENSE) | st.text(max_size=8)
    unknown = st.sampled_from(("no_such_tool", "", "\ud800"))
    known = [
        st.builds(ToolCall, st.just(it.name), _json(it.contract.accepted) | nonsense, ids)
        for it in tools
    ]
    return st.one_of(*known, st.builds(ToolCall, unknown, nonsense, ids))


def _usage() -> SearchStrategy[Usage]:
    # Binary fractions: their sums are exact in any order.
    money = st.integers(0, 16).map(lambda it: it / 64)
    return st.builds(Usage, st.integers(0, TOKENS_MAX), st.integers(0, TOKENS_MAX), money)


def _json(payload: Payload[Any]) -> SearchStrategy[str]:
    """Draw the JSON text of a payload; that of a workflow may name a parent, as a model might."""
    extra = (
        {PARENT_SUBJECT: None} if PARENT_SUBJECT in payload.schema.get("properties", {}) else None
    )

    def write(value: Any) -> str:
        written = payload.write(value, extra)
        return "{}" if isinstance(written, Issues) else orjson.dumps(written).decode()

    return payloads(payload).map(write)
