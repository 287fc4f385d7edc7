"""Views: what a page shows of a value, without a page."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from arvo import DeadLetter, HistoryEntry, Record
from arvo.console.views import timers
from arvo.console.views.data import (
    TREE_DEPTH_MAX,
    TREE_ITEMS_MAX,
    TREE_NODES_MAX,
    show_branches,
    show_data,
)
from arvo.console.views.dead_letters import Selection, selection_of, show_dead_letters
from arvo.console.views.filters import read_cursor, read_filters, write_cursor
from arvo.console.views.secrets import Redaction
from arvo.console.views.timers import show_timers
from arvo.console.views.workflow.history import ROWS_MAX, show_history
from arvo.console.views.workflow.timeline import PEERS_MAX, WIDTH, show_timeline
from arvo.console.views.workflow.travel import moments_of
from arvo.console.views.workflow.tree import RUNS_SHOWN_MAX, show_tree
from arvo.core.payloads.secrets import HIDDEN
from arvo.engine.history.replay import Replay
from arvo.engine.system.schemas import Schemas
from arvo.engine.workflow_tree import Tree
from arvo.interpreters.ports.results import PAGE_MAX, DeadLetterGroup, DueTimer
from tests.console.stores import ORDERS, SECRET, begin, system, turns
from tests.console.stores import Order as Placed

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EVENT = begin(turns, "one", Placed(10, pin=SECRET))


def redaction(*, shows_data: bool = True) -> Redaction:
    """Return the redaction of a reader of the system's pages."""
    return Redaction(Schemas.of(system), shows_data)


def entry(position: int, **values: Any) -> HistoryEntry:
    """Make an entry of a history."""
    defaults = {"revision": position, "kind": "consumed", "at": NOW, "event": EVENT}
    return HistoryEntry(position=position, **{**defaults, **values})


def record(subject: str, **values: Any) -> Record:
    """Make a record."""
    defaults = {
        "handler": "arvo.orc.shop.turns",
        "version": "1.0.0",
        "revision": 1,
        "status": "active",
        "init": "i",
        "consumed": "i",
    }
    return Record(subject=subject, **{**defaults, **values})


def dead_letter(number: int, reason: str) -> DeadLetter:
    """Make a dead letter."""
    at = (NOW + timedelta(seconds=number)).isoformat()
    return DeadLetter(id=f"d{number}", event=EVENT, reason=reason, attempts=1, at=at)


def test_the_filters_of_an_address_are_read_and_written_alike() -> None:
    """A form, a link and a bookmark lead to the same list."""
    pairs = [
        ("status", "failed"),
        ("type", "arvo.orc.x"),
        ("version", "10.0.1"),
        ("label", "a=1"),
        ("label", "b=c=d"),
        ("quiet", "2d"),
        ("q", " ann "),
        ("unknown", "x"),
        ("type", ""),
    ]
    filters = read_filters(pairs)

    again = read_filters(
        (name, one)
        for name, value in filters.query.items()
        for one in (value if isinstance(value, tuple) else [value or ""])
    )

    assert filters.issues == ()
    assert again == filters
    assert filters.of_batch(NOW)["version"] == filters.selection(NOW)["version"] == "10.0.1"
    assert filters.query["label"] == ("a=1", "b=c=d")
    assert filters.selection(NOW)["unchanged_since"] == NOW - timedelta(days=2)


@pytest.mark.parametrize(
    "text", ["", "~", "x~y", "2026-01-01T00:00:00~s", f"{NOW.isoformat()}~", f"{NOW}~\n", "~x"]
)
def test_a_cursor_that_is_none_is_refused(text: str) -> None:
    """An address is typed by hand as well."""
    assert read_cursor(text) is None


