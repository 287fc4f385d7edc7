"""What if: the page that takes a turn again with an edited event."""

from typing import Any

from attrs import evolve

from arvo.console.replay.walks import Found, Unreached, walks_of
from arvo.console.replay.what_if import take_turn
from arvo.console.requests.reads import find_workflow, require_history
from arvo.console.requests.visit import Page, Refused, Visit
from arvo.console.views.state import meet_record
from arvo.console.views.workflow.what_if import WhatIf, edit_event, event_text, show_what_if
from arvo.console.views.workflows import name_of
from arvo.core.events.event import Event
from arvo.core.events.protocol import is_fork
from arvo.core.record import Record
from arvo.core.violations.issue import Issues
from arvo.interpreters.runtime.client import Client


async def what_if_form(client: Client, visit: Visit) -> Page:
    """Take a turn again with the code that is loaded, and show a form to edit its event."""
    found, event, record = await _find_turn(client, visit)
    result = await take_turn(client.system, found, event)
    view = show_what_if(client.system, found.moment, result, visit.redaction)
    text = event_text(event, visit.redaction)
    # A payload that no longer fits is the answer here, and no fault of the request.
    return evolve(_what_if_page(visit, record, found, text, view=view), status=200)


async def what_if(client: Client, visit: Visit) -> Page:
    """Take a turn again with the event of a form; nothing is sent or stored."""
    form = await visit.form()
    found, event, record = await _find_turn(client, visit)
    edited = edit_event(event, form.get("data", ""), visit.redaction)
    if isinstance(edited, Issues):
        text = visit.redaction.scrub(form.get("data", ""))
        return _what_if_page(visit, record, found, text, problem=str(edited))
    visit.redaction.meet((edited,))
    result = await take_turn(client.system, found, edited)
    view = show_what_if(client.system, found.moment, result, visit.redaction)
    text = event_text(edited, visit.redaction)
    return _what_if_page(visit, record, found, text, view=view)


async def _find_turn(client: Client, visit: Visit) -> tuple[Found, Event[Any], Record]:
    """Return the turn of the address and its event, for a user who may see data."""
    stored = await find_workflow(client, visit.reader, visit.request.path_params["workflow"])
    record, redaction = stored.record, visit.redaction
    await visit.require("see_data", record)
    require_history(client)
    redaction.shows_data = True
    meet_record(client.system, record, redaction)
    found = await walks_of(client).find(record, visit.number("revision"), redaction.secrets_of)
    if isinstance(found, Unreached):
        raise Refused(503, "Not replayed yet", "See this revision by time travel before.")
    event = None if found is None else found.moment.event
    if found is None or event is None or is_fork(event.type):
        raise Refused(404, "There is no turn", "No event led to this revision, or none is left.")
    redaction.learn(found.secret)
    redaction.meet((event, *found.moment.produced))
    return found, event, record


def _what_if_page(
    visit: Visit,
    record: Record,
    found: Found,
    text: str,
    *,
    view: WhatIf | None = None,
    problem: str = "",
) -> Page:
    revision, event = found.moment.revision, found.moment.event
    back = visit.links.workflow(record.subject, "travel", revision=revision)
    is_refused = problem or (view is not None and view.issues)
    return Page(
        template="what-if.html",
        title=f"What if at revision {revision}",
        view=view,
        status=422 if is_refused else 200,
        section="workflows",
        crumbs=[(name_of(record.subject), back)],
        more={
            "revision": revision,
            "type": "" if event is None else event.type,
            "text": text,
            "problem": problem,
            "back": back,
            "action": visit.links.what_if(record.subject, revision),
        },
    )
