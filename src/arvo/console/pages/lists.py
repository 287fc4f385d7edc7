"""Lists: the overview, and the pages of workflows, timers and acts."""

from collections.abc import Iterable

from attrs import evolve
from starlette.responses import RedirectResponse, Response

from arvo.console.requests.reads import count_workflows, find_workflow, live_workers, may_see
from arvo.console.requests.visit import Page, Refused, Visit
from arvo.console.views.activity import show_activity
from arvo.console.views.batches.bar import show_workflow_bar
from arvo.console.views.filters import read_filters
from arvo.console.views.metrics.outcomes import show_outcomes
from arvo.console.views.metrics.waits import show_waits
from arvo.console.views.overview import QUIET, Listed, show_overview
from arvo.console.views.state import meet_record
from arvo.console.views.timers import read_cursor, show_timers
from arvo.console.views.workflows import show_row, show_workflows
from arvo.core.violations.violation import Violated
from arvo.engine.system.handler import is_workflow
from arvo.interpreters.ports.results import PAGE_MAX, StoredWorkflow
from arvo.interpreters.runtime.client import Client
from arvo.interpreters.runtime.lookup import is_subject


async def overview(client: Client, visit: Visit) -> Page:
    """Show how many workflows and messages there are, and which need a person."""
    await visit.require("see")
    try:
        active = await client.workflows(status="active")
        failed = await client.workflows(status="failed")
        quiet = await client.workflows(status="active", unchanged_since=visit.now - QUIET)
        has_any = bool(active or failed or await client.workflows(limit=1))
        listed = Listed(has_any=has_any, active=active, failed=failed, quiet=quiet)
    except Violated:
        listed = None
    dead_letters = await client.dead_letters()
    services = await live_workers(client)
    view = show_overview(
        listed,
        dead_letters,
        await client.depth(),
        workers=None if services is None else len(services),
        links=visit.links,
        now=visit.now,
    )
    samples = visit.sampler.samples
    return Page(
        template="overview.html",
        title="Overview",
        view=view,
        is_live=True,
        more={"outcomes": show_outcomes(samples), "waits": show_waits(samples)},
    )


async def workflows(client: Client, visit: Visit) -> Page:
    """Show one page of the workflows that the filters of the address select."""
    await visit.require("see")
    filters = read_filters(visit.query)
    try:
        stored = await client.workflows(**filters.selection(visit.now))
    except Violated as violated:
        raise Refused(501, "This backend cannot list workflows", str(violated)) from violated
    counted = None
    if visit.request.query_params.get("count"):
        counted = await count_workflows(client, filters.selection(visit.now))
    view = show_workflows(stored, filters, visit.redaction, counted)
    seen = await _seen(client, visit, stored)
    return Page(
        template="workflows.html",
        title="Workflows",
        view=evolve(view, rows=tuple(show_row(it, visit.redaction) for it in seen)),
        section="workflows",
        # A page that is not the first stays as it is: its rows would move away.
        is_live=filters.after is None,
        more={
            "bar": show_workflow_bar(
                client.system, filters, await visit.reader.verbs(), visit.links
            )
        },
    )


async def _seen(
    client: Client, visit: Visit, stored: Iterable[StoredWorkflow]
) -> list[StoredWorkflow]:
    """Return the workflows that the user may see, and let the page learn their secrets."""
    seen = [it for it in stored if await visit.reader.may("see", it.record)]
    for it in seen:
        meet_record(client.system, it.record, visit.redaction)
    return seen


async def search(client: Client, visit: Visit) -> Page | Response:
    """Lead to the workflow with an id or a subject, or to the list that a label or text selects."""
    await visit.require("see")
    text = visit.request.query_params.get("q", "").strip()
    if not text:
        return RedirectResponse(visit.links.to("workflows"), 303)
    try:
        stored = await find_workflow(client, visit.reader, text)
    except Refused:
        if "=" in text and not is_subject(text):
            return RedirectResponse(visit.links.to("workflows", label=text), 303)
        return Page(
            template="search.html",
            title="Nothing found",
            view=text,
            status=404,
            section="workflows",
        )
    return RedirectResponse(visit.links.workflow(stored.record.subject), 303)


async def timers(client: Client, visit: Visit) -> Page:
    """Show the timers that have not fired, of one workflow type or of all."""
    await visit.require("see")
    given = visit.request.query_params
    type_, after = given.get("type", ""), read_cursor(given.get("after", ""))
    try:
        listed = await client.timers(type=type_ or None, after=after)
    except Violated as violated:
        raise Refused(501, "This backend cannot list timers", str(violated)) from violated
    records = {it: await client.record(it) for it in {timer.subject for timer in listed}}
    seen = set()
    for subject, record in records.items():
        if await visit.reader.may("see", record):
            seen.add(subject)
            if record is not None:
                meet_record(client.system, record, visit.redaction)
    types = [it.source for it in client.system.handlers if is_workflow(it)]
    view = show_timers(listed, type_=type_, types=types, now=visit.now)
    return Page(
        template="timers.html",
        title="Timers",
        view=evolve(view, rows=tuple(row for row in view.rows if row.subject in seen)),
        section="timers",
        is_live=after is None,
    )


async def activity(client: Client, visit: Visit) -> Page:
    """Show the acts of operators."""
    await visit.require("see")
    entries = await client.audit_log()
    seen = [it for it in entries if await may_see(client, visit, it.subject)]
    view = show_activity(seen, has_more=len(entries) >= PAGE_MAX)
    return Page(
        template="activity.html", title="Activity", view=view, section="activity", is_live=True
    )
