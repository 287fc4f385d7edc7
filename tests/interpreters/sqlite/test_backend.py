"""SQLite: one file that survives, that processes share, and that is refused when damaged."""

import asyncio
import sqlite3
import time as blocking
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from attrs import evolve

from arvo import (
    Client,
    Complete,
    Emit,
    Event,
    Record,
    Resumable,
    Runtime,
    Schedule,
    Subject,
    System,
    TimerFired,
    Turn,
)
from arvo.core.payloads.json_data import freeze_unchecked
from arvo.engine.step.route import ToHandler
from arvo.interpreters.delivery.codec import encode_dead_letter
from arvo.interpreters.delivery.retention import Retention
from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.ports.messages import DeadLetter, Message
from arvo.interpreters.ports.results import (
    CommitResult,
    Committed,
    Conflict,
    Depth,
    Duplicate,
    Fenced,
)
from arvo.interpreters.runtime.backends import backend_from_url
from arvo.interpreters.sqlite import SqliteBackend
from arvo.interpreters.sqlite.connection.migrations import SCHEMA_VERSION, scripts
from arvo.testing.conformance.cancellations import to_cancel
from arvo.testing.conformance.kit.samples import (
    WORKFLOW,
    dead_letter,
    recent,
    to_workflow,
    turn_commit,
)
from tests.interpreters.until import until
from tests.interpreters.within import within
from tests.shop import (
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    charge,
    charge_request,
    expect_commit,
    make_workflow,
    order,
    order_request,
    payments,
    reply_to,
    shop,
)

ORDER = "arvo.orc.order.fulfil"
PAY = "com.payment.charge"


def to_payment(number: int) -> Message:
    return Message(charge_request(f"c{number}"), ToHandler(PAY, None))


def to_order(number: int, key: str = "k") -> Message:
    return Message(order_request(f"i{number}"), ToHandler(ORDER, key))


async def nothing_comes(backend: SqliteBackend, queue: str, seconds: float = 0.3) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await backend.receive(queue)
    except TimeoutError:
        return True
    return False


async def begin_workflow(backend: SqliteBackend) -> Event[Any]:
    """Commit the first turn of a workflow, and return the request that it made."""
    event = order_request()
    await backend.send(Message(event, ToHandler(ORDER, event.subject)))
    commit = expect_commit(shop, event)
    (request,) = commit.events
    messages = [Message(request, ToHandler(PAY, None))]
    result = await backend.commit(await backend.receive(ORDER), commit, messages, [])
    assert result == Committed()
    return request


# One process after the other


@pytest.mark.promise("I1")
def test_what_was_accepted_survives_the_process(tmp_path: Path) -> None:
    """I1: an event, a record, a request, a dead letter; in the order in which they were sent."""
    path = str(tmp_path / "a.db")
    dead_letter = DeadLetter(
        id="l1",
        event=charge_request("dead"),
        reason="r",
        attempts=2,
        at=recent(),
    )

    async def first() -> Event[Any]:
        backend = SqliteBackend(path)
        request = await begin_workflow(backend)
        for number in range(3):
            await backend.send(to_payment(number))
        await backend.dead_letter(None, dead_letter)
        await backend.close()
        return request

    async def second() -> tuple[list[str], object, object]:
        backend = SqliteBackend(path)
        events = [(await backend.receive(PAY)).message.event.id for _ in range(4)]
        record = await backend.load(order_request().subject)
        dead_letters = await backend.dead_letters()
        await backend.close()
        return events, record, dead_letters

    request = within(first())
    events, record, dead_letters = within(second())

    assert events == [request.id, "c0", "c1", "c2"]
    assert record == expect_commit(shop, order_request()).record
    assert dead_letters == (dead_letter,)


def test_a_workflow_continues_in_the_next_process(tmp_path: Path) -> None:
    """On the default backend, named by its URL."""
    url = f"sqlite:///{tmp_path}/a.db"

    async def first() -> None:
        backend = backend_from_url(url)
        await backend.send(Message(order_request(), ToHandler(ORDER, order_request().subject)))
        await backend.close()

    async def second() -> object:
        async with Runtime(shop, url) as runtime:
            await runtime.drain(timeout=30)
            record = await runtime.record(order_request().subject)
            return record and record.status

    within(first())
    assert within(second()) == "done"


