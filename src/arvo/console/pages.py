"""Pages: the lists of workflows and dead letters, and what the console knows of its system."""

from collections.abc import Iterable, Sequence

import orjson
from attrs import evolve
from starlette.responses import RedirectResponse, Response

from arvo.console.reads import count_workflows, find_workflow
from arvo.console.views.activity import show_activity
from arvo.console.views.batches.bar import show_dead_letter_bar, show_workflow_bar
from arvo.console.views.dead_letters import (
    GROUPS_MAX,
    Selection,
    selection_of,
    show_dead_letter,
    show_dead_letters,
)
from arvo.console.views.event import to_download
from arvo.console.views.filters import read_filters
from arvo.console.views.metrics.outcomes import show_outcomes
from arvo.console.views.metrics.workers import show_workers
from arvo.console.views.overview import QUIET, Listed, show_overview
from arvo.console.views.sending.edit import check_fields, why_not_editable
from arvo.console.views.state import meet_record
from arvo.console.views.systems import find_contract, show_contract, show_system
from arvo.console.views.timers import read_cursor, show_timers
from arvo.console.views.workflows import show_row, show_workflows
from arvo.console.visit import Page, Refused, Visit
from arvo.core.violations.violation import Violated
from arvo.engine.system.asyncapi import asyncapi
from arvo.engine.system.handler import is_workflow
from arvo.interpreters.ports.messages import DeadLetter
from arvo.interpreters.ports.results import PAGE_MAX, DeadLetterGroup, StoredWorkflow
from arvo.interpreters.ports.services import SupportsServiceRegistry
from arvo.interpreters.runtime.client import Client
from arvo.interpreters.runtime.lookup import is_subject
from arvo.interpreters.runtime.runtime import Runtime


async def overview(client: Client, visit: Visit) -> Page:
    """Show how many workflows and messages there are, and which need a person."""
    await visit.require("see")
    try:
        active = await client.workflows(status="active")
        failed = await client.workflows(status="failed")
        quiet = await client.workflows(status="active", unchanged_since=visit.now - QUIET)
        listed = Listed(active=active, failed=failed, quiet=quiet)
    except Violated:
        listed = None
    dead_letters = await client.dead_letters()
    view = show_overview(
        listed, dead_letters, await client.depth(), links=visit.links, now=visit.now
    )
    outcomes = show_outcomes(visit.sampler.samples)
    return Page(
        template="overview.html",
        title="Overview",
        view=view,
        is_live=True,
        more={"outcomes": outcomes},
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


async def _may_see(client: Client, visit: Visit, subject: str) -> bool:
    """Return whether the user may see the workflow with *subject*, if that is one."""
    record = await client.record(subject) if is_subject(subject) else None
    return await visit.reader.may("see", record)


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


async def dead_letters(client: Client, visit: Visit) -> Page:
    """Show the dead letters in groups, and those that the address selects."""
    await visit.require("see")
    given = visit.request.query_params
    selection = Selection(
        cause=given.get("cause", ""),
        type=given.get("type", ""),
        handler=given.get("handler", ""),
    )
    after_id = given.get("after", "")
    after = await client.backend.find_dead_letter(after_id) if after_id.isprintable() else None
    listed = await client.dead_letters(after=after, **selection.filters)
    groups = await _groups(client, listed)
    view = show_dead_letters(groups, listed, selection, visit.redaction)
    subjects = {it.event.subject for it in listed}
    seen = {it for it in subjects if await _may_see(client, visit, it)}
    number = next((it.number for it, _ in groups if selection_of(it) == selection), None)
    verbs = await visit.reader.verbs()
    return Page(
        template="dead-letters.html",
        title="Dead letters",
        view=evolve(view, rows=tuple(row for row in view.rows if row.subject in seen)),
        section="dead-letters",
        is_live=after is None,
        more={"bar": show_dead_letter_bar(selection, number, verbs, visit.links)},
    )


async def _groups(
    client: Client, listed: Sequence[DeadLetter]
) -> list[tuple[DeadLetterGroup, DeadLetter]]:
    """Return the largest groups with one dead letter of each: a cause may quote its secret.

    One that is *listed* is not read again.
    """
    known = {(it.cause, it.handler, it.event.type): it for it in listed}
    groups = []
    for group in await client.dead_letter_groups(limit=GROUPS_MAX):
        first = known.get((group.cause, group.handler, group.type))
        if first is not None:
            groups.append((group, first))
            continue
        read = await client.dead_letters(limit=1, **selection_of(group).filters)
        groups += [(group, it) for it in read]
    return groups


async def dead_letter(client: Client, visit: Visit) -> Page:
    """Show one dead letter in full."""
    found = await find_dead_letter(client, visit)
    event = found.event
    visit.redaction.meet((event,))
    view = show_dead_letter(found, visit.redaction)
    return Page(
        template="dead-letter.html",
        title=f"Dead letter {event.type}",
        view=view,
        section="dead-letters",
        crumbs=[("This one", visit.links.to("dead-letter", id=found.id))],
        more={
            "is_workflow": is_subject(event.subject),
            "fields": check_fields(event, visit.redaction, view.issues),
            "not_editable": why_not_editable(event, visit.redaction),
        },
    )


async def dead_letter_event(client: Client, visit: Visit) -> Response:
    """Download the event of a dead letter as JSON."""
    found = await find_dead_letter(client, visit)
    return download_json("dead-letter.json", to_download(found.event, visit.redaction), visit)


async def find_dead_letter(client: Client, visit: Visit) -> DeadLetter:
    """Return the dead letter whose id is in the address."""
    await visit.require("see")
    id_ = visit.request.query_params.get("id", "")
    found = await client.backend.find_dead_letter(id_) if id_ and id_.isprintable() else None
    if found is None or not await _may_see(client, visit, found.event.subject):
        text = "No dead letter has this id: it may have been redriven or dropped since."
        raise Refused(404, "There is no such dead letter", text)
    return found


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
    seen = [it for it in entries if await _may_see(client, visit, it.subject)]
    view = show_activity(seen, has_more=len(entries) >= PAGE_MAX)
    return Page(
        template="activity.html", title="Activity", view=view, section="activity", is_live=True
    )


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
    backend = client.backend
    view = show_workers(
        await client.depth(),
        is_reachable=await client.is_reachable(),
        services=(
            await backend.services.list() if isinstance(backend, SupportsServiceRegistry) else None
        ),
        slots=client.slots if isinstance(client, Runtime) else None,
    )
    return Page(
        template="workers.html",
        title="Workers",
        view=view,
        section="workers",
        is_live=True,
        more={"outcomes": show_outcomes(visit.sampler.samples)},
    )


def download_json(name: str, content: object, visit: Visit) -> Response:
    """Return JSON data as a file, without the secrets that the visit has met."""
    text = orjson.dumps(content, option=orjson.OPT_INDENT_2).decode()
    return Response(visit.redaction.scrub(text), 200, attachment(name), "application/json")


def attachment(name: str) -> dict[str, str]:
    """Return the headers of a file to store."""
    return {"content-disposition": f'attachment; filename="{name}"'}
