"""Record log: a turn writes what it changes, however large the record is."""

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from arvo import Compensate, Complete, Emit, Resumable, System, Turn
from arvo.core.commit import Commit
from arvo.interpreters.delivery.codec import encode_record
from arvo.interpreters.delivery.record_log import RECORD_BYTES_MAX, next_entry
from tests.shop import (
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    charge,
    expect_commit,
    order,
    order_request,
    reply_to,
    ship,
)

SERVICES = (charge["1.0.0"], ship["1.0.0"])


def system(function: Callable[[Turn[Any]], Any]) -> System:
    """Return a system of one resumable."""
    return System([Resumable(order, {"1.0.0": function}, services=SERVICES)])


def written(commits: list[Commit]) -> list[int]:
    """Return the bytes of the record that each commit writes."""
    room, sizes = 0, []
    for commit in commits:
        assert commit.record is not None
        entry = next_entry(commit.record, commit.before, room)
        room = entry.room
        sizes.append(len(entry.content))
    return sizes


def fan_in(number: int) -> list[Commit]:
    """Take the turns of a workflow that sends *number* requests at once, and waits for all."""

    def collect(turn: Turn[Any]) -> Any:
        if turn.input is not None:
            return [Emit(ChargeCard(f"o{place}", 1.0)) for place in range(number)]
        replies = turn.collected["evt.payment.charged"]
        return Complete(OrderFulfilled("t")) if len(replies) == number else None

    shop = system(collect)
    commits = [expect_commit(shop, order_request())]
    for place, request in enumerate(commits[0].events):
        reply = reply_to(request, CardCharged("r"), f"reply-{place}")
        commits.append(expect_commit(shop, reply, commits[-1].record))
    assert commits[-1].record is not None
    assert commits[-1].record.status == "done"
    return commits


def compensating(number: int) -> list[Commit]:
    """Take *number* turns that each remember one more compensation."""

    def advance(turn: Turn[Any]) -> Any:
        place = 0 if turn.record is None else turn.record.revision
        return Emit(ChargeCard(f"o{place}", 1.0)), Compensate(Emit(BookShipment(f"o{place}")))

    shop = system(advance)
    commits = [expect_commit(shop, order_request())]
    for place in range(number):
        reply = reply_to(commits[-1].events[0], CardCharged("r"), f"reply-{place}")
        commits.append(expect_commit(shop, reply, commits[-1].record))
    return commits


@pytest.mark.parametrize("run", [fan_in, compensating])
def test_twice_the_turns_write_twice_the_bytes(run: Callable[[int], list[Commit]]) -> None:
    """It was four times: each turn wrote all replies, and all compensations, so far."""
    bytes_written = [sum(written(run(number))) for number in (200, 400, 800)]

    assert bytes_written[1] < 2.5 * bytes_written[0]
    assert bytes_written[2] < 2.5 * bytes_written[1]


def test_a_turn_of_a_large_record_writes_its_own_change() -> None:
    """Neither the open requests nor the replies before it."""
    commits = fan_in(400)
    sizes = written(commits)

    assert sizes[0] > 10 * RECORD_BYTES_MAX
    assert sorted(sizes)[len(sizes) // 2] < 1_500


def test_a_record_that_is_small_again_is_written_whole() -> None:
    """It would be read with all the replies that it no longer has."""
    last = fan_in(400)[-1]
    assert last.record is not None

    entry = next_entry(last.record, last.before, 10**6)

    assert (entry.is_whole, entry.room) == (True, 0)
    assert entry.content == encode_record(last.record)


def test_without_the_record_before_it_a_record_is_written_whole() -> None:
    """An operator's change follows no record that a worker has seen."""
    begun = fan_in(100)[0].record
    assert begun is not None
    record = evolve(begun, revision=7)

    entry = next_entry(record, None, 10**6)

    assert (entry.is_whole, entry.content) == (True, encode_record(record))
    assert entry.room == len(entry.content)
    assert entry.in_row == b""