@pytest.mark.promise("I7")
def test_a_timer_survives_and_fires_once(tmp_path: Path) -> None:
    """I7: also after a restart, not early."""
    path = str(tmp_path / "a.db")

    def patient(turn: Turn[Any]) -> object:
        match turn.event.data:
            case TimerFired():
                return Complete(OrderFulfilled("t"))
            case _:
                return Schedule("t", after=1.0)

    system = System([make_workflow(patient)])

    async def first() -> Depth:
        async with Runtime(system, SqliteBackend(path)) as runtime:
            await runtime.send(order_request())
            await runtime.drain(timeout=30)
            return await runtime._backend.depth()

    async def second() -> int:
        async with Runtime(system, SqliteBackend(path)) as runtime:

            async def is_done() -> bool:
                record = await runtime.record(order_request().subject)
                return record is not None and record.status == "done"

            await until(is_done)
            await runtime.drain(timeout=30)
            return runtime.stats().handled

    assert within(first()) == Depth(timers=1)
    assert within(second()) == 1


# Several processes on one file


def test_each_delivery_belongs_to_one_worker(tmp_path: Path) -> None:
    """Two processes share the work, and each event is delivered once."""
    path = str(tmp_path / "a.db")

    async def go() -> list[str]:
        one, other = SqliteBackend(path), SqliteBackend(path)
        for number in range(20):
            await one.send(to_payment(number))
        received: list[str] = []

        async def work(backend: SqliteBackend) -> None:
            while len(received) < 20:
                delivery = await backend.receive(PAY)
                received.append(delivery.message.event.id)
                await backend.ack(delivery)
                await asyncio.sleep(0.001)

        tasks = [asyncio.create_task(work(backend)) for backend in (one, other)]
        await one.wait_until_idle()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await one.close()
        await other.close()
        return sorted(received)

    assert within(go()) == sorted(f"c{number}" for number in range(20))


@pytest.mark.promise("I4")
def test_one_worker_at_a_time_has_the_events_of_a_key(tmp_path: Path) -> None:
    """I4: per subject some serial order, whichever workers take part."""
    path = str(tmp_path / "a.db")

    async def go() -> list[str]:
        one, other = SqliteBackend(path), SqliteBackend(path)
        for number in range(3):
            await one.send(to_order(number))
        first = await one.receive(ORDER)
        assert await nothing_comes(other, ORDER, 1.5)
        await one.ack(first)
        received = [first.message.event.id]
        for _ in range(2):
            delivery = await one.receive(ORDER)
            received.append(delivery.message.event.id)
            await one.ack(delivery)
        await one.close()
        await other.close()
        return received

    assert within(go()) == ["i0", "i1", "i2"]


@pytest.mark.promise("I6")
def test_a_worker_whose_lease_expired_is_refused(tmp_path: Path) -> None:
    """I6: its late commit changes nothing, and that of the other worker stands."""
    path = str(tmp_path / "a.db")
    then = datetime.now(UTC)

    async def go() -> tuple[object, ...]:
        # With a clock that stands still the lease is never extended.
        paused = SqliteBackend(path, now=lambda: then)
        event = order_request()
        await paused.send(Message(event, ToHandler(ORDER, event.subject)))
        mine = await paused.receive(ORDER)
        other = SqliteBackend(path, now=lambda: then + timedelta(minutes=1))
        theirs = await other.receive(ORDER)
        late = await paused.commit(mine, expect_commit(shop, event), [to_payment(1)], [])
        good = await other.commit(theirs, expect_commit(shop, event), [], [])
        depth = await other.depth()
        await paused.close()
        await other.close()
        return theirs.message.event.id, late, good, depth

    assert within(go()) == ("i1", Fenced(), Committed(), Depth())


def test_a_commit_on_an_older_record_is_refused_whole(tmp_path: Path) -> None:
    """Compare and set, and each event is consumed once."""
    path = str(tmp_path / "a.db")

    async def go() -> tuple[object, ...]:
        backend = SqliteBackend(path)
        request = await begin_workflow(backend)
        record = expect_commit(shop, order_request()).record
        reply = reply_to(request, CardCharged("r"))
        commit = expect_commit(shop, reply, record)
        await backend.send(Message(reply, ToHandler(ORDER, reply.subject)))
        delivery = await backend.receive(ORDER)
        stale = evolve(commit, expected=7)
        refused = await backend.commit(delivery, stale, [to_payment(1)], [])
        applied = await backend.commit(delivery, commit, [], [])
        await backend.send(Message(reply, ToHandler(ORDER, reply.subject)))
        again = await backend.commit(await backend.receive(ORDER), commit, [to_payment(1)], [])
        stored = await backend.load(reply.subject)
        await backend.close()
        return refused, applied, again, stored == commit.record

    assert within(go()) == (Conflict(1), Committed(), Duplicate(), True)


