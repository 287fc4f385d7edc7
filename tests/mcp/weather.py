"""Weather: a server of others, written with the official SDK, which changes its tools."""

import sys
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError


def weather_server(days: int = 1, *, with_alerts: bool = False, calls: Any = None) -> MCPServer:
    """Make the server. *days*: the default of a tool, which its schema has."""
    server = MCPServer("weather")

    @server.tool()
    def forecast(city: str, days: int = days) -> str:
        """Tell the weather."""
        if calls is not None:
            calls.append(city)
        if city == "Atlantis":
            raise ToolError("no such city")
        return f"{city}: sun for {days} days"

    if with_alerts:

        @server.tool()
        def alerts(city: str) -> list[str]:
            """List warnings."""
            return [city]

    return server


if __name__ == "__main__":
    weather_server(int((sys.argv[1:] or ["1"])[0])).run()