def test_a_text_is_searched_for_the_secrets_that_it_may_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A long history has thousands, and a pattern of them all takes a second for a line."""
    hides = redaction()
    hides.learn(f"token-{number:05}" for number in range(5_000))
    patterns, sub = list[str](), re.sub

    def noted(pattern: str, replacement: str, text: str) -> str:
        patterns.append(pattern)
        return sub(pattern, replacement, text)

    monkeypatch.setattr(re, "sub", noted)

    assert hides.scrub("without any of them") == "without any of them"
    assert hides.scrub("with token-04711 and tok-00815") == f"with {HIDDEN} and tok-00815"
    assert len(patterns) == 1
    assert len(patterns[0]) < 200


def test_a_cursor_holds_what_a_backend_compares() -> None:
    """Time and subject, by which lists are sorted."""
    text = f"{NOW.isoformat()}~{EVENT.subject}"

    cursor = read_cursor(text)

    assert cursor is not None
    assert write_cursor(cursor) == text
    assert (cursor.changed, cursor.record.subject) == (NOW, EVENT.subject)


def test_a_group_selects_its_dead_letters() -> None:
    """The link of a group shows those that it counts, also those that were for no handler."""
    group = DeadLetterGroup(
        cause="no customer", handler=None, type="com.a.b", number=2, first=NOW, last=NOW
    )

    selection = selection_of(group)

    assert selection.filters == {"cause": "no customer", "type": "com.a.b", "handler": ""}
    assert Selection(**selection.query) == selection
    assert Selection().filters == {"cause": None, "type": None, "handler": None}
    assert Selection().is_empty


def test_a_full_page_of_dead_letters_leads_to_the_next() -> None:
    """The last one of a page is where the next one begins."""
    listed = [dead_letter(n, f"no customer with pin {SECRET}") for n in range(PAGE_MAX)]

    full = show_dead_letters([], listed, Selection(), redaction())
    last = show_dead_letters([], listed[1:], Selection(), redaction())
    hidden = show_dead_letters([], listed[1:], Selection(), redaction(shows_data=False))

    assert (full.newer, last.newer) == (listed[-1].id, None)
    assert full.rows[0].reason == f"no customer with pin {SECRET}"  # hidden as it is printed
    assert hidden.rows[0].handler == "no destination"


def timer(number: int) -> DueTimer:
    """Make a timer; each is due a minute after the one before."""
    due = NOW + timedelta(minutes=number)
    return DueTimer(id=f"t{number}", name="n", subject=EVENT.subject, handler="arvo.orc.a", due=due)


def test_a_late_timer_is_marked() -> None:
    """It says that no worker runs."""
    view = show_timers([timer(0), timer(1)], type_="", types=(), now=NOW + timedelta(seconds=1))

    assert [(row.is_late, row.workflow) for row in view.rows] == [(True, "one"), (False, "one")]


def test_a_full_page_of_timers_leads_to_the_next() -> None:
    """A type that the system does not have is still the one that the form shows."""
    listed = [timer(number) for number in range(PAGE_MAX)]

    full = show_timers(listed, type_="arvo.orc.a", types=["arvo.orc.b"], now=NOW)
    last = show_timers(listed[1:], type_="", types=["arvo.orc.b"], now=NOW)

    assert (full.later, full.types) == (
        timers.write_cursor(listed[-1]),
        ("arvo.orc.b", "arvo.orc.a"),
    )
    assert (last.later, last.types) == (None, ("arvo.orc.b",))


@pytest.mark.parametrize("text", ["", "~", "x~y", "2026-01-01T00:00:00~s", f"{NOW}~\n", "~x"])
def test_a_cursor_of_timers_that_is_none_is_refused(text: str) -> None:
    """An address is typed by hand as well."""
    assert timers.read_cursor(text) is None


def test_a_page_of_a_history_leads_to_its_neighbours() -> None:
    """Fifty thousand lines are read two hundred at a time."""
    page = tuple(entry(n) for n in range(200, 200 + ROWS_MAX))

    newest = show_history(page, None)
    middle = show_history(page, 400)
    oldest = show_history(tuple(entry(n) for n in range(200)), 200)

    assert (newest.older, newest.newer) == (200, None)
    assert (middle.older, middle.newer) == (200, 600)
    assert (oldest.older, oldest.newer) == (None, 400)


def test_a_timeline_has_a_bar_from_a_request_to_its_reply() -> None:
    """Its length is the time that the service took."""
    request = begin(turns, "two", Placed(1))
    reply = begin(turns, "three", Placed(1))
    reply = type(reply).from_dict({**reply.to_dict(), "parentid": request.id})
    later = NOW + timedelta(seconds=2)

    view = show_timeline(
        [entry(0, kind="produced", event=request), entry(1, event=reply, at=later)]
    )

    assert [it.title for it in view.bars] == [f"{request.type}, answered after 2.000 s"]
    assert len(view.dots) == 2
    assert view.bars[0].x + view.bars[0].width <= WIDTH


def test_a_timeline_has_a_limit_of_rows() -> None:
    """The others share one; the table lists each."""
    events = [
        type(EVENT).from_dict({**EVENT.to_dict(), "source": f"com.peer.n{n}"}) for n in range(99)
    ]

    view = show_timeline([entry(n, event=event) for n, event in enumerate(events)])

    assert len(view.peers) == PEERS_MAX
    assert view.peers[-1].name == "others"
    assert len(view.dots) == 99
    assert show_timeline([]).begin is None


def test_a_tree_shows_a_limited_number_of_runs() -> None:
    """A workflow with ten thousand children has a page as well."""
    children = tuple(Tree(f"s{n}", None) for n in range(RUNS_SHOWN_MAX + 5))
    top = record(ORDERS["done-1"].subject)

    view = show_tree(Tree(top.subject, top, children, left_out=2), top.subject, redaction())

    assert len(view.rows) == RUNS_SHOWN_MAX
    assert view.left_out == 8
    assert view.rows[0].is_this
    assert (view.rows[1].depth, view.rows[1].status) == (1, "unknown")


def test_a_moment_without_its_turn_says_why() -> None:
    """Retention removes the oldest entries, and a replay cannot begin in the middle."""
    moments = moments_of([entry(0, kind="produced")], Replay(turns=()))
    replaced = moments_of(
        [entry(4, kind="replaced", event=None, record=record("s"))], Replay(turns=())
    )

    assert moments[0].record is None
    assert moments[0].note == "retention has removed the event of this turn"
    assert replaced[0].record == record("s")


def test_a_secret_is_hidden_wherever_it_was_copied() -> None:
    """A handler writes it into an error, a log line or another field."""
    page = redaction()
    page.meet((EVENT,))
    cut = f"{SECRET[:10]}…"

    assert page.scrub(f"a {SECRET} b") == "a ••• b"
    assert SECRET[:6] not in page.scrub(f"got '{cut}'")
    assert page.scrub("nothing of it") == "nothing of it"
    assert page.event_data(EVENT)["pin"] == "•••"


def test_without_the_right_to_see_data_a_page_shows_its_shape() -> None:
    """Also of numbers, which may say more than texts."""
    shown = redaction(shows_data=False).event_data(EVENT)

    assert shown["amount"] == "number"
    assert shown["pin"] == "string"


def test_a_long_list_shows_its_first_items_and_counts_the_others() -> None:
    """A person reads an outline, and downloads the rest."""
    tree = show_branches({"lines": list(range(1_000))})

    [lines] = tree.children or ()
    assert [it.text for it in lines.children or ()] == [str(it) for it in range(TREE_ITEMS_MAX)]
    assert (lines.number, lines.more) == (1_000, 1_000 - TREE_ITEMS_MAX)
    assert (tree.is_open, lines.is_open) == (True, False)


def test_a_large_first_branch_leaves_room_for_the_others() -> None:
    """The fields of an order stay visible above and below its thousand lines."""
    line = {"item": "a", "sizes": [1, 2, 3]}
    tree = show_branches({"lines": [line] * 500, "to": {"city": "Bern"}})

    lines, to = tree.children or ()
    assert (lines.number, len(lines.children or ())) == (500, TREE_ITEMS_MAX)
    assert [(it.key, it.text) for it in to.children or ()] == [("city", '"Bern"')]
    assert 100 < str(tree).count("DataNode") <= TREE_NODES_MAX


def test_deep_data_ends_with_a_count() -> None:
    """Each level is indented, and a phone has room for a few."""
    data: Any = 1
    for _ in range(60):
        data = [data]
    node = show_branches(data)
    for _ in range(TREE_DEPTH_MAX):
        [node] = node.children or ()

    assert (node.children, node.number, node.more) == ((), 1, 1)


def test_data_that_is_too_large_has_no_tree() -> None:
    """It is a download alone."""
    assert show_data("x" * 300_000).tree is None
