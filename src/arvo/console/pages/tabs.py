"""Tabs: the page of one workflow, and what it can be downloaded as."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final, TypeAlias

import orjson
from attrs import evolve, frozen
from starlette.responses import Response, StreamingResponse

from arvo.console.pictures.find import find_picture
from arvo.console.replay.walks import REPLAY_SECONDS, Unreached, walks_of
from arvo.console.requests.access import Verb
from arvo.console.requests.downloads import attachment, download_json
from arvo.console.requests.reads import (
    NO_HISTORY,
    find_workflow,
    history_end,
    history_pages,
    require_history,
    stores_history,
)
from arvo.console.requests.visit import Page, Refused, Visit
from arvo.console.views.acts import Action, show_actions
from arvo.console.views.data import show_data
from arvo.console.views.event import show_event, to_download
from arvo.console.views.links import Href
from arvo.console.views.schedules.schedules import schedule_actions, state_of
from arvo.console.views.state import meet_record, show_state
from arvo.console.views.workflow.chart import show_chart
from arvo.console.views.workflow.history import ROWS_MAX, show_entry, show_history
from arvo.console.views.workflow.now import (
    TABS,
    Head,
    Origin,
    show_head,
    show_now,
    show_origin,
)
from arvo.console.views.workflow.replays import show_replay, show_sequence
from arvo.console.views.workflow.timeline import show_timeline
from arvo.console.views.workflow.travel import (
    DifferenceRow,
    show_commands,
    show_differences,
    show_timers,
)
from arvo.console.views.workflow.tree import show_tree
from arvo.core.events.protocol import is_fork
from arvo.core.events.subject import Subject
from arvo.core.history import HistoryEntry
from arvo.core.record import Record
from arvo.engine.system.handler import is_workflow
from arvo.handlers.schedule.handler import ScheduleHandler
from arvo.interpreters.http.workflow_json import to_path
from arvo.interpreters.ports.results import HISTORY_PAGE_MAX, StoredWorkflow
from arvo.interpreters.runtime.client import Client
from arvo.interpreters.runtime.operations import OPERATOR

Tab: TypeAlias = Callable[[Client, Visit, Record], Awaitable[Page]]


async def workflow(client: Client, visit: Visit) -> Page:
    """Show one workflow, on the tab of the address."""
    stored = await _find(client, visit)
    record = stored.record
    name = visit.request.query_params.get("tab", "")
    if name not in _TABS:
        raise Refused(404, "There is no such page", f"A workflow has no tab {name!r}.")
    has_history, verbs = stores_history(client), await visit.reader.verbs(record)
    make = _TABS[name] if has_history or name not in _OF_HISTORY else _no_history
    page = await make(client, visit, record)
    head = show_head(stored, visit.redaction, name)
    crumbs = [(head.name, visit.links.workflow(record.subject))]
    more = {
        **page.more,
        "head": head,
        "tabs": tuple(TabLink(tab, label) for tab, label in TABS.items()),
        "path": to_path(record.subject),
        "trace": await _trace(client, visit, record),
        "has_history": has_history,
        "actions": _actions(client, visit, record, verbs if has_history else verbs - {"fork"}),
        "origin": await _origin(client, record),
    }
    return evolve(page, section="workflows", crumbs=crumbs, more=more, title=_title(head, name))


def _actions(
    client: Client, visit: Visit, record: Record, verbs: frozenset[Verb]
) -> tuple[Action, ...]:
    handler = client.system.handler_at(record.handler)
    state = state_of(handler, record) if isinstance(handler, ScheduleHandler) else None
    if state is None:
        return show_actions(client.system, record, verbs, visit.links)
    # Each signal that it takes has a form of its own.
    others = show_actions(client.system, record, verbs - {"send"}, visit.links)
    return (*schedule_actions(state, record, verbs, visit.links), *others)


async def _origin(client: Client, record: Record) -> Origin | None:
    """Return the origin of a fork, None for another workflow."""
    if Subject.parse(record.subject).execution.initiator != OPERATOR:
        return None
    first = await _entries(client, record, 1, 1)
    return show_origin(first[0].event) if first and first[0].event is not None else None


async def _trace(client: Client, visit: Visit, record: Record) -> Href | None:
    """Return the address of the trace of a workflow's last event, where traces have pages."""
    newest = await _entries(client, record, None, 1) if visit.links.trace_url else ()
    event = newest[0].event if newest else None
    return None if event is None else visit.links.trace(event.traceparent)


def _title(head: Head, tab: str) -> str:
    return f"{head.name} · {TABS[tab]}" if tab in TABS and tab else head.name


@frozen
class TabLink:
    """A link to a tab."""

    name: str
    label: str


async def _now(client: Client, visit: Visit, record: Record) -> Page:
    described = await client.describe(record.subject)
    visit.redaction.meet(it.event for it in described.dead_letters)
    view = show_now(described, visit.redaction, visit.now)
    return Page(template="now.html", title="", view=view, is_live=True)


