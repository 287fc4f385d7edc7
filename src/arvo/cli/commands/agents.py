"""Agents: the command that shows the conversation of a run of an agent."""

from collections.abc import Iterator
from typing import Any, Final

import orjson
from cyclopts import App

from arvo.agents.agent import Agent
from arvo.agents.conversation import Conversation, Message, ToolCall
from arvo.agents.role import Role
from arvo.cli.terminal.errors import UsageError
from arvo.cli.terminal.load import SystemName, Url, load_system, require_existing
from arvo.cli.terminal.output import TEXT, Output
from arvo.core.payloads.secrets import HIDDEN, hide_secrets
from arvo.core.record import Record
from arvo.core.violations.issue import short_repr
from arvo.engine.query import query
from arvo.engine.system.system import System
from arvo.interpreters.runtime.client import Client
from arvo.printable import printable

agent_app: Final = App(name="agent", help="Show the conversations of agents.")
# The most characters of a text on its line.
TEXT_MAX: Final = 2_000
_INDENT: Final = " " * 13


@agent_app.command
async def show(
    system: SystemName, workflow: str, /, *, backend: Url, output: Output = TEXT
) -> None:
    """Show a run of an agent: its messages, its calls of tools, and what waits for a person.

    WORKFLOW is its workflow id or its subject. Values that are secret in the contract of a tool are
    hidden.
    """
    loaded = load_system(system, backend)
    async with Client(loaded, require_existing(backend)) as client:
        record = await client.record(workflow)
    if record is None:
        raise UsageError(f"{workflow}: no workflow has this id or subject")
    role, state = _read(loaded, record)
    output.show(_content(record, role, state), "\n".join(_lines(record, role, state)))


def _read(system: System, record: Record) -> tuple[Role, Conversation]:
    handler = system.handler_at(record.handler)
    if not isinstance(handler, Agent):
        raise UsageError(f"{record.handler}: expected an agent of this system")
    if record.version not in handler.roles:
        known = ", ".join(handler.roles)
        raise UsageError(f"{record.handler}: version {record.version} is none of {known}")
    # A run that has not ended its first turn has no state.
    state = None if record.state is None else query(system, record)
    return handler.roles[record.version], Conversation() if state is None else state


def _content(record: Record, role: Role, state: Conversation) -> dict[str, Any]:
    return {
        "subject": record.subject,
        "handler": record.handler,
        "version": record.version,
        "status": record.status,
        "steps": state.steps,
        "spent": {
            "input_tokens": state.spent.input_tokens,
            "output_tokens": state.spent.output_tokens,
            "money": state.spent.money,
        },
        "messages": [
            {
                "role": message.role,
                "text": message.text,
                "calls": [_call(role, call) for call in message.calls],
            }
            for message in state.messages
        ],
        "pending": [{**_call(role, it.call), "stage": it.stage} for it in state.pending],
    }


def _call(role: Role, call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "tool": call.tool, "arguments": _arguments(role, call)}


def _arguments(role: Role, call: ToolCall) -> Any:
    """Return the arguments of a call without secrets; hidden where no tool says which they are."""
    tool = role.tool(call.tool)
    try:
        data = orjson.loads(call.arguments or "{}")
    except ValueError:
        return short_repr(call.arguments)
    return HIDDEN if tool is None else hide_secrets(tool.contract.accepted.schema, data)


def _lines(record: Record, role: Role, state: Conversation) -> Iterator[str]:
    spent = state.spent
    yield f"{record.handler} {record.version}: {record.status}"
    tokens = f"{spent.input_tokens} + {spent.output_tokens} tokens"
    yield f"  {state.steps} steps, {tokens}, {spent.money:g} spent"
    for message in state.messages:
        yield from _message_lines(role, message)
    for pending in state.pending:
        what = "the approval of" if pending.stage == "approval" else "the result of"
        yield f"  waits for  {what} {_call_text(role, pending.call)}"
    if record.failure is not None:
        yield f"  failed     {printable(f'{record.failure.name}: {record.failure.message}')}"


def _message_lines(role: Role, message: Message) -> Iterator[str]:
    if message.text or not message.calls:
        yield f"  {message.role:<10} {printable(message.text, TEXT_MAX)}"
    for call in message.calls:
        yield f"{_INDENT}calls {_call_text(role, call)}"


def _call_text(role: Role, call: ToolCall) -> str:
    arguments = orjson.dumps(_arguments(role, call)).decode()
    return printable(f"{call.tool} {arguments}", TEXT_MAX)