def test_a_subject_may_have_any_length(tmp_path: Path) -> None:
    """A tree of workflows makes long ones. B20: a column of 255 characters was too short."""
    subject = Subject.parse(order_request().subject)
    long = evolve(subject, meta={"note": "".join(map(str, range(4_000)))})

    async def go() -> object:
        async with Runtime(shop, SqliteBackend(str(tmp_path / "a.db"))) as runtime:
            await runtime.send(order_request(subject=long))
            await runtime.drain(timeout=30)
            record = await runtime.record(str(long))
            return record and record.status

    assert len(str(long)) > 5_000
    assert within(go()) == "done"


# Damage


def test_a_file_that_is_not_ours_is_not_changed(tmp_path: Path) -> None:
    """Of any kind; and the error gives the remedy."""
    text, foreign, later, cut = (tmp_path / name for name in ("a.txt", "b.db", "c.db", "d.db"))
    text.write_text("no database at all, but a hundred bytes and more of something else " * 3)
    with closing(sqlite3.connect(foreign)) as connection, connection:
        connection.execute("create table mine (id integer)")
    within(send_one(later))
    with closing(sqlite3.connect(later)) as connection, connection:
        connection.execute(f"pragma user_version = {SCHEMA_VERSION + 1}")
    within(send_one(cut))
    cut.write_bytes(cut.read_bytes()[:-4096])
    errors = {
        text: "no SQLite database",
        foreign: "tables of another program",
        later: "a later version of arvo",
        cut: "cut off",
    }

    for path, expected in errors.items():
        before = path.read_bytes()
        with pytest.raises(Corrupt, match=expected) as refused:
            within(send_one(path))
        assert "name another file" in str(refused.value) or "backup" in str(refused.value)
        assert path.read_bytes() == before


async def send_one(path: Path) -> None:
    backend = SqliteBackend(str(path))
    try:
        await backend.send(to_payment(1))
    finally:
        await backend.close()


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    """It is not created: the name may be misspelt."""
    with pytest.raises(Unavailable, match="does not exist: make it, or name another file"):
        within(send_one(tmp_path / "nowhere" / "a.db"))


def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """A message that is refused was not stored; when there is room again, all goes on."""

    async def go() -> tuple[int, int]:
        backend = SqliteBackend(str(tmp_path / "a.db"))
        await backend.send(to_payment(0))
        writer = await backend._session.open()
        pages = await writer.write(lambda c: c.execute("pragma page_count").fetchone()[0])
        await writer.write(lambda c: c.execute(f"pragma max_page_count = {pages + 3}"))
        sent = 1
        is_full = False
        while not is_full:
            try:
                await backend.send(to_payment(sent))
                sent += 1
            except Unavailable as error:
                is_full = "full" in str(error)
        await writer.write(lambda c: c.execute("pragma max_page_count = 1000000"))
        await backend.send(to_payment(1_000))
        depth = await backend.depth()
        await backend.close()
        return sent + 1, depth.total

    sent, stored = within(go())
    assert sent == stored > 2


def without_limits(connection: sqlite3.Connection) -> None:
    """Bring the tables for deliveries back to version 16."""
    for index in ("delivery_parked", "delivery_parked_due", "delivery_share"):
        connection.execute(f"drop index {index}")
    for column in ("parked", "rank", "share"):
        connection.execute(f"alter table delivery drop column {column}")


def journals_in_rows(connection: sqlite3.Connection) -> None:
    """Bring the tables for records back to version 9."""
    without_limits(connection)
    connection.execute("drop index workflow_by_workflow_id")
    connection.execute("alter table workflow drop column workflow_id")
    connection.execute("alter table workflow drop column labels")
    connection.execute("drop table record_log")
    connection.execute("alter table workflow drop column room")
    connection.execute(
        "create table journal (workflow integer not null, position integer not null,"
        " line blob not null, primary key (workflow, position)) without rowid"
    )


