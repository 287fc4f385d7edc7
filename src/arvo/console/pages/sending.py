"""Sending: the pages by which a person sends an event, and sees the workflow that it began."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve
from starlette.responses import RedirectResponse, Response

from arvo.console.requests.visit import Page, Refused, Visit, log_act
from arvo.console.views.event import show_event
from arvo.console.views.sending.form import read_form, with_plain_lines
from arvo.console.views.sending.send import (
    CONSOLE_SOURCE,
    Edited,
    Envelope,
    find_accepted,
    form_schema,
    hide_secret_fields,
    show_send,
)
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.contracts.versioned_workflow import VersionedWorkflow
from arvo.core.events.event import Event
from arvo.core.events.json_text import parse_json
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issue, Issues, short_repr
from arvo.core.violations.violation import Violated
from arvo.interpreters.ports.errors import NoReply
from arvo.interpreters.runtime.client import Client
from arvo.interpreters.runtime.runtime import Runtime

# How long a page waits for an answer before it says that the work goes on.
WAIT_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.1


async def send_form(client: Client, visit: Visit) -> Page:
    """Show the form by which an event is sent."""
    await visit.require("see")
    given = visit.request.query_params
    chosen = find_accepted(client.system, given.get("contract", ""))
    return _page(client, chosen, Edited(), as_json=given.get("edit") == "json")


async def check(client: Client, visit: Visit) -> Page:
    """Check an event as `send` does, and send nothing; or show it in the other form."""
    form = await visit.form()
    await visit.require("see")
    contract = _accepted(client, form)
    edit = form.get("edit")
    if edit in ("json", "form"):
        return _page(client, contract, _converted(contract, form, edit), as_json=edit == "json")
    issues: tuple[Issue, ...] = ()
    event = _make_event(contract, form)
    if isinstance(event, Issues):
        issues = event.items
    else:
        try:
            await client.check(event)
        except Violated as violated:
            issues = issues_of(violated)
    return _again(client, contract, visit, form, issues)


async def send(client: Client, visit: Visit) -> Page | Response:
    """Send an event into the system; where it does not fit, show the form with the reasons."""
    form = await visit.form()
    await visit.require("send")
    contract = _accepted(client, form)
    event = _make_event(contract, form)
    if isinstance(event, Issues):
        return _again(client, contract, visit, form, event.items)
    log_act(visit, "send", event.subject, None)
    waits = form.get("wait") == "yes"
    try:
        if waits and isinstance(client, Runtime) and not isinstance(contract, VersionedWorkflow):
            return await _ask(client, event, visit)
        await client.send(event)
    except Violated as violated:
        return _again(client, contract, visit, form, issues_of(violated))
    if not isinstance(contract, VersionedWorkflow):
        return RedirectResponse(visit.links.to("", done="send"), 303)
    if waits:
        await _wait_for_end(client, event.subject)
    return RedirectResponse(visit.links.to("sent", subject=event.subject), 303)


async def sent(client: Client, visit: Visit) -> Page | Response:
    """Lead to the workflow that a sent event begins, once it has begun."""
    await visit.require("see")
    subject = visit.request.query_params.get("subject", "")
    if await client.record(subject) is not None:
        return RedirectResponse(visit.links.workflow(subject, done="send"), 303)
    return Page(template="sent.html", title="Sent", view=subject, section="send", is_live=True)


async def _ask(client: Runtime, event: Event[Any], visit: Visit) -> Page:
    """Send an event to a handler, and show its answer."""
    answer, text = None, ""
    try:
        answer = await client.request(event, timeout=WAIT_SECONDS)
    except (NoReply, TimeoutError) as error:
        text = str(error)
    shown = None if answer is None else show_event(answer, visit.redaction)
    title = "No answer" if answer is None else f"Answer {answer.type}"
    return Page(
        template="answer.html", title=title, view=shown, section="send", more={"reason": text}
    )


async def _wait_for_end(client: Client, subject: str) -> None:
    """Wait until a workflow has ended, or `WAIT_SECONDS` have passed."""
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                record = await client.record(subject)
                if record is not None and record.status != "active":
                    return
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        return


def _accepted(client: Client, form: Mapping[str, str]) -> VersionedContract[Any]:
    contract = find_accepted(client.system, form.get("contract", ""))
    if contract is None:
        raise Refused(404, "There is no such contract", "No handler here takes such an event.")
    return contract


def _again(
    client: Client,
    contract: VersionedContract[Any],
    visit: Visit,
    form: Mapping[str, str],
    issues: tuple[Issue, ...],
) -> Page:
    """Show the form again, with the reasons why it does not fit."""
    page = _page(client, contract, _edited(form, issues), as_json="data" in form)
    # A browser reports each 422 that a script gets as an error of the page.
    is_of_script = "hx-request" in visit.request.headers
    return evolve(page, status=422 if issues and not is_of_script else 200)


def _edited(form: Mapping[str, str], issues: tuple[Issue, ...]) -> Edited:
    text = with_plain_lines(form["data"]) if "data" in form else None
    posted = form if text is None else None
    return Edited(posted=posted, text=text, envelope=_envelope(form), issues=issues)


def _page(
    client: Client, contract: VersionedContract[Any] | None, edited: Edited, *, as_json: bool
) -> Page:
    view = show_send(
        client.system, contract, edited, as_json=as_json, is_runtime=isinstance(client, Runtime)
    )
    return Page(template="send.html", title="Send", view=view, section="send")


def _converted(contract: VersionedContract[Any], form: Mapping[str, str], edit: str) -> Edited:
    """Return JSON that was edited as a form, or the other way round.

    Without the secrets: a page would show them as JSON.
    """
    content = _content(contract, form)
    envelope = _envelope(form)
    if isinstance(content, Issues):
        return _edited(form, content.items)
    if edit == "json":
        shown = hide_secret_fields(contract, content)
        return Edited(envelope=envelope, data=shown)
    return Edited(envelope=envelope, data=content)


def _make_event(contract: VersionedContract[Any], form: Mapping[str, str]) -> Event[Any] | Issues:
    content = _content(contract, form)
    if isinstance(content, Issues):
        return content
    kind = contract.accepted.type
    # Not by the contract's own reader: it requires fields that the protocol adds to the payload.
    payload = content if kind is None else Payload.of(kind).read(content)
    if isinstance(payload, Issues):
        return payload
    envelope = _envelope(form)
    options: dict[str, Any] = {
        name: text for name in ("to", "domain", "redirectto") if (text := getattr(envelope, name))
    }
    if isinstance(contract, VersionedWorkflow) and envelope.workflow_id:
        options["workflow_id"] = envelope.workflow_id
    try:
        event: Event[Any] = contract.accepts(payload, source=CONSOLE_SOURCE, **options)
        return event
    except Violated as violated:
        return Issues.of(issues_of(violated))


def _envelope(form: Mapping[str, str]) -> Envelope:
    return Envelope(
        workflow_id=form.get("workflow_id", "").strip(),
        to=form.get("to", "").strip(),
        domain=form.get("domain", "").strip(),
        redirectto=form.get("redirectto", "").strip(),
    )


def _content(contract: VersionedContract[Any], form: Mapping[str, str]) -> dict[str, Any] | Issues:
    """Return the payload of a form: that of its JSON editor, or of its fields."""
    text = form.get("data")
    return read_form(form_schema(contract), form) if text is None else parse_object(text)


def parse_object(text: str) -> dict[str, Any] | Issues:
    """Parse the payload of an event, which is a JSON object."""
    content = parse_json(text, "data")
    if isinstance(content, Issues):
        return content
    if not isinstance(content, dict):
        return Issues.one("data", "a JSON object", short_repr(content))
    return content


def issues_of(violated: Violated) -> tuple[Issue, ...]:
    """Return the issues of an event, or the violation as one issue."""
    violation = violated.violation
    return violation.issues or (Issue("event", "one that may enter", violation.message),)
