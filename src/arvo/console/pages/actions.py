"""Actions: the acts of a person on a workflow, by a form."""

from collections.abc import Mapping
from typing import Final

from attrs import evolve
from starlette.responses import RedirectResponse, Response

from arvo.console.pages.forms import COMMAND, Act, act_options, required
from arvo.console.pages.schedules import SCHEDULE_ACTS
from arvo.console.pages.sending import parse_object
from arvo.console.requests.reads import find_workflow, require_history
from arvo.console.requests.visit import Page, Refused, Visit, log_act
from arvo.console.views.acts import (
    ActView,
    show_cancel,
    show_fork,
    show_migrate,
    show_revive,
    show_signal,
)
from arvo.console.views.sending.send import CONSOLE_SOURCE
from arvo.console.views.state import meet_record
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, Issues, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.runtime.client import Client
from arvo.interpreters.runtime.connection import ActOptions


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
        begun = await act.perform(client, record.subject, form, act_options(visit, form))
    except Violated as violated:
        shown = act.show(client, record, visit)
        typed = (evolve(it, value=form.get(it.name, it.value)) for it in shown.fields)
        view = evolve(shown, problem=str(violated), fields=tuple(typed))
        return _page(view, record, visit, status=422)
    if begun is not None:
        return RedirectResponse(visit.links.to("sent", subject=begun), 303)
    return RedirectResponse(visit.links.workflow(record.subject, done=name), 303)


async def _find(client: Client, visit: Visit) -> tuple[Act, Record]:
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


async def _cancel(client: Client, subject: str, _: Mapping[str, str], act: ActOptions) -> None:
    await client.cancel(subject, act["reason"], actor=act["actor"])


async def _revive(client: Client, subject: str, form: Mapping[str, str], act: ActOptions) -> None:
    after_compensation = form.get("after_compensation") == "yes"
    await client.revive(subject, after_compensation=after_compensation, **act)


async def _migrate(client: Client, subject: str, form: Mapping[str, str], act: ActOptions) -> None:
    await client.migrate(subject, to=required(form, "to", "a version"), **act)


async def _fork(client: Client, subject: str, form: Mapping[str, str], act: ActOptions) -> str:
    at = required(form, "at", "a revision")
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
    type_ = required(form, "type", "the type of a signal")
    await client.signal(
        subject,
        payload,
        type=type_,
        source=CONSOLE_SOURCE,
        # Without an actor it would be the signal of a program, which the audit log does not have.
        actor=act["actor"] or CONSOLE_SOURCE,
        reason=act["reason"],
    )


_ACTS: Final[Mapping[str, Act]] = {
    **SCHEDULE_ACTS,
    "cancel": Act("cancel", lambda _, it, visit: show_cancel(it, visit.links, COMMAND), _cancel),
    "revive": Act("revive", lambda _, it, visit: show_revive(it, visit.links, COMMAND), _revive),
    "migrate": Act(
        "migrate", lambda client, it, visit: show_migrate(client.system, it, visit.links), _migrate
    ),
    "fork": Act(
        "fork",
        lambda _, it, visit: show_fork(it, visit.links, COMMAND, visit.number("at")),
        _fork,
    ),
    "signal": Act(
        "send",
        lambda client, it, visit: show_signal(client.system, it, visit.links, COMMAND),
        _signal,
    ),
}