@pytest.mark.parametrize("journal", [(), ({"at": 0, "asked": 'ask "ä\\'}, {"at": 1, "got": 2.50})])
def test_the_journal_of_a_flow_becomes_a_part_of_its_record(
    tmp_path: Path, journal: tuple[Any, ...]
) -> None:
    """The version before had a row for each entry."""
    path = tmp_path / "a.db"
    begun = expect_commit(shop, order_request()).record
    assert begun is not None
    record = evolve(begun, journal=freeze_unchecked(journal))

    async def load() -> Record | None:
        backend = SqliteBackend(str(path))
        loaded = await backend.load(record.subject)
        await backend.close()
        return loaded

    assert within(load()) is None
    body = record.to_dict()
    with closing(sqlite3.connect(path)) as connection, connection:
        journals_in_rows(connection)
        del body["journal"]
        values = (record.subject, record.handler, orjson.dumps(body))
        connection.execute(
            "insert into workflow (id, subject, handler, version, status, revision, record, began,"
            " changed) values (7, ?, ?, '1.0.0', 'active', 1, ?, 0, 0)",
            values,
        )
        lines = [(place, orjson.dumps(entry)) for place, entry in enumerate(journal)]
        connection.executemany("insert into journal values (7, ?, ?)", lines[::-1])
        connection.execute("pragma user_version = 9")

    assert within(load()) == record


def test_a_file_of_the_version_before_is_upgraded_in_place(tmp_path: Path) -> None:
    """Its workflows go on, and have a history from then on; its dead letters stay."""
    path = tmp_path / "a.db"
    event = order_request()
    lost = dead_letter("lost", event)

    async def now() -> object:
        async with Runtime(shop, SqliteBackend(str(path))) as runtime:
            await runtime.drain(timeout=30)
            assert await runtime.dead_letters(subject=event.subject) == (lost,)
            later = evolve(lost, id="later", at=recent(0.001))
            assert await runtime.dead_letters(after=later) == ()
            (group,) = await runtime.dead_letter_groups()
            assert (group.number, group.cause, group.type) == (1, lost.cause, event.type)
            record = await runtime.record(event.subject)
            return record and record.status

    async def before() -> None:
        backend = SqliteBackend(str(path))
        await backend.send(Message(event, ToHandler(ORDER, event.subject)))
        await backend.close()

    within(before())
    with closing(sqlite3.connect(path)) as connection, connection:
        journals_in_rows(connection)
        connection.execute("drop table history")
        connection.execute("drop index workflow_by_parent")
        connection.execute("alter table workflow drop column history_length")
        connection.execute("alter table delivery drop column deferred")
        connection.execute("alter table delivery drop column deaths")
        connection.execute("alter table delivery drop column started")
        connection.execute("alter table worker drop column services")
        connection.execute("alter table delivery drop column progress")
        connection.execute("drop table dead_letter")
        connection.execute(
            "create table dead_letter (id text primary key, at text not null,"
            " number integer not null unique, content blob not null) without rowid"
        )
        row = (lost.id, lost.at, encode_dead_letter(lost))
        connection.execute("insert into dead_letter values (?, ?, 1, ?)", row)
        connection.execute("drop index delivery_by_cancellation")
        connection.execute("alter table delivery drop column cancels")
        connection.execute("alter table inbox drop column content")
        connection.execute("pragma user_version = 1")

    assert within(now()) == "done"
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("pragma user_version").fetchone() == (SCHEMA_VERSION,)
        assert connection.execute("select count(*) from history").fetchone()[0] > 5
    assert len(scripts()) == SCHEMA_VERSION


def test_workflows_of_the_version_before_are_found_by_their_ids(tmp_path: Path) -> None:
    """The upgrade reads the ids in their subjects."""
    path = tmp_path / "a.db"

    async def go() -> None:
        async with Runtime(shop, SqliteBackend(str(path))) as runtime:
            await runtime.request(order_request("order-1"), timeout=60)
        with closing(sqlite3.connect(path)) as connection, connection:
            without_limits(connection)
            connection.execute("drop index workflow_by_workflow_id")
            connection.execute("alter table workflow drop column workflow_id")
            connection.execute("alter table workflow drop column labels")
            connection.execute("pragma user_version = 10")
        async with Client(shop, SqliteBackend(str(path))) as client:
            assert (await client.describe("order-1")).record.status == "done"

    within(go())


