"""MCP: a system's contracts as tools of the Model Context Protocol. Needs the extra `mcp`."""

from arvo.extras import needs_extra

with needs_extra("arvo.mcp"):
    from arvo.mcp.app import mcp_app, serve_stdio
    from arvo.mcp.pins import pin
    from arvo.mcp.remote import ToolChanged, ToolFailed, tools
    from arvo.mcp.server import mcp_server

__all__ = ["ToolChanged", "ToolFailed", "mcp_app", "mcp_server", "pin", "serve_stdio", "tools"]
