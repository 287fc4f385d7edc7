"""Console: the command that serves the operator's pages."""

from typing import Annotated, Literal

from cyclopts import Parameter

from arvo.cli.process.listen import listen as listen_on
from arvo.cli.process.listen import require_loopback
from arvo.cli.terminal.errors import UsageError, naming_extra
from arvo.cli.terminal.load import (
    EMPTY_SYSTEM,
    SystemName,
    Url,
    load_system,
    require_existing,
)
from arvo.cli.terminal.output import print_status
from arvo.interpreters.delivery.backend_url import show_url
from arvo.interpreters.runtime.client import Client


async def console(
    system: SystemName | None = None,
    /,
    *,
    backend: Url,
    listen: str = "127.0.0.1:8300",
    allow: Literal["read", "act"] = "read",
    trust_proxy: Annotated[bool, Parameter(negative="")] = False,
    label: str = "",
    trace_url: str = "",
) -> None:
    """Serve pages that show the workflows on a backend, until a signal stops them.

    SYSTEM is needed to replay, to query, to send and to act, and to show data: the console hides
    what may be secret in data whose contract it does not have.

    Parameters
    ----------
    listen
        HOST:PORT of the pages; beyond this machine only with --trust-proxy.
    allow
        "act" lets everyone who reaches the pages act; "read" lets them look.
    trust_proxy
        Take the user from X-Forwarded-User, which a proxy in front sets for each request.
    label
        The name of the environment, such as prod, shown above each page.
    trace_url
        The address of a trace's page, such as http://jaeger/trace/{trace_id}, for links to it.
    """
    if backend.startswith("memory:"):
        raise UsageError(
            "the memory: backend lives in one process: choose another backend, or mount "
            "arvo.console.console(client) in the application"
        )
    with naming_extra("arvo console"):
        from arvo.console.serve import serve
        from arvo.console.views.links import is_trace_url
    if trace_url and not is_trace_url(trace_url):
        expected = "an http address with {trace_id} in it"
        raise UsageError(f"--trace-url: expected {expected}, got {trace_url!r}")
    loaded = EMPTY_SYSTEM if system is None else load_system(system, backend)
    with listen_on(listen, "--listen") as listening:
        if not trust_proxy:
            proxy = (
                ", or put a proxy in front that authenticates users and sets X-Forwarded-User, "
                "and add --trust-proxy"
            )
            require_loopback(listening, listen, proxy)
        async with Client(loaded, require_existing(backend)) as client:
            await client.depth()
            print_status(f"console on port {listening.getsockname()[1]}")
            await serve(
                client,
                listening,
                backend=show_url(backend),
                may_act=allow == "act",
                trust_proxy=trust_proxy,
                label=label,
                trace_url=trace_url,
            )
