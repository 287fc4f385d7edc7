"""Keyed: the events that runs hold or refuse, and how cancellations and failures end them."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from attrs import evolve, frozen

from arvo import (
    Contract,
    Emit,
    Event,
    EventHandler,
    Fail,
    Flow,
    OrchestratorContract,
    Resumable,
    Subject,
    System,
    Turn,
    Version,
    Violated,
    Workflow,
    ask,
    flow,
    run,
)
from arvo.compose import HeldEvents, batched, debounced, singleton, throttled
from arvo.engine.trace import Refused
from arvo.handlers.compose.keyed import HELD_BYTES_MAX, HELD_EVENTS_MAX
from tests.shop import WEB

START = datetime.fromisoformat("2026-01-02T00:00:00+00:00")


@frozen
class Row:
    table: str
    text: str = ""


@frozen
class Rows:
    rows: tuple[Row, ...]


@frozen
class Stored:
    count: int


store = Contract(
    uri="#/contracts/store",
    type="com.store.rows",
    versions={"1.0.0": Version(accepts=Rows, emits={"evt.store.stored": Stored})},
)
log = Contract(
    uri="#/contracts/log",
    type="com.store.log",
    versions={"1.0.0": Version(accepts=Row, emits={})},
)
write = Contract(
    uri="#/contracts/write",
    type="com.store.write",
    versions={"1.0.0": Version(accepts=Row, emits={"evt.store.written": Stored})},
)
storing = EventHandler(store, {"1.0.0": lambda event: Emit(Stored(len(event.data.rows)))})
logging = EventHandler(log, {"1.0.0": lambda event: None})


def table_of(row: Row) -> str:
    return row.table


def fail_on_bad(event: Event[Row]) -> Emit | Fail:
    return Fail("bad row") if event.data.text == "bad" else Emit(Stored(1))


writing = EventHandler(write, {"1.0.0": fail_on_bad})
debounce = debounced(logging, key=table_of, after=5, longest=60)
batch = batched(storing, Row, Rows, size=HELD_EVENTS_MAX, within=60, key=table_of)
throttle = throttled(logging, key=table_of, limit=1, period=10)
single = singleton(writing, key=table_of)


def put(
    workflow: Resumable[Any], text: str = "", *, table: str = "a", second: float = 0, **options: Any
) -> Event[Any]:
    time = START + timedelta(seconds=second)
    return workflow.contract["1.0.0"].init(Row(table, text), source=WEB, time=time, **options)


def as_any(value: object) -> Any:
    """Return an argument that a type checker would refuse."""
    return value


def refusals(*events: Event[Any], workflow: Resumable[Any]) -> list[str]:
    trace = run(System([storing, logging, writing, workflow]), *events, steps_max=100_000)
    return [str(entry.violation) for entry in trace.entries if isinstance(entry, Refused)]


def test_the_senders_of_a_key_share_a_run() -> None:
    """Whoever sends: the run has an initiator of its own, and no parent."""
    first, second = put(batch), batch.contract["1.0.0"].init(Row("a"), source="com.other.app")

    assert first.subject == second.subject != put(batch, table="b").subject
    assert Subject.parse(first.subject).execution.id == "a"
    assert first.id != second.id
    assert put(batch, id="row-1").id == "row-1"
    assert batch.contract["1.0.0"].init({"table": "a"}, source=WEB).subject == first.subject


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workflow_id": "b"}, "workflow_id: expected none, or the key of the payload, got 'b'"),
        ({"id_reuse_policy": "allow"}, "id_reuse_policy"),
        ({"redirectto": "com.other.app"}, "redirectto"),
        ({"subject": "x"}, "subject"),
        ({"parent": put(throttle).subject}, "parent"),
        ({"table": "a;b"}, "without ';', got 'a;b'"),
    ],
)
def test_an_event_of_a_key_names_no_run_of_its_own(options: dict[str, Any], message: str) -> None:
    """Its key alone decides; an option that would be lost is refused."""
    with pytest.raises(Violated, match=message):
        put(batch, **options)

    assert put(batch, workflow_id="a").subject == put(batch).subject


def test_a_key_that_raises_is_a_violation() -> None:
    """Of the sender, who reads it."""
    contract = debounced(
        logging, key=lambda row: str(1 // len(row.text)), after=1, longest=2
    ).contract

    with pytest.raises(Violated, match=r"debounced/1.0.0 has no key: key: exp"):
        contract["1.0.0"].init(Row("a"), source=WEB)


def test_an_event_at_the_run_of_another_key_is_refused() -> None:
    """Another program may make the event without the function of the key."""
    wrong = evolve(put(batch), subject=put(batch, table="b").subject)

    [refusal] = refusals(wrong, workflow=batch)

    assert "the run of another key: workflow_id: expected 'a', got 'b'" in refusal


def test_an_event_too_many_waits_no_more() -> None:
    """State is bounded: it is a dead letter with its reason, and those that wait are sent."""
    # One is sent, and four wait.
    text = "x" * (HELD_BYTES_MAX // 5)
    events = [put(throttle, text, second=0.001 * number) for number in range(6)]

    [refusal] = refusals(*events, workflow=throttle)

    assert refusal.startswith("the key has no room: waiting: expected at most 1000 events")
    assert "got 5 events" in refusal


@pytest.mark.parametrize("workflow", [debounce, batch, throttle, single])
def test_a_payload_beyond_the_bytes_of_a_run_is_refused(workflow: Resumable[Any]) -> None:
    """Sent on, it might exceed the limit of an event."""
    large = "x" * HELD_BYTES_MAX

    [refusal] = refusals(put(workflow, large), workflow=workflow)

    assert "the key has no room" in refusal


def test_a_batch_is_sent_early_where_its_bytes_would_be_too_many() -> None:
    """No event of the batch is lost or late."""
    third = "x" * (HELD_BYTES_MAX // 3)
    events = [put(batch, third, second=number) for number in range(4)]

    trace = run(System([storing, batch]), *events)

    sizes = [len(event.data.rows) for event in trace.events if event.to == store.type]
    assert sizes == [2, 2]
    [end] = [event.data for event in trace.events if isinstance(event.data, HeldEvents)]
    assert end == HeldEvents(4)


def test_a_throttled_key_never_waits_for_answers() -> None:
    """A handler without answers would fill the record of a key that is never quiet."""
    events = [put(throttle, second=10 * number) for number in range(50)]
    trace = run(System([logging, throttle]), *events, until=START + timedelta(seconds=495))

    [record] = trace.records.values()
    assert record.status == "active"
    assert not record.pending_requests


def test_a_failure_lets_the_next_event_of_a_singleton_begin() -> None:
    """A system error is an answer, too."""
    events = [put(single, text) for text in ("bad", "good", "bad")]

    trace = run(System([writing, single]), *events)

    sent = [event.data.text for event in trace.events if event.to == write.type]
    assert sent == ["bad", "good", "bad"]
    assert {record.status for record in trace.records.values()} == {"done"}


@pytest.mark.parametrize("workflow", [debounce, batch, throttle])
def test_a_cancellation_says_what_it_drops(workflow: Resumable[Any]) -> None:
    """Dropped is never silent, and the next event begins a run."""
    first, second = put(workflow), put(workflow, second=1)
    contract = workflow.contract["1.0.0"]
    time = START + timedelta(seconds=2)
    cancel = contract.cancel("wrong", source=WEB, subject=first.subject, time=time)

    trace = run(
        System([storing, logging, workflow]), first, second, cancel, put(workflow, second=3)
    )

    logs = [
        log
        for entry in trace.entries
        if not isinstance(entry, Refused)
        for log in entry.commit.logs
    ]
    dropped = [it.attributes["events"] for it in logs if it.message.startswith("cancelled")]
    assert dropped == [
        {"debounced": 1, "batched": 2, "throttled": 1}[workflow.source.rsplit(".")[-1]]
    ]
    assert trace.records[first.subject].status == "done"


def test_a_workflow_sends_to_a_key_and_waits_for_nothing() -> None:
    """The run is shared, so it is no child: its parent would cancel the events of others."""
    contract = OrchestratorContract(
        uri="#/orchestrators/import",
        name="import.row",
        versions={"1.0.0": Workflow(init=Row, complete=Stored)},
    )

    def import_row(turn: Turn[None]) -> Any:
        return Emit(turn.event.data)

    importing = Resumable(contract, {"1.0.0": import_row}, services=[batch.contract["1.0.0"]])
    begin = contract["1.0.0"].init(Row("a"), source=WEB, time=START)
    system = System([importing, batch, storing])

    trace = run(system, begin, put(batch), until=START + timedelta(seconds=1))

    record = trace.records[begin.subject]
    assert not record.pending_requests
    assert not record.children
    held: Any = trace.records[put(batch).subject].state
    assert held["count"] == 2


def test_only_a_resumable_takes_further_events_of_a_key() -> None:
    """A flow would not read them; the sender learns of it."""
    contract = OrchestratorContract(
        uri="#/orchestrators/keyed",
        name="keyed.flow",
        versions={"1.0.0": Workflow(init=Row, complete=Stored)},
        key=table_of,
    )

    @flow(contract, "1.0.0", services=[write["1.0.0"]])
    def write_row(event: Event[Row]) -> Flow[Stored]:
        return (yield from ask(event.data, Stored))

    with pytest.raises(Violated, match="a Resumable"):
        System([write_row, writing])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: debounced(as_any(debounce), key=table_of, after=1, longest=2),
            "handler: expected an Ev",
        ),
        (lambda: debounced(logging, key=table_of, after=3, longest=2), r"longest: expected at lea"),
        (lambda: debounced(logging, key=table_of, after=0, longest=2), "after: expected more than"),
        (
            lambda: debounced(logging, key=as_any("table"), after=1, longest=2),
            "key: expected a function",
        ),
        (lambda: throttled(logging, key=table_of, limit=0, period=1), "limit: expected a whole n"),
        (lambda: throttled(logging, key=table_of, limit=True, period=1), "limit: expected a whol"),
        (lambda: throttled(logging, key=table_of, limit=1, period=-1), "period"),
        (lambda: batched(storing, Row, Rows, size=1001, within=1), "size: expected a whole number"),
        (lambda: batched(storing, int, as_any(Rows), size=1, within=1), "batched.item"),
        (lambda: singleton(logging, key=table_of), "contract emits an answer"),
    ],
)
def test_wrong_arguments_are_named(make: Callable[[], Any], message: str) -> None:
    """Field, value and remedy, when the module is imported."""
    with pytest.raises(Violated, match=message):
        make()
