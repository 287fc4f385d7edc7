"""Server: a runtime as a server of the Model Context Protocol."""

from collections.abc import Iterable
from math import inf
from typing import Any, Final

from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary
from mcp_types import ListToolsResult, PaginatedRequestParams

from arvo.core.violations.arguments import check_argument
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.runtime.runtime import Runtime
from arvo.mcp.calls import Calls
from arvo.mcp.catalog import Catalog
from arvo.mcp.resources import Resources
from arvo.mcp.sealing import Context, Seal, security_of
from arvo.mcp.tasks import Tasks
from arvo.mcp.workflows import Workflows

# Clients give up on a call after 30 or 60 seconds.
CALL_SECONDS: Final = 20.0


def mcp_server(
    runtime: Runtime,
    *,
    name: str = "arvo",
    contracts: Iterable[str] | None = None,
    keys: Iterable[str] = (),
    timeout: float = CALL_SECONDS,
) -> "Server[Any]":
    """Make a server of the Model Context Protocol whose tools are the contracts of a system.

    A tool of an event handler sends the event and returns the answer. A tool of a workflow begins a
    run, and returns its outcome: after at most *timeout* seconds the client calls again, and one
    that knows tasks gets a task. What the workflow asks by a domain becomes a form for the person
    at the client (elicitation). A client that cannot show forms, and one that closed the form, gets
    an id with which it waits on.

    *contracts*: the uris of the contracts that are tools; by default those of all handlers, each in
    its latest version. *keys*: secrets of at least 32 bytes that seal the state of requests and the
    ids of workflows; the first seals, each one opens. With the same keys any process answers any
    round; without keys only this process does. Ids are bound to the authenticated caller.

    The runtime does not have to work itself; but it must run. A domain of which no process has a
    listener still needs one, such as `runtime.on_domain("human.approval")(leave_open)`, with a
    function that does nothing: its questions wait for a person here. Raises `Violated` for
    unknown contracts, two tools of the same name, and bad keys.
    """
    check_argument("runtime", runtime, Runtime, "a Runtime", of="mcp_server")
    if not 0 < timeout < inf:
        issue = Issue("timeout", "seconds above 0", repr(timeout))
        raise Violated(ConfigViolation("a call must end", issue))
    security = security_of(tuple(keys))
    catalog, workflows = Catalog.of(runtime.system, contracts), Workflows(runtime)
    seal = Seal(security.codec)
    calls = Calls(runtime, catalog, workflows, seal, timeout)
    resources = Resources(runtime, catalog, seal)

    async def list_tools(
        context: Context, params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        del context, params
        return ListToolsResult(tools=catalog.tools())

    server: Server[Any] = Server(
        name,
        on_list_tools=list_tools,
        # A task is a result of its extension, which the SDK sends as it is.
        on_call_tool=calls.call,  # type: ignore[arg-type]
        on_list_resources=resources.list,
        on_list_resource_templates=resources.templates,
        on_read_resource=resources.read,
    )
    server.middleware.append(RequestStateBoundary(security, default_audience=name))
    if catalog.has_workflows:
        Tasks(runtime, workflows, seal).add_to(server)
    return server
