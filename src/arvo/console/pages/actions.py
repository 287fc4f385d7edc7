"""Actions: the acts of a person on a workflow or a dead letter, by a form."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

from attrs import evolve, frozen
from starlette.responses import RedirectResponse, Response

from arvo.console.pages.dead_letters import find_dead_letter
from arvo.console.pages.sending import issues_of, parse_object
from arvo.console.replay.walks import Found, Unreached, walks_of
from arvo.console.replay.what_if import take_turn
from arvo.console.requests.access import Verb
from arvo.console.requests.reads import find_workflow, require_history
from arvo.console.requests.visit import Page, Refused, Visit, log_act
from arvo.console.views.acts import (
    ActView,
    show_cancel,
    show_dead_letter_act,
    show_fork,
    show_migrate,
    show_revive,
    show_signal,
)
from arvo.console.views.sending.edit import editable, restore, show_edit, why_not_editable
from arvo.console.views.sending.send import CONSOLE_SOURCE
from arvo.console.views.state import meet_record
from arvo.console.views.workflow.what_if import WhatIf, edit_event, event_text, show_what_if
from arvo.console.views.workflows import name_of
from arvo.core.events.event import Event
from arvo.core.events.protocol import is_fork
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, Issues, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.ports.messages import DeadLetter
from arvo.interpreters.runtime.client import Client
from arvo.interpreters.runtime.connection import ActOptions
from arvo.interpreters.runtime.lookup import is_subject

_COMMAND: Final = "arvo"

# Returns the subject of the workflow that the act begins, if it begins one.
Perform: TypeAlias = Callable[[Client, str, Mapping[str, str], ActOptions], Awaitable[str | None]]


@frozen
class _Act:
    """An act on a workflow: the *verb* that allows it, its form, and what it does."""

    verb: Verb
    show: Callable[[Client, Record, Visit], ActView]
    perform: Perform


async def workflow_form(client: Client, visit: Visit) -> Page:
    """Show the form of an act on a workflow."""
    act, record = await _find(client, visit)
    view = act.show(client, record, visit)
    return _page(view, record, visit)


async def workflow_act(client: Client, visit: Visit) -> Page | Response:
    """Act on a workflow; where that is refused, show the form again with the reason."""
    form = await visit.form()
    act, record = await _find(client, visit)
    name = visit.request.path_params["verb"]
    log_act(visit, name, record.subject, form.get("reason"))
    try:
        begun = await act.perform(client, record.subject, form, _options(visit, form))
    except Violated as violated:
        view = evolve(act.show(client, record, visit), problem=str(violated))
        return _page(view, record, visit, status=422)
    if begun is not None:
        return RedirectResponse(visit.links.to("sent", subject=begun), 303)
    return RedirectResponse(visit.links.workflow(record.subject, done=name), 303)


async def _find(client: Client, visit: Visit) -> tuple[_Act, Record]:
    act = _ACTS.get(visit.request.path_params["verb"])
    if act is None:
        raise Refused(404, "There is no such action", "A workflow can be acted on in other ways.")
    stored = await find_workflow(client, visit.reader, visit.request.path_params["workflow"])
    await visit.require(act.verb, stored.record)
    if act.verb == "fork":
        require_history(client)
    meet_record(client.system, stored.record, visit.redaction)
    return act, stored.record


def _page(view: ActView, record: Record, visit: Visit, status: int = 200) -> Page:
    crumbs = [(view.title, visit.links.workflow(record.subject))]
    return Page(
        template="act.html",
        title=view.title,
        view=view,
        status=status,
        section="workflows",
        crumbs=crumbs,
    )


def _options(visit: Visit, form: Mapping[str, str]) -> ActOptions:
    """Return who acts and why, for the audit log; raises `Violated` without a reason."""
    return {"actor": visit.reader.user, "reason": _required(form, "reason", "why you do this")}


async def _cancel(client: Client, subject: str, _: Mapping[str, str], act: ActOptions) -> None:
    await client.cancel(subject, act["reason"], actor=act["actor"])


async def _revive(client: Client, subject: str, form: Mapping[str, str], act: ActOptions) -> None:
    after_compensation = form.get("after_compensation") == "yes"
    await client.revive(subject, after_compensation=after_compensation, **act)


async def _migrate(client: Client, subject: str, form: Mapping[str, str], act: ActOptions) -> None:
    await client.migrate(subject, to=_required(form, "to", "a version"), **act)


async def _fork(client: Client, subject: str, form: Mapping[str, str], act: ActOptions) -> str:
    at = _required(form, "at", "a revision")
    if not at.isdecimal():
        issue = Issue("at", "a whole number", short_repr(at))
        raise Violated(ConfigViolation("the form is incomplete", issue))
    return await client.fork(
        subject,
        at=int(at),
        new_id=form.get("id", "").strip() or None,
        after_compensation=form.get("after_compensation") == "yes",
        **act,
    )


async def _signal(client: Client, subject: str, form: Mapping[str, str], act: ActOptions) -> None:
    payload = parse_object(form.get("data", ""))
    if isinstance(payload, Issues):
        raise Violated(ConfigViolation("the payload cannot be sent", payload))
    type_ = _required(form, "type", "the type of a signal")
    await client.signal(
        subject,
        payload,
        type=type_,
        source=CONSOLE_SOURCE,
        actor=act["actor"],
        reason=act["reason"],
    )


_ACTS: Final[Mapping[str, _Act]] = {
    "cancel": _Act("cancel", lambda _, it, visit: show_cancel(it, visit.links, _COMMAND), _cancel),
    "revive": _Act("revive", lambda _, it, visit: show_revive(it, visit.links, _COMMAND), _revive),
    "migrate": _Act(
        "migrate", lambda client, it, visit: show_migrate(client.system, it, visit.links), _migrate
    ),
    "fork": _Act(
        "fork",
        lambda _, it, visit: show_fork(it, visit.links, _COMMAND, visit.number("at")),
        _fork,
    ),
    "signal": _Act(
        "send",
        lambda client, it, visit: show_signal(client.system, it, visit.links, _COMMAND),
        _signal,
    ),
}


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


async def dead_letter_form(client: Client, visit: Visit) -> Page:
    """Show the form that redrives or drops a dead letter."""
    verb = _dead_letter_verb(visit)
    await visit.require(verb)
    found = await find_dead_letter(client, visit)
    view = show_dead_letter_act(found, verb, visit.links, _COMMAND)
    return Page(template="act.html", title=view.title, view=view, section="dead-letters")


async def dead_letter_act(client: Client, visit: Visit) -> Page | Response:
    """Redrive or drop a dead letter."""
    form = await visit.form()
    verb = _dead_letter_verb(visit)
    await visit.require(verb)
    found = await find_dead_letter(client, visit)
    log_act(visit, verb, found.event.subject, form.get("reason"))
    try:
        act = _options(visit, form)
        if verb == "drop":
            await client.delete_dead_letter(found.id, **act)
        else:
            await client.redrive_dead_letter(found.id, **act)
    except Violated as violated:
        shown = show_dead_letter_act(found, verb, visit.links, _COMMAND)
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
        await client.redrive_dead_letter(found.id, data=data, **_options(visit, form))
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


def _required(form: Mapping[str, str], name: str, expected: str) -> str:
    value = form.get(name, "").strip()
    if not value:
        issue = Issue(name, expected, "nothing")
        raise Violated(ConfigViolation("the form is incomplete", issue))
    return value
