"""Remote: the tools of another MCP server as tools of an agent."""

import re
from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias, cast, final

import orjson
from attrs import frozen
from mcp.client.client import Client
from mcp_types import TextContent

from arvo.agents.tools import PATIENCE, Tool
from arvo.core.command import Emit
from arvo.core.contracts.simple import SimpleContract
from arvo.core.contracts.version_spec import Version
from arvo.core.events.event import Event
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.handlers.duration import to_timedelta
from arvo.handlers.effect import Effects, Retry
from arvo.handlers.effect import call as call_effect
from arvo.handlers.event_handler import EventHandler
from arvo.mcp.pins import Pin, Pins, list_pins
from arvo.mcp.results import KEY_META

# What the official client connects to: a URL, the parameters of a command, a server in this
# process, or an open transport.
Server: TypeAlias = Any
CALL_SECONDS: Final = 60.0
VERSION: Final = "1.0.0"
_RESULT: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "structured": {}},
    "required": ["text"],
}


class ToolChanged(Exception):
    """A server lists a tool otherwise than its pin has it, so it is not called."""


class ToolFailed(Exception):
    """A tool of a server has failed; the message is what the server says of it."""


def tools(
    path: str | Path,
    server: Server,
    *,
    only: Collection[str] | None = None,
    retry: Retry | None = None,
    timeout: float | timedelta = CALL_SECONDS,
    patience: timedelta | float | None = PATIENCE,
) -> list[Tool]:
    """Make tools of an agent from the pinned tools of an MCP server.

    *path*: the file that `arvo mcp pin` has written. *server*: where it is, as the `Client` of the
    MCP SDK takes it: a URL, or `StdioServerParameters` of its command. *only*: the names of some
    tools. Each call connects, lists the tools, and calls the one: if the server lists it otherwise
    than the pin has it, the call fails with `ToolChanged`, and the model reads that. A call is an
    effect with *retry* and *timeout*; the id of its request is in the `_meta` of the call, under
    `arvo/idempotency-key`. *patience*: see `tool`. Raises `Violated` for a file that holds no pins,
    and for unknown names.
    """
    pins = Pins.read(Path(path))
    chosen = pins.tools if only is None else {name: pins.tools.get(name) for name in only}
    missing = [name for name, pin in chosen.items() if pin is None]
    if missing:
        issue = Issue("only", f"names of {', '.join(pins.tools)}", ", ".join(missing))
        raise Violated(ConfigViolation(f"{path} pins no such tool", issue))
    spans = None if patience is None else to_timedelta("patience", patience)
    remote = _Remote(server, pins.server, retry, timeout)
    return [remote.tool(pin, spans) for pin in chosen.values() if pin is not None]


@final
@frozen(eq=False)
class _Remote:
    server: Server
    name: str
    retry: Retry | None
    timeout: float | timedelta

    def tool(self, pin: Pin, patience: timedelta | None) -> Tool:
        words = re.sub(r"[^a-z0-9]+", ".", pin.name.lower()).strip(".")
        contract = SimpleContract(
            uri=f"#/mcp/{self.name}/{pin.name}",
            type=f"mcp.{self.name}.{words}",
            description=pin.description or pin.name,
            versions={VERSION: Version(accepts=pin.input_schema, emits=_RESULT)},
        )

        [emitted] = contract[VERSION].emitted

        async def invoke(key: str, arguments: str) -> Mapping[str, Any]:
            return await self._call(pin, key, orjson.loads(arguments))

        def work(event: Event[Any]) -> Effects[Emit]:
            arguments = orjson.dumps(event.to_dict()["data"], default=dict).decode()
            result = yield from call_effect(
                invoke, event.id, arguments, retry=self.retry, timeout=self.timeout
            )
            return Emit(result, type=emitted)

        name = re.sub(r"[^A-Za-z0-9_-]", "_", f"{self.name}_{pin.name}")
        return Tool(
            name=name,
            description=contract.description or name,
            contract=contract[VERSION],
            handler=EventHandler(contract, {VERSION: work}),
            patience=patience,
        )

    async def _call(self, pin: Pin, key: str, arguments: dict[str, Any]) -> Mapping[str, Any]:
        result, meta = None, {KEY_META: key}
        # Raised behind the block: the client would put it into a group of exceptions.
        async with Client(self.server) as client:
            listed = (await list_pins(client, self.name)).tools.get(pin.name)
            if listed == pin:
                result = await client.call_tool(pin.name, arguments, meta=cast("Any", meta))
        if result is None:
            state = "is gone" if listed is None else "has changed"
            text = f"the tool {pin.name} of {self.name} {state} since it was pinned"
            raise ToolChanged(f"{text}: review it, and run `arvo mcp pin` again")
        texts = [it.text for it in result.content if isinstance(it, TextContent)]
        if result.is_error:
            raise ToolFailed("\n".join(texts))
        return {"text": "\n".join(texts), "structured": result.structured_content}
