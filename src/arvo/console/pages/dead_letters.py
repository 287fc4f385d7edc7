"""Dead letters: the pages of the events that could not be handled."""

from collections.abc import Sequence

from attrs import evolve
from starlette.responses import Response

from arvo.console.requests.downloads import download_json
from arvo.console.requests.reads import may_see
from arvo.console.requests.visit import Page, Refused, Visit
from arvo.console.views.batches.bar import show_dead_letter_bar
from arvo.console.views.dead_letters import (
    GROUPS_MAX,
    Selection,
    selection_of,
    show_dead_letter,
    show_dead_letters,
)
from arvo.console.views.event import to_download
from arvo.console.views.secrets import Redaction
from arvo.console.views.sending.edit import check_fields, why_not_editable
from arvo.interpreters.ports.messages import DeadLetter
from arvo.interpreters.ports.results import DeadLetterGroup
from arvo.interpreters.runtime.client import Client
from arvo.interpreters.runtime.lookup import is_subject


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
    groups = await _groups(client, listed, visit.redaction)
    view = show_dead_letters(groups, listed, selection, visit.redaction)
    subjects = {it.event.subject for it in listed}
    seen = {it for it in subjects if await may_see(client, visit, it)}
    number = next((it.number for it in groups if selection_of(it) == selection), None)
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
    client: Client, listed: Sequence[DeadLetter], redaction: Redaction
) -> tuple[DeadLetterGroup, ...]:
    """Return the largest groups, and let the page learn a secret that a cause may quote.

    A cause quotes the event of its group: one that is not *listed* is read, where its contract has
    secrets at all.
    """
    known = {(it.cause, it.handler, it.event.type) for it in listed}
    groups = await client.dead_letter_groups(limit=GROUPS_MAX)
    for group in groups:
        is_listed = (group.cause, group.handler, group.type) in known
        if not is_listed and redaction.may_have_secrets(group.type):
            read = await client.dead_letters(limit=1, **selection_of(group).filters)
            redaction.meet(it.event for it in read)
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
    if found is None or not await may_see(client, visit, found.event.subject):
        text = "No dead letter has this id: it may have been redriven or dropped since."
        raise Refused(404, "There is no such dead letter", text)
    return found
