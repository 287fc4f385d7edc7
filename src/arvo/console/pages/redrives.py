"""Redrives: the forms by which a person redrives, edits or drops a dead letter."""

from collections.abc import Mapping
from typing import Literal

from attrs import evolve
from starlette.responses import RedirectResponse, Response

from arvo.console.pages.dead_letters import find_dead_letter
from arvo.console.pages.forms import COMMAND, act_options
from arvo.console.pages.sending import issues_of, parse_object
from arvo.console.requests.visit import Page, Refused, Visit, log_act
from arvo.console.views.acts import (
    show_dead_letter_act,
)
from arvo.console.views.sending.edit import editable, restore, show_edit, why_not_editable
from arvo.core.violations.issue import Issue, Issues
from arvo.core.violations.violation import Violated
from arvo.interpreters.ports.messages import DeadLetter
from arvo.interpreters.runtime.client import Client
from arvo.interpreters.runtime.lookup import is_subject


async def dead_letter_form(client: Client, visit: Visit) -> Page:
    """Show the form that redrives or drops a dead letter."""
    verb = _dead_letter_verb(visit)
    await visit.require(verb)
    found = await find_dead_letter(client, visit)
    view = show_dead_letter_act(found, verb, visit.links, COMMAND)
    return Page(template="act.html", title=view.title, view=view, section="dead-letters")


async def dead_letter_act(client: Client, visit: Visit) -> Page | Response:
    """Redrive or drop a dead letter."""
    form = await visit.form()
    verb = _dead_letter_verb(visit)
    await visit.require(verb)
    found = await find_dead_letter(client, visit)
    log_act(visit, verb, found.event.subject, form.get("reason"))
    try:
        act = act_options(visit, form)
        if verb == "drop":
            await client.delete_dead_letter(found.id, **act)
        else:
            await client.redrive_dead_letter(found.id, **act)
    except Violated as violated:
        shown = show_dead_letter_act(found, verb, visit.links, COMMAND)
        view = evolve(shown, problem=str(violated))
        return Page(
            template="act.html", title=view.title, view=view, status=422, section="dead-letters"
        )
    return RedirectResponse(visit.links.to("dead-letters", done=verb), 303)


def _dead_letter_verb(visit: Visit) -> Literal["retry", "drop"]:
    match visit.request.query_params.get("verb"):
        case "retry":
            return "retry"
        case "drop":
            return "drop"
        case _:
            raise Refused(404, "There is no such action", "Expected retry or drop.")


async def edit_form(client: Client, visit: Visit) -> Page:
    """Show the data of a dead letter in a form, with each issue beside its field."""
    found = await _editable(client, visit)
    violation = found.violation
    return _edit_page(found, visit, () if violation is None else violation.issues)


async def edit_act(client: Client, visit: Visit) -> Page | Response:
    """Redrive a dead letter with other data; where they do not fit, show the form again."""
    form = await visit.form()
    found = await _editable(client, visit)
    data = _read_edited(found, visit, form)
    if isinstance(data, Issues):
        return _edit_page(found, visit, data.items, form)
    log_act(visit, "retry", found.event.subject, form.get("reason"))
    try:
        await client.redrive_dead_letter(found.id, data=data, **act_options(visit, form))
    except Violated as violated:
        return _edit_page(found, visit, issues_of(violated), form)
    return RedirectResponse(visit.links.to("dead-letters", done="edit"), 303)


async def edit_check(client: Client, visit: Visit) -> Page:
    """Check other data for a dead letter, and send nothing."""
    form = await visit.form()
    found = await _editable(client, visit)
    data = _read_edited(found, visit, form)
    if isinstance(data, Issues):
        return _edit_page(found, visit, data.items, form)
    try:
        await client.redrive_dead_letter(found.id, data=data, dry_run=True)
    except Violated as violated:
        return _edit_page(found, visit, issues_of(violated), form)
    return _edit_page(found, visit, (), form)


async def _editable(client: Client, visit: Visit) -> DeadLetter:
    found = await find_dead_letter(client, visit)
    subject = found.event.subject
    record = await client.record(subject) if is_subject(subject) else None
    await visit.require("retry", record)
    visit.redaction.shows_data = await visit.reader.may("see_data", record)
    visit.redaction.meet((found.event,))
    if reason := why_not_editable(found.event, visit.redaction):
        raise Refused(403, "Its data cannot be edited here", reason)
    return found


def _read_edited(found: DeadLetter, visit: Visit, form: Mapping[str, str]) -> object:
    edited = parse_object(form.get("data", ""))
    if isinstance(edited, Issues):
        return edited
    return restore(editable(found.event, visit.redaction), edited, found.event.raw)


def _edit_page(
    found: DeadLetter,
    visit: Visit,
    issues: tuple[Issue, ...],
    form: Mapping[str, str] | None = None,
) -> Page:
    view = show_edit(
        found.id,
        found.event,
        visit.redaction,
        issues,
        text=None if form is None else form.get("data", ""),
        reason="" if form is None else form.get("reason", ""),
    )
    crumbs = [("This one", visit.links.to("dead-letter", id=found.id))]
    return Page(
        template="dead-letter-edit.html",
        title="Redrive with other data",
        view=view,
        # 200 where it fits: htmx shows both.
        status=422 if issues and form is not None else 200,
        section="dead-letters",
        crumbs=crumbs,
    )
