"""Growth: what a statement reads does not grow with the rows that it has nothing to do with."""

import sqlite3
from collections.abc import Callable, Sequence

import pytest

from arvo.engine.step.route import ToHandler
from arvo.interpreters.delivery.operations import DeadLetterQuery
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.sqlite.statements import dead_letters, deliveries, timers
from arvo.testing.conformance.kit.samples import dead_letter, event, recent
from tests.interpreters.sqlite.statements.batches import ME, PAY, message
from tests.shop import charge_request

ROWS = 2_000


def count_steps(connection: sqlite3.Connection, work: Callable[[], object]) -> int:
    """Return the instructions that SQLite runs in *work*: the same in each run."""
    steps = 0

    def on_step() -> None:
        nonlocal steps
        steps += 1

    connection.set_progress_handler(on_step, 1)
    try:
        work()
    finally:
        connection.set_progress_handler(None, 1)
    return steps


def send_many(connection: sqlite3.Connection, keys: Sequence[str], owner: str | None) -> None:
    """Send a message for each of *keys*."""
    messages = [Message(charge_request(f"c{n}"), ToHandler(PAY, key)) for n, key in enumerate(keys)]
    deliveries.send(connection, messages, 0, owner)


@pytest.mark.parametrize("owner", [ME, None])
def test_a_message_of_a_busy_workflow_is_sent_at_the_cost_of_any(
    connection: sqlite3.Connection, owner: str | None
) -> None:
    """A workflow that has asked 5,000 services receives 5,000 replies with one key."""

    def send() -> None:
        deliveries.send(connection, [message("k")], 5, ME)

    alone = count_steps(connection, send)
    send_many(connection, ["k"] * ROWS, owner)

    assert count_steps(connection, send) < alone + 100


def test_a_message_of_a_busy_workflow_is_claimed_at_the_cost_of_any(
    connection: sqlite3.Connection,
) -> None:
    """Neither those that are claimed already nor those behind it are read."""

    def claim() -> None:
        assert len(deliveries.claim(connection, ME, {PAY: 1}, 5)) == 1

    send_many(connection, ["k", "k"], None)
    alone = count_steps(connection, claim)
    send_many(connection, ["k"] * ROWS, None)
    deliveries.claim(connection, ME, {PAY: ROWS // 2}, 5)

    assert count_steps(connection, claim) < alone + 100


def test_a_claim_reads_the_messages_that_a_queue_holds_back_once(
    connection: sqlite3.Connection,
) -> None:
    """Not once for each message that it claims: those are of other keys."""

    def claim() -> None:
        assert len(deliveries.claim(connection, ME, {PAY: 100}, 5)) == 100

    send_many(connection, [f"first-{number}" for number in range(100)], None)
    alone = count_steps(connection, claim)
    send_many(connection, [f"late-{number}" for number in range(ROWS)], None)
    connection.execute("update delivery set due = 9 where owner is null")
    send_many(connection, [f"second-{number}" for number in range(100)], None)

    assert count_steps(connection, claim) < alone + 20 * ROWS


def test_sleeping_timers_cost_nothing(connection: sqlite3.Connection) -> None:
    """A worker that opens the file, or polls it, looks at the next one."""
    few = count_steps(connection, lambda: timers.next_due(connection))
    connection.executemany(
        "insert into timer values (?, ?, 'q', 'k', '', '')",
        [(f"t{number}", 1_000 + number) for number in range(ROWS)],
    )

    assert timers.next_due(connection) == 1_000
    assert count_steps(connection, lambda: timers.next_due(connection)) < few + 20
    assert count_steps(connection, lambda: timers.fire(connection, 999)) < 200


def test_timers_that_are_due_are_read_and_deleted_once_each(
    connection: sqlite3.Connection,
) -> None:
    """12,000 that are due in one instant cost twelve times as much as 1,000."""
    connection.executemany(
        "insert into timer values (?, ?, 'q', ?, '', '')",
        [(f"t{number:05}", number, f"k{number}") for number in range(3 * timers.FIRE_MAX)],
    )

    first, second, third = (
        count_steps(connection, lambda: timers.fire(connection, 10**9)) for _ in range(3)
    )

    assert deliveries.count(connection) == 3 * timers.FIRE_MAX
    assert max(first, second, third) < 1.1 * min(first, second, third)


def test_a_dead_letter_is_found_by_id_and_by_subject_through_an_index(
    connection: sqlite3.Connection,
) -> None:
    """A worker with 20,000 of them was blocked for seconds by a question about one."""
    of_workflow = DeadLetterQuery(None, 10, event("e", run="mine").subject)
    for number in range(300):
        run = "mine" if number == 7 else "other"
        lost = dead_letter(f"dead-{number}", event(f"e{number}", run=run), at=recent(number))
        dead_letters.dead_letter(connection, lost)

    assert len(dead_letters.page(connection, of_workflow)) == 1
    assert count_steps(connection, lambda: dead_letters.page(connection, of_workflow)) < 100
    assert count_steps(connection, lambda: dead_letters.find(connection, "dead-7")) < 50


def test_dead_letters_are_counted_without_their_contents(connection: sqlite3.Connection) -> None:
    """20,000 of them with events of 1 MiB must group at once."""
    for number in range(300):
        lost = dead_letter(f"dead-{number}", event(f"e{number}"), at=recent(number))
        dead_letters.dead_letter(connection, lost)
    plan = connection.execute(
        "explain query plan select cause, handler, type, count(*), min(at), max(at)"
        " from dead_letter group by cause, handler, type"
    ).fetchall()

    (group,) = dead_letters.groups(connection, DeadLetterQuery())
    assert (group.number, group.cause) == (300, "because of …")
    assert "USING COVERING INDEX dead_letter_by_group" in str(plan)
    one = DeadLetterQuery(None, 10, cause="none")
    assert count_steps(connection, lambda: dead_letters.groups(connection, one)) < 100
