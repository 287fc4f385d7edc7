"""Clients: the official client with a person who answers its forms."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from attrs import define, field
from mcp.client.client import Client
from mcp.client.context import ClientRequestContext
from mcp_types import (
    CallToolResult,
    ElicitRequestParams,
    ElicitResult,
    ReadResourceResult,
    TextContent,
    TextResourceContents,
)

from arvo import Runtime, System
from arvo.mcp import mcp_server
from tests.mcp.expenses import DOMAIN, leave_open, system

# Long enough for any machine: a test ends by its result, not by this time.
CALL_SECONDS: Final = 30.0
# The newest version of the protocol, and the newest one that begins with a handshake.
MODES: Final = ("auto", "legacy")


@define
class Person:
    """Answers forms in turn. *forms*: the messages and the schemas of those that were shown."""

    answers: list[ElicitResult]
    forms: list[tuple[str, Mapping[str, Any]]] = field(factory=list)

    async def __call__(
        self, context: ClientRequestContext, params: ElicitRequestParams
    ) -> ElicitResult:
        del context
        self.forms.append((params.message, getattr(params, "requested_schema", {})))
        return self.answers.pop(0)


def accept(**content: Any) -> ElicitResult:
    return ElicitResult(action="accept", content=content)


GRANT: Final = accept(outcome="evt.human.decided", granted=True)
DECLINE: Final = ElicitResult(action="decline")
CLOSE: Final = ElicitResult(action="cancel")


@asynccontextmanager
async def runtime_of(
    loaded: System = system, backend: Any = None, *, listens: bool = True
) -> AsyncIterator[Runtime]:
    """Run a system whose questions wait for a person."""
    runtime = Runtime(loaded) if backend is None else Runtime(loaded, backend)
    if listens:
        runtime.on_domain(DOMAIN)(leave_open)
    async with runtime:
        yield runtime


@asynccontextmanager
async def client_of(
    runtime: Runtime, mode: Any = "auto", person: Person | None = None, **options: Any
) -> AsyncIterator[Client]:
    """Connect a client to a server of a runtime, in this process."""
    server = mcp_server(runtime, **{"timeout": CALL_SECONDS, **options})
    async with Client(server, mode=mode, elicitation_callback=person) as client:
        yield client


def text_of(result: CallToolResult) -> str:
    [content] = result.content
    assert isinstance(content, TextContent)
    return content.text


def text_in(read: ReadResourceResult) -> str:
    [content] = read.contents
    assert isinstance(content, TextResourceContents)
    return content.text
