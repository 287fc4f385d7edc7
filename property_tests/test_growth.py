"""Growth: what a workflow's record costs to write depends on a turn, not on the turns before it."""

from typing import Any, Final

import orjson
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from arvo import Event, Record
from arvo.core.change import apply_changes, record_change
from arvo.core.events.protocol import Timer
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.replies import NO_REPLIES, Replies
from arvo.core.requests import ChildRun, SentRequest
from arvo.interpreters.delivery.codec import decode_record, encode_change, encode_record
from arvo.interpreters.delivery.record_log import RECORD_BYTES_MAX, next_entry
from tests.shop import CardCharged, expect_commit, order_request, reply_to, shop

BEGUN: Final[Any] = expect_commit(shop, order_request()).record
REQUEST: Final = SentRequest("com.x", "com.x", "#/x/1.0.0")
SAMPLE: Final = reply_to(expect_commit(shop, order_request()).events[0], CardCharged("r")).to_dict()

# A turn: what happens in it, and a number to choose by.
TURNS: Final = st.lists(
    st.tuples(
        st.sampled_from(
            ("reply", "send", "abandon", "append", "anew", "compensate", "child", "timer", "state")
        ),
        st.integers(0, 20),
    ),
    max_size=60,
)


def reply(request: str, id_: str) -> Event[Any]:
    """Make a reply to a request."""
    return Event.from_dict({**SAMPLE, "id": id_, "parentid": request})


def after_turn(record: Record, what: str, number: int) -> Record:
    """Return the record after one turn, as the engine changes it."""
    id_ = f"{record.revision}"
    entry = FrozenDict({"type": "com.x", "data": {"text": "x" * number * 20}})
    following = evolve(record, revision=record.revision + 1, consumed=id_)
    pending = record.pending_requests
    match what:
        case "reply" if pending:
            event = reply([*pending][number % len(pending)], id_)
            return evolve(following, replies=record.replies.add(event))
        case "send":
            rest = {
                key: sent for key, sent in pending.items() if key not in record.replies.requests
            }
            sent = {f"{id_}.{place}": REQUEST for place in range(number)}
            answered = {key: sent for key, sent in pending.items() if key not in rest}
            return evolve(
                following,
                pending_requests=FrozenDict({**rest, **sent}),
                replies=NO_REPLIES,
                answered_requests=FrozenDict(
                    [*record.answered_requests.items(), *answered.items()][-5:]
                ),
                produced=tuple(sent),
            )
        case "abandon":
            left = [*pending.items()][number:]
            return evolve(following, pending_requests=FrozenDict(left), replies=NO_REPLIES)
        case "append":
            return evolve(following, journal=(*record.journal, *[entry] * number))
        case "anew":
            return evolve(following, journal=(entry,) * number, compensations=())
        case "compensate":
            return evolve(following, compensations=(*record.compensations, entry))
        case "child":
            children = {**record.children, id_: ChildRun(id_, "#/x/1.0.0")}
            return evolve(following, children=FrozenDict([*children.items()][-5:]))
        case "timer":
            timers = {**record.timers}
            timers.pop(f"{number % 3}", None)
            timers[f"{number % 3}"] = Timer(id_, "2026-01-02T03:04:05+00:00", EMPTY)
            return evolve(following, timers=FrozenDict(timers))
        case "state":
            return evolve(following, state=FrozenDict({"text": "x" * number * 50}))
        case _:
            return following


def places(record: Record) -> list[list[str]]:
    """Return the order of the entries in the maps of a record: it is not compared with them."""
    maps = (record.children, record.pending_requests, record.answered_requests, record.timers)
    return [[*map_] for map_ in maps]


@given(TURNS)
def test_a_record_that_was_written_turn_by_turn_is_read_as_it_was(turns: list[Any]) -> None:
    """Whole or by changes, entry by entry and in order."""
    record, room = BEGUN, 0
    log: list[bytes] = []
    for what, number in turns:
        before, record = record, after_turn(record, what, number)
        entry = next_entry(record, before, room)
        log, room = [entry.content] if entry.is_whole else [*log, entry.content], entry.room

        read = decode_record(log[0], log[1:])

        assert read == record
        assert places(read) == places(record)
        if room:
            assert sum(map(len, log[1:])) < len(log[0])


@given(TURNS)
def test_the_bytes_written_follow_from_what_the_turns_change(turns: list[Any]) -> None:
    """Each turn writes its change, or a small record, or is paid for by the changes before it."""
    record, room = BEGUN, 0
    written = changed = 0
    for what, number in turns:
        before, record = record, after_turn(record, what, number)
        entry = next_entry(record, before, room)
        room = entry.room
        written += len(entry.content)
        changed += len(encode_change(before, record))

    small = (len(turns) + 1) * RECORD_BYTES_MAX
    assert written <= small + len(encode_record(BEGUN)) + 6 * changed


@given(st.data(), TURNS)
def test_changes_add_up(data: st.DataObject, turns: list[Any]) -> None:
    """Any turn may be the first of which only the change is known."""
    records = [BEGUN]
    for what, number in turns:
        records.append(after_turn(records[-1], what, number))
    first = data.draw(st.integers(0, len(records) - 1))
    changes = [
        orjson.loads(orjson.dumps(record_change(*pair)))
        for pair in zip(records[first:], records[first + 1 :], strict=False)
    ]

    content = apply_changes(records[first].to_dict(), changes)

    assert Record.from_dict(content) == records[-1]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(("evt.a", "evt.b"))), max_size=40),
    st.sets(st.integers(0, 40)),
)
def test_replies_are_grouped_the_same_whenever_they_are_looked_at(
    came: list[tuple[int, str]], looks: set[int]
) -> None:
    """By type, in the order of their requests, then in that in which they came."""
    pending = [f"{number}" for number in range(10)]
    replies = NO_REPLIES
    for number, (request, type_) in enumerate(came):
        replies = replies.add(evolve(reply(f"{request}", f"{number}"), type=type_))
        if number in looks:
            replies.grouped("reader", lambda event: event, pending)

    groups: dict[str, list[Event[Any]]] = {}
    for event in sorted(replies.events, key=lambda event: pending.index(event.parentid or "")):
        groups.setdefault(event.type, []).append(event)

    expected = {name: tuple(events) for name, events in groups.items()}
    assert replies == Replies(replies.events)
    assert replies.grouped("reader", lambda event: event, pending) == expected
    assert Replies(replies.events).grouped("other", lambda event: event, pending) == expected