async def _timeline(client: Client, visit: Visit, record: Record) -> Page:
    entries = await _entries(client, record, None, HISTORY_PAGE_MAX)
    visit.redaction.meet(entry.event for entry in entries)
    return Page(
        template="timeline.html",
        title="",
        view=show_timeline(entries),
        more={
            "rows": tuple(map(show_entry, entries)),
            "has_more": bool(entries) and entries[0].position > 0,
        },
    )


async def _history(client: Client, visit: Visit, record: Record) -> Page:
    before, position = visit.number("before"), visit.number("position")
    if position is not None:
        before = position + 1
    entries = await _entries(client, record, before, ROWS_MAX)
    visit.redaction.meet(entry.event for entry in entries)
    end = await history_end(client, record.subject)
    # From the end on there is nothing newer.
    shown = show_history(entries, None if before is None or before >= end else before)
    return Page(template="history.html", title="", view=shown)


async def _event(client: Client, visit: Visit, record: Record) -> Page:
    entry = await _find_entry(client, visit, record)
    event = entry.event
    view = None if event is None else show_event(event, visit.redaction)
    # Without the handler a replay cannot say how a turn changed the state.
    has_turns = is_workflow(client.system.handler_at(record.handler))
    more = {"row": show_entry(entry), "has_turns": has_turns}
    return Page(template="event.html", title="", view=view, more=more)


async def _find_entry(client: Client, visit: Visit, record: Record) -> HistoryEntry:
    """Return the history entry at the position of the address."""
    require_history(client)
    position = visit.number("position")
    entries = await _entries(client, record, (position or 0) + 1, 1)
    if position is None or not entries or entries[0].position != position:
        text = "The history has no entry at this position: retention may have removed it."
        raise Refused(404, "There is no such entry", text)
    return entries[0]


async def _state(client: Client, visit: Visit, record: Record) -> Page:
    state = show_state(client.system, record, visit.redaction)
    first, last = visit.number("from"), visit.number("to")
    compared = None
    if first is not None and last is not None:
        compared = await _compare(client, visit, record, first, last)
    more = {"note": state.note, "compared": compared}
    return Page(template="state.html", title="", view=show_data(state.data), more=more)


@frozen
class Compared:
    """The differences of the state at two revisions, or the *problem* that hides them."""

    from_: int
    to: int
    rows: tuple[DifferenceRow, ...] = ()
    problem: str = ""


async def _compare(client: Client, visit: Visit, record: Record, first: int, last: int) -> Compared:
    states = []
    for revision in (first, last):
        found = await walks_of(client).find(record, revision, visit.redaction.secrets_of)
        if isinstance(found, Unreached):
            return Compared(first, last, problem=_so_far(found, record))
        if found is None or found.moment.revision != revision:
            return Compared(first, last, problem=f"The history has no revision {revision}.")
        if found.moment.record is None:
            return Compared(first, last, problem=f"Revision {revision}: {found.moment.note}.")
        visit.redaction.learn(found.secret)
        states.append(found.moment.record)
    shown = [show_state(client.system, it, visit.redaction).data for it in states]
    return Compared(first, last, show_differences(*shown))


def _so_far(found: Unreached, record: Record) -> str:
    return (
        f"The replay has come to revision {found.revision} of {record.revision}: it runs for "
        f"{REPLAY_SECONDS:g} s at a time, and goes on when this page is read again."
    )


async def _chart(client: Client, visit: Visit, record: Record) -> Page:  # noqa: ARG001 - a `Tab`
    chart = show_chart(client.system, record, ())
    return Page(template="chart.html", title="", view=chart, more={"picture": find_picture(chart)})


async def _travel(client: Client, visit: Visit, record: Record) -> Page:
    wanted, redaction = visit.number("revision"), visit.redaction
    found = await walks_of(client).find(record, wanted, redaction.secrets_of)
    if found is None:
        raise Refused(404, "No history", "Retention has removed the history of this workflow.")
    if isinstance(found, Unreached):
        return _replaying(found, record, "travel", wanted)
    redaction.learn(found.secret)
    moment = found.moment
    redaction.meet((moment.event, *moment.produced))
    state = before_state = None
    note = ""
    if moment.record is not None:
        shown = show_state(client.system, moment.record, redaction)
        state, note = show_data(shown.data), shown.note
        if found.before is not None:
            before_state = show_state(client.system, found.before, redaction).data
        changes = show_differences(before_state, shown.data)
    else:
        changes = ()
    is_active = moment.record is not None and moment.record.status == "active"
    may_fork = is_active and await visit.reader.may("fork", record)
    chart = "" if moment.record is None else show_chart(client.system, moment.record, found.path)
    return Page(
        template="travel.html",
        title="",
        more={
            "moment": moment,
            "event": None if moment.event is None else show_event(moment.event, redaction),
            "commands": show_commands(moment),
            "timers": () if moment.record is None else show_timers(moment.record),
            "first": found.first,
            "last": found.last,
            "previous": moment.revision - 1 if moment.revision > found.first else None,
            "following": moment.revision + 1 if moment.revision < found.last else None,
            "state": state,
            "note": note,
            "changes": changes,
            "what_if": (
                visit.links.what_if(record.subject, moment.revision)
                if moment.event is not None
                and not is_fork(moment.event.type)
                and redaction.shows_data
                else None
            ),
            "fork": (
                visit.links.act("fork", record.subject, at=moment.revision) if may_fork else None
            ),
            "chart": chart,
            "picture": find_picture(chart),
        },
    )


