"""Systems: the pages of what the console's system takes, and of its workers."""

from starlette.responses import Response

from arvo.console.requests.downloads import download_json
from arvo.console.requests.reads import live_workers
from arvo.console.requests.visit import Page, Refused, Visit
from arvo.console.views.metrics.outcomes import show_outcomes
from arvo.console.views.metrics.waits import show_waits
from arvo.console.views.metrics.workers import show_workers
from arvo.console.views.systems import find_contract, show_contract, show_system
from arvo.engine.system.asyncapi import asyncapi
from arvo.interpreters.runtime.client import Client
from arvo.interpreters.runtime.runtime import Runtime


async def system(client: Client, visit: Visit) -> Page:
    """Show the handlers and contracts of the system."""
    await visit.require("see")
    return Page(
        template="system.html", title="System", view=show_system(client.system), section="system"
    )


async def contract(client: Client, visit: Visit) -> Page:
    """Show one version of a contract."""
    await visit.require("see")
    given = visit.request.query_params
    found = find_contract(client.system, given.get("uri", ""), given.get("version", ""))
    if found is None:
        raise Refused(404, "There is no such contract", "The system names no such contract.")
    href = visit.links.to("contract", uri=found.uri, version=found.version)
    return Page(
        template="contract.html",
        title=found.uri,
        view=show_contract(found),
        section="system",
        crumbs=[(found.version, href)],
    )


async def asyncapi_document(client: Client, visit: Visit) -> Response:
    """Download the AsyncAPI document of the system."""
    await visit.require("see")
    return download_json("asyncapi.json", asyncapi(client.system), visit)


async def workers(client: Client, visit: Visit) -> Page:
    """Show the workers that are known, and what those of this process do."""
    await visit.require("see")
    samples = visit.sampler.samples
    view = show_workers(
        await client.depth(),
        is_reachable=await client.is_reachable(),
        services=await live_workers(client),
        slots=client.slots if isinstance(client, Runtime) else None,
    )
    return Page(
        template="workers.html",
        title="Workers",
        view=view,
        section="workers",
        is_live=True,
        more={"outcomes": show_outcomes(samples), "waits": show_waits(samples)},
    )