def test_a_cancellation_from_before_the_upgrade_is_pending(tmp_path: Path) -> None:
    """It was accepted by a version that did not look for it."""
    path, begin, stop = tmp_path / "a.db", to_workflow("begin"), to_cancel()

    async def send() -> None:
        backend = SqliteBackend(str(path))
        for message in (begin, stop):
            await backend.send(message)
        await backend.close()

    async def ask() -> bool:
        backend = SqliteBackend(str(path))
        delivery = await backend.receive(WORKFLOW)
        pending = await backend.pending_cancellation(delivery)
        await backend.close()
        return delivery.message == begin and pending == stop.event

    within(send())
    with closing(sqlite3.connect(path)) as connection, connection:
        journals_in_rows(connection)
        connection.execute("drop index delivery_by_cancellation")
        connection.execute("alter table delivery drop column cancels")
        connection.execute("alter table inbox drop column content")
        connection.execute("pragma user_version = 6")

    assert within(ask())


def test_an_event_that_was_consumed_before_the_upgrade_has_no_conflict(tmp_path: Path) -> None:
    """That version did not store what the event said."""
    path, begin, other = (
        tmp_path / "a.db",
        to_workflow("begin"),
        to_workflow("begin", data={"k": 1}),
    )

    async def consume(message: Message, revision: int) -> CommitResult:
        backend = SqliteBackend(str(path))
        await backend.send(message)
        delivery = await backend.receive(WORKFLOW)
        result = await backend.commit(delivery, turn_commit(delivery, revision), [], [])
        await backend.close()
        return result

    first = within(consume(begin, 1))
    with closing(sqlite3.connect(path)) as connection, connection:
        journals_in_rows(connection)
        connection.execute("alter table inbox drop column content")
        connection.execute("pragma user_version = 8")

    assert (first, within(consume(other, 2))) == (Committed(), Duplicate())


# Retention


def test_finished_work_is_deleted_when_its_retention_ends(tmp_path: Path) -> None:
    """In small batches; a workflow that failed stays for an operator."""
    path = str(tmp_path / "a.db")
    retention = Retention(inbox=timedelta(days=1), finished=timedelta(days=1))
    later = lambda: datetime.now(UTC) + timedelta(days=2)  # noqa: E731

    async def fill() -> None:
        async with Runtime(shop, SqliteBackend(path)) as runtime:
            await runtime.send(order_request("i1"))
            await runtime.send(order_request("i2", amount=2_000))
            await runtime.drain(timeout=30)

    async def purge() -> list[object]:
        backend = SqliteBackend(path, retention=retention, now=later)
        await backend.send(to_payment(1))

        async def is_deleted() -> bool:
            return await backend.load(order_request("i1").subject) is None

        await until(is_deleted)
        failed = await backend.load(order_request("i2").subject)
        counts = await backend._session.read(
            lambda c: c.execute(
                "select (select count(*) from inbox),"
                " (select count(distinct workflow) from history)"
            ).fetchone()
        )
        await backend.close()
        return [failed and failed.status, counts]

    within(fill())
    assert within(purge()) == ["failed", (0, 1)]


# Leases and backpressure


def test_the_lease_is_renewed_while_a_handler_blocks_the_event_loop(tmp_path: Path) -> None:
    """The heartbeat has a thread of its own, so no other worker takes over what is slow."""
    path = str(tmp_path / "a.db")

    def wait_for_renewals(connection: sqlite3.Connection, number: int) -> None:
        leases: set[int] = set()
        while len(leases) <= number:
            leases.update(lease for (lease,) in connection.execute("select lease from worker"))
            blocking.sleep(0.01)

    async def go() -> None:
        backend = SqliteBackend(path, lease=0.3)
        await backend.send(to_payment(1))
        delivery = await backend.receive(PAY)
        with closing(sqlite3.connect(path, timeout=30)) as connection:
            # Blocks the whole event loop, as a careless handler does.
            wait_for_renewals(connection, 3)
        await backend.ack(delivery)
        await backend.close()

    within(go())


def test_send_waits_while_the_queue_is_full(tmp_path: Path) -> None:
    """Backpressure, not loss."""

    async def go() -> tuple[bool, int]:
        backend = SqliteBackend(str(tmp_path / "a.db"), queue_max=2)
        for number in range(2):
            await backend.send(to_payment(number))
        third = asyncio.create_task(backend.send(to_payment(2)))
        await asyncio.sleep(0.05)
        waited = not third.done()
        await backend.ack(await backend.receive(PAY))
        await third
        depth = await backend.depth()
        await backend.close()
        return waited, depth.total

    assert within(go()) == (True, 2)


