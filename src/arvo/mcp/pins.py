"""Pins: the tools of another MCP server as they were listed once, in a file under review."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, final

import orjson
from attrs import frozen
from mcp.client.client import Client
from mcp_types import Tool as ListedTool

from arvo.core.violations.issue import Issue, one_line, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated

BYTES_MAX: Final = 8 * 1024 * 1024
TOOLS_MAX: Final = 1_000
_NAME: Final = re.compile(r"[a-z][a-z0-9]{0,30}")


@final
@frozen
class Pin:
    """One tool: the description that a model reads, and the schemas of arguments and result."""

    name: str
    description: str
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, tool: ListedTool) -> "Pin":
        """Return the pin of a tool as a server lists it."""
        return cls(tool.name, tool.description or "", tool.input_schema, tool.output_schema)

    def to_dict(self) -> dict[str, Any]:
        """Return the pin as JSON data."""
        return {
            "name": self.name,
            "description": self.description,
            "inputSchema": self.input_schema,
            "outputSchema": self.output_schema,
        }


@final
@frozen
class Pins:
    """The tools of a server. *server*: its name in contracts, such as `weather`."""

    server: str
    tools: Mapping[str, Pin]

    @classmethod
    def of(cls, server: str, tools: Iterable[Pin]) -> "Pins":
        """Return the pins in the order of their names; raises `Violated` for a bad *server*."""
        if not _NAME.fullmatch(server):
            issue = Issue("server", "a word such as weather: a-z and 0-9", short_repr(server))
            raise Violated(ConfigViolation("these tools need a name of their server", issue))
        ordered = sorted(tools, key=lambda it: it.name)
        if len(ordered) > TOOLS_MAX:
            issue = Issue("tools", f"at most {TOOLS_MAX}", str(len(ordered)))
            raise Violated(ConfigViolation(f"the server {server} has too many tools", issue))
        return cls(server, {tool.name: tool for tool in ordered})

    @classmethod
    def read(cls, path: Path) -> "Pins":
        """Read a file that `write` has made; raises `Violated`, which names the file."""
        try:
            with path.open("rb") as file:
                content = orjson.loads(file.read(BYTES_MAX))
            match content:
                case {"format": 1, "server": str(server), "tools": [*tools]}:
                    return cls.of(server, [Pin(**_fields(it)) for it in tools])
                case _:
                    got = "something else"
        except (OSError, ValueError, TypeError, KeyError) as error:
            got = one_line(f"{type(error).__name__}: {error}")
        issue = Issue(str(path), "a file that `arvo mcp pin` has written", got)
        raise Violated(ConfigViolation("these pins cannot be read", issue))

    def write(self) -> bytes:
        """Return the content of the file, in which a change of a tool is a change of few lines."""
        content = {
            "format": 1,
            "server": self.server,
            "tools": [tool.to_dict() for tool in self.tools.values()],
        }
        options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
        return orjson.dumps(content, option=options)

    def changes(self, listed: "Pins") -> Iterator[str]:
        """Yield a line for each tool that *listed* adds, lacks or changes."""
        for name in sorted(self.tools.keys() | listed.tools.keys()):
            before, after = self.tools.get(name), listed.tools.get(name)
            if before is None:
                yield f"added {name}"
            elif after is None:
                yield f"removed {name}"
            elif before != after:
                old, new = before.to_dict(), after.to_dict()
                yield f"changed {name}: {', '.join(key for key in old if old[key] != new[key])}"


def _fields(tool: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": tool["name"],
        "description": tool["description"],
        "input_schema": tool["inputSchema"],
        "output_schema": tool["outputSchema"],
    }


async def list_pins(client: Client, server: str | None = None) -> Pins:
    """List the tools of the server that a client is connected to.

    *server*: its name in contracts; by default the name that it gives itself.
    """
    tools: list[Pin] = []
    cursor = None
    while True:
        page = await client.list_tools(cursor=cursor, cache_mode="bypass")
        tools += map(Pin.of, page.tools)
        cursor = page.next_cursor
        if cursor is None or len(tools) > TOOLS_MAX:
            break
    if server is None:
        info = client.server_info
        server = re.sub(r"[^a-z0-9]", "", (info.name if info else "").lower())
    return Pins.of(server, tools)


async def pin(
    client: Client, path: str | Path, *, server: str | None = None, check: bool = False
) -> tuple[str, ...]:
    """Write the tools that a server lists to a file, and return a line for each change in it.

    As `arvo mcp pin` does it, for a server that needs more than a URL. *client*: the connected one
    of the MCP SDK. *server*: its name in contracts; by default that in the file, or the one that
    the server gives itself. *check*: change nothing; the file must be there. Raises `Violated` for
    a file that holds something else.
    """
    file = Path(path)
    before = Pins.read(file) if check or file.exists() else None  # noqa: ASYNC240 - a small local file
    listed = await list_pins(client, server or (before.server if before else None))
    if not check:
        file.write_bytes(listed.write())  # noqa: ASYNC240
    return tuple((before or Pins(listed.server, {})).changes(listed))
