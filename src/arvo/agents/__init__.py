"""Agents: workflows whose steps a model decides, with policies, budgets and durable tools."""

from arvo.agents.agent import Agent
from arvo.agents.budget import Budget
from arvo.agents.compaction import Compaction, drop_results, keep_last
from arvo.agents.conversation import (
    Answer,
    Conversation,
    Message,
    Model,
    PendingCall,
    Prompt,
    ToolCall,
    ToolSpec,
    Usage,
)
from arvo.agents.policy import (
    Allow,
    Approve,
    Approved,
    Deny,
    NeedsApproval,
    Policy,
    Refused,
    Verdict,
    approval,
    by_tool,
)
from arvo.agents.role import Role
from arvo.agents.tools import Key, Tool, tool

__all__ = [
    "Agent",
    "Allow",
    "Answer",
    "Approve",
    "Approved",
    "Budget",
    "Compaction",
    "Conversation",
    "Deny",
    "Key",
    "Message",
    "Model",
    "NeedsApproval",
    "PendingCall",
    "Policy",
    "Prompt",
    "Refused",
    "Role",
    "Tool",
    "ToolCall",
    "ToolSpec",
    "Usage",
    "Verdict",
    "approval",
    "by_tool",
    "drop_results",
    "keep_last",
    "tool",
]