def test_a_worker_that_was_wrongly_taken_for_dead_leaves_nothing_behind(tmp_path: Path) -> None:
    """Messages that it sent to itself before it noticed are delivered again."""
    path = str(tmp_path / "a.db")

    async def go() -> list[str]:
        backend = SqliteBackend(path, lease=0.6)
        await backend.send(to_payment(0))
        await backend.receive(PAY)
        with closing(sqlite3.connect(path, timeout=30)) as other, other:
            # As another process does with a worker whose lease has expired.
            other.execute("delete from worker")
            other.execute("update delivery set owner = null")
        await backend.send(to_payment(1))

        async def is_registered() -> bool:
            sql = "select count(*) from worker"
            return bool(await backend._session.read(lambda c: c.execute(sql).fetchone()[0]))

        await until(is_registered)
        received = [(await backend.receive(PAY)).message.event.id for _ in range(2)]
        await backend.close()
        return sorted(received)

    assert within(go()) == ["c0", "c1"]


@pytest.mark.promise("I4", "I6")
@pytest.mark.parametrize("lease", [0.3, 3_600.0])
def test_a_worker_that_was_wrongly_taken_for_dead_keeps_the_order(
    tmp_path: Path, lease: float
) -> None:
    """I4, I6: before it notices, and after it has registered again. What it received before is not
    its own again by a claim of the same rows: the second delivery would come before the first one.
    """
    path = str(tmp_path / "a.db")

    async def go() -> list[int]:
        backend = SqliteBackend(path, lease=lease)
        for number in range(3):
            await backend.send(to_order(number))
        first = await backend.receive(ORDER)
        with closing(sqlite3.connect(path, timeout=30)) as other, other:
            # As another process does with a worker whose lease has expired.
            other.execute("delete from worker")
            other.execute("update delivery set owner = null")
        lost = backend.worker_id
        await backend.ack(first)
        second = await backend.receive(ORDER)
        if lease < 1:
            await until(lambda: backend.worker_id != lost)
        await backend._session._claim({ORDER: 8}, ())
        await backend.ack(second)
        sql = "select id from delivery order by id"
        stored = await backend._session.read(lambda c: c.execute(sql).fetchall())
        await backend.close()
        return [id_ for (id_,) in stored]

    # Where it has registered again that soon, it has received and acknowledged the first one.
    assert within(go()) in ([1, 2, 3], [2, 3])


class CountsLoads:
    """A backend of which the loads are counted."""

    def __init__(self, backend: SqliteBackend) -> None:
        self.backend, self.loads = backend, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    async def load(self, subject: str) -> Record | None:
        self.loads += 1
        return await self.backend.load(subject)


def test_a_turn_does_not_read_back_the_record_of_the_turn_before_it(tmp_path: Path) -> None:
    """A record with thousands of replies takes long to read; the turns of one workflow are a queue
    in this process, and each has just written it.
    """
    number = 30

    def collect(turn: Turn[Any]) -> Any:
        if turn.input is not None:
            return [Emit(ChargeCard(f"o{place}", 1.0)) for place in range(number)]
        replies = turn.collected["evt.payment.charged"]
        return Complete(OrderFulfilled("t")) if len(replies) == number else None

    handler = Resumable(order, {"1.0.0": collect}, services=[charge["1.0.0"]])
    fan_in = System([handler, payments])

    async def go() -> int:
        backend: Any = CountsLoads(SqliteBackend(str(tmp_path / "a.db")))
        async with Runtime(fan_in, backend) as runtime:
            await runtime.request(order_request(), timeout=30)
        return int(backend.loads)

    assert within(go()) < 5


@pytest.mark.promise("I4")
def test_a_released_delivery_holds_back_the_others_of_its_key(tmp_path: Path) -> None:
    """I4: also those that its process has claimed together with it."""

    async def go() -> tuple[str, str]:
        backend = SqliteBackend(str(tmp_path / "a.db"))
        for message in (to_workflow("first"), to_workflow("second"), to_workflow("else", "two")):
            await backend.send(message)
        first = await backend.receive(WORKFLOW)
        await backend.release(first, 3_600.0)
        second = await backend.receive(WORKFLOW)
        await backend.close()
        return first.message.event.id, second.message.event.id

    assert within(go()) == ("first", "else")