async def _tree(client: Client, visit: Visit, record: Record) -> Page:
    tree = await client.tree(record.subject)
    for node in tree:
        if node.record is not None:
            meet_record(client.system, node.record, visit.redaction)
    return Page(
        template="tree.html", title="", view=show_tree(tree, record.subject, visit.redaction)
    )


async def _replay(client: Client, visit: Visit, record: Record) -> Page:
    replayed = await walks_of(client).replay(record, visit.redaction.secrets_of)
    if isinstance(replayed, Unreached):
        return _replaying(replayed, record, "replay", None)
    visit.redaction.learn(replayed.secret)
    view = show_replay(replayed.results, replayed.differences, visit.redaction)
    return Page(template="replay.html", title="", view=view)


def _replaying(found: Unreached, record: Record, tab: str, revision: int | None) -> Page:
    """Show how far a replay has come; the page reads itself again."""
    more = {"text": _so_far(found, record), "tab": tab, "revision": revision}
    return Page(template="replaying.html", title="", view=found, more=more)


async def _sequence(client: Client, visit: Visit, record: Record) -> Page:
    entries = await _entries(client, record, None, HISTORY_PAGE_MAX)
    visit.redaction.meet(entry.event for entry in entries)
    return Page(template="sequence.html", title="", view=show_sequence(entries))


async def _no_history(client: Client, visit: Visit, record: Record) -> Page:  # noqa: ARG001 - a `Tab`
    return Page(template="no-history.html", title="", view=NO_HISTORY, status=501)


async def _entries(
    client: Client, record: Record, before: int | None, limit: int
) -> tuple[HistoryEntry, ...]:
    return await client.backend.history(record.subject, before=before, limit=limit)


_TABS: Final[Mapping[str, Tab]] = {
    "": _now,
    "timeline": _timeline,
    "history": _history,
    "event": _event,
    "state": _state,
    "chart": _chart,
    "travel": _travel,
    "tree": _tree,
    "replay": _replay,
    "sequence": _sequence,
}
_OF_HISTORY: Final = frozenset({"timeline", "history", "travel", "replay", "sequence"})


async def history_lines(client: Client, visit: Visit) -> Response:
    """Download the history of a workflow, one entry a line, as `arvo history --json` prints it.

    It is read twice, page by page: a secret may have been copied into an earlier event. So a
    history of any length needs the memory of one page.
    """
    subject = (await _find(client, visit)).record.subject
    end = await history_end(client, subject)
    async for page in history_pages(client, subject, end):
        visit.redaction.meet(entry.event for entry in page)

    async def lines() -> AsyncIterator[str]:
        async for page in history_pages(client, subject, end):
            for entry in page:
                # Other pages and events come between.
                await asyncio.sleep(0)
                yield f"{_line(entry, visit)}\n"

    return StreamingResponse(
        lines(), 200, attachment("history.jsonl"), media_type="application/jsonl"
    )


def _line(entry: HistoryEntry, visit: Visit) -> str:
    event = None if entry.event is None else to_download(entry.event, visit.redaction)
    content = {**evolve(entry, record=None).to_dict(), "event": event}
    return visit.redaction.scrub(orjson.dumps(content).decode())


async def event_json(client: Client, visit: Visit) -> Response:
    """Download one event of a workflow."""
    record = (await _find(client, visit)).record
    entry = await _find_entry(client, visit, record)
    if entry.event is None:
        raise Refused(404, "There is no event", "An operator replaced the record here.")
    return download_json("event.json", to_download(entry.event, visit.redaction), visit)


async def state_json(client: Client, visit: Visit) -> Response:
    """Download the state of a workflow."""
    record = (await _find(client, visit)).record
    state = show_state(client.system, record, visit.redaction)
    return download_json("state.json", state.data, visit)


async def _find(client: Client, visit: Visit) -> StoredWorkflow:
    """Return the workflow of the address, and let the page learn what it may show of it."""
    stored = await find_workflow(client, visit.reader, visit.request.path_params["workflow"])
    visit.redaction.shows_data = await visit.reader.may("see_data", stored.record)
    meet_record(client.system, stored.record, visit.redaction)
    return stored
