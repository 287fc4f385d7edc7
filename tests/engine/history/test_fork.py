"""Fork: make the event that begins a new workflow from a turn of another one."""

from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from arvo import (
    Commands,
    Commit,
    Compensate,
    Complete,
    Contract,
    Emit,
    Event,
    Fail,
    Flow,
    OrchestratorContract,
    Persist,
    Record,
    Resumable,
    System,
    Turn,
    Version,
    Workflow,
    ask,
    flow,
    replay,
    run,
    tell,
)
from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT
from arvo.core.events.identity import digest_id
from arvo.core.events.subject import Subject, workflow_id_of
from arvo.core.fork import ForkContent
from arvo.core.history import HistoryEntry
from arvo.engine.history.fork import ForkOptions, fork_event
from arvo.engine.history.record_at import record_at
from arvo.engine.system.outcomes import without_outcomes
from tests.histories import histories_of, write_history
from tests.shop import (
    NOW,
    SERVICES,
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    charge,
    expect_commit,
    expect_violation,
    make_workflow,
    order,
    order_request,
    payments,
    reply_to,
    shipping,
    shop,
)

OPERATOR = "arvo.runtime.operator"


@attrs.frozen
class Note:
    text: str


note = Contract(
    uri="#/contracts/note",
    type="com.note.write",
    versions={"1.0.0": Version(accepts=Note, emits={})},
)


def options(at: Any, **more: Any) -> ForkOptions:
    return ForkOptions(**{"at": at, "workflow_id": "new", "source": OPERATOR, "now": NOW, **more})


def turns_of(system: System, event: Event[Any]) -> tuple[Record, tuple[HistoryEntry, ...]]:
    """Run a workflow to its end; return its record and its history."""
    trace = run(system, event, now=NOW)
    return trace.records[event.subject], histories_of(trace)[event.subject]


def begun(system: System, event: Any) -> Commit:
    """Begin a fork."""
    assert isinstance(event, Event), event
    return expect_commit(system, event)


def refusal(system: System, event: Event[Any], at: Any, **more: Any) -> str:
    """Return why a fork of a workflow that has run to its end is refused."""
    refused = fork_event(system, *turns_of(system, event), options(at, **more))
    assert not isinstance(refused, Event)
    return str(refused)


def test_a_fork_sends_its_open_request_by_another_id_and_subject() -> None:
    """The reply to it must come to the fork, and that to the first one to the first one."""
    record, history = turns_of(shop, order_request())
    commit = begun(shop, fork_event(shop, record, history, options(1)))

    [request] = commit.events
    [first] = [entry.event for entry in history if entry.revision == 1][1:]
    assert first is not None
    assert request.raw == first.raw
    assert request.id != first.id
    assert (request.subject, request.parentid) == (commit.event.subject, commit.event.id)
    assert commit.record is not None
    assert list(commit.record.pending_requests) == [request.id]
    assert (commit.record.revision, commit.record.init) == (1, commit.event.id)
    next_ = expect_commit(shop, reply_to(request, CardCharged("r2")), commit.record)
    assert next_.record is not None
    assert next_.record.state == {"order_id": "o1", "receipt": "r2"}
    assert reply_to(first, CardCharged("r1")).subject == record.subject


def test_a_fork_is_the_same_whenever_it_is_made() -> None:
    """I3: a second one with its id is a duplicate."""
    record, history = turns_of(shop, order_request())

    one, two = (fork_event(shop, record, history, options(2)) for _ in range(2))

    assert one == two
    commit = begun(shop, one)
    again = expect_commit(shop, commit.event, commit.record)
    assert (again.outcome, again.record) == ("duplicate", None)
    another = fork_event(shop, record, history, options(1))
    assert isinstance(another, Event)
    assert "already started" in str(expect_violation(shop, another, commit.record))


def test_a_fork_can_be_forked_and_replayed() -> None:
    """Its history begins with the event that says where it comes from."""
    record, history = turns_of(shop, order_request())
    commit = begun(shop, fork_event(shop, record, history, options(1)))
    charged = expect_commit(shop, reply_to(commit.events[0], CardCharged("r")), commit.record)
    own = write_history(commit, charged)
    assert charged.record is not None

    assert replay(shop, own, record=charged.record).agrees
    second = begun(shop, fork_event(shop, charged.record, own, options(1, workflow_id="third")))
    assert [event.data for event in second.events] == [ChargeCard("o1", 10.0)]
    content = ForkContent.unpack(second.event.data.content)
    assert content.begin is not None
    assert content.begin.raw["order_id"] == "o1"
    assert second.event.data.origin == commit.event.subject


@pytest.mark.parametrize("at", [0, 4, -1, True, "1", None])
def test_a_revision_that_the_workflow_never_had_is_refused(at: Any) -> None:
    """The message says which ones there are."""
    assert "at: expected a revision from 1 to 3" in refusal(shop, order_request(), at)


def test_a_workflow_cannot_be_forked_at_its_end() -> None:
    """Nothing would follow."""
    assert "the workflow was done by revision 3" in refusal(shop, order_request(), 3)


def test_a_history_that_is_missing_is_named() -> None:
    """A pair without an index has none, and retention removes the oldest entries."""
    record, history = turns_of(shop, order_request())

    none = fork_event(shop, record, (), options(1))
    cut = fork_event(shop, record, history[2:], options(2))

    assert "a pair with an index" in str(none)
    assert "the history does not hold the record before it" in str(cut)


def test_a_replay_that_disagrees_is_refused_with_the_difference() -> None:
    """Other code would continue from a record that the workflow never had."""
    record, history = turns_of(shop, order_request())
    changed = System(
        [
            payments,
            shipping,
            make_workflow(lambda turn: Emit(ChargeCard("o2", 1.0))),
        ]
    )
    tampered = attrs.evolve(record, state=None)

    refused = fork_event(changed, record, history, options(1))

    assert "the replay disagrees with turn 1: load the code that took these turns" in str(refused)
    assert "events[0].data.order_id: expected 'o1', got 'o2'" in str(refused)
    assert "disagrees with the record that is stored" in str(record_at(shop, tampered, history, 3))


def test_a_handler_and_a_version_that_the_system_lacks_are_named() -> None:
    """The operator loads another system."""
    record, history = turns_of(shop, order_request())

    missing = fork_event(System([payments]), record, history, options(1))
    unknown = fork_event(shop, record, history, options(1, version="9.0.0"))

    assert "arvo.orc.order.fulfil" in str(missing)
    assert "has no such version" in str(unknown)


def compensating(turn: Turn[Any]) -> Commands:
    match turn.event.data:
        case PlaceOrder(order_id=order_id):
            compensation = Compensate(Emit(BookShipment("undo")))
            return Persist(order_id), Emit(ChargeCard(order_id, 1.0)), compensation
        case CardCharged():
            return Emit(BookShipment("o1"))
        case _:
            return Fail("no van") if turn.state == "i2" else Complete(OrderFulfilled("t"))


def test_each_effect_is_compensated_by_one_workflow() -> None:
    """The first one undoes what it did as long as it may fail; the fork of a done one does so."""
    system = System([payments, shipping, make_workflow(compensating)])
    trace = run(system, order_request(), now=NOW)
    subject = order_request().subject
    done, history = trace.records[subject], histories_of(trace)[subject]
    active = record_at(system, done, history, 2)
    assert isinstance(active, Record)

    of_done = begun(system, fork_event(system, done, history, options(2)))
    of_active = begun(system, fork_event(system, active, history, options(1)))

    assert of_done.record is not None
    assert of_active.record is not None
    assert [each["data"]["order_id"] for each in of_done.record.compensations] == ["undo"]
    assert of_active.record.compensations == ()


def test_what_was_compensated_is_refused_without_a_word_and_left_out_with_it() -> None:
    """The state still shows it."""

    def fails(turn: Turn[Any]) -> Commands:
        return Fail("no") if isinstance(turn.event.data, CardCharged) else compensating(turn)

    system = System([payments, shipping, make_workflow(fails)])

    refused = refusal(system, order_request(), 1)
    record, history = turns_of(system, order_request())
    allowed = begun(
        system, fork_event(system, record, history, options(1, after_compensation=True))
    )

    assert "has compensated since revision 1 (com.shipping.book)" in refused
    assert "after_compensation: expected True" in refused
    assert allowed.record is not None
    assert allowed.record.compensations == ()


def test_only_requests_with_a_reply_to_come_are_sent_again() -> None:
    """What was told, and not asked, was told once; a second time would be another effect."""

    def tells(turn: Turn[Any]) -> Commands:
        return (Emit(Note("one")), Emit(ChargeCard("o1", 1.0))) if turn.input else None

    @flow(order, "1.0.0", services=SERVICES)
    def flows(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from tell(BookShipment("told"))
        yield from ask(ChargeCard(event.data.order_id, 1.0), CardCharged)
        return OrderFulfilled("t")

    resumable = Resumable(order, {"1.0.0": tells}, services=[*SERVICES, note["1.0.0"]], state=None)
    for workflow in (resumable, flows):
        system = System([workflow])
        first = expect_commit(system, order_request())
        assert first.record is not None
        assert len(first.record.unanswered) == 2

        commit = begun(system, fork_event(system, first.record, write_history(first), options(1)))

        assert [event.type for event in commit.events] == [charge.type]
        assert commit.record is not None
        assert commit.record.unanswered == (commit.events[0].id,)


def families(child_id: str | None) -> Iterator[Commit]:
    """Begin a workflow that asks for a child."""
    child = OrchestratorContract(
        uri="#/child", name="child.run", versions={"1.0.0": Workflow(init=Note, complete=Note)}
    )

    def parent(turn: Turn[Any]) -> Commands:
        return Emit(Note("go"), workflow_id=child_id) if turn.input else None

    system = System(
        [
            Resumable(order, {"1.0.0": parent}, services=[child["1.0.0"]], state=None),
            Resumable(child, {"1.0.0": lambda _: None}, services=[], state=None),
        ]
    )
    first = expect_commit(system, order_request())
    assert first.record is not None
    yield first
    yield begun(system, fork_event(system, first.record, write_history(first), options(1)))


@pytest.mark.parametrize("child_id", [None, "child-1"])
def test_a_fork_begins_children_of_its_own(child_id: str | None) -> None:
    """The child of the first workflow answers that one, and has its workflow id."""
    first, forked = families(child_id)

    assert first.record is not None
    assert forked.record is not None
    [begin], [other] = first.events, forked.events
    assert begin.subject != other.subject
    assert other.raw[PARENT_SUBJECT] == forked.record.subject
    assert workflow_id_of(other.subject) != child_id
    [(id_, run_)] = forked.record.children.items()
    assert (id_, run_.subject) == (other.id, other.subject)
    assert Subject.parse(other.subject).execution.initiator == order.type
    assert "idreusepolicy" not in other.extensions


def test_a_child_is_forked_without_its_parent() -> None:
    """The parent has the answer of the first child, or waits for it."""
    parent = order_request("i9").subject
    event = order["1.0.0"].init(
        PlaceOrder("o1", 1.0),
        source="arvo.orc.order.fulfil",
        id="i1",
        time=NOW,
        parent=parent,
        redirectto="com.shop.elsewhere",
    )
    first = expect_commit(shop, event)
    assert first.record is not None
    assert first.record.parent == parent

    commit = begun(shop, fork_event(shop, first.record, write_history(first), options(1)))

    assert commit.record is not None
    assert commit.record.parent is None
    subject = Subject.parse(commit.record.subject)
    assert (subject.execution.initiator, subject.answers_to) == (OPERATOR, OPERATOR)
    assert without_outcomes(commit.events) == commit.events


def test_a_record_that_fits_no_event_is_refused() -> None:
    """An event is the way of a fork, and no broker carries a longer one."""

    def grows(turn: Turn[Any]) -> Commands:
        return Persist([digest_id(str(number)) for number in range(60_000)])

    system = System([make_workflow(grows)])
    first = expect_commit(system, order_request())
    assert first.record is not None

    refused = fork_event(system, first.record, write_history(first), options(1))

    assert "the record at revision 1 is too large to fork" in str(refused)


def test_a_fork_can_be_in_another_version() -> None:
    """Of a flow or a chart as `migrate` moves it: the fault may be in the version."""

    def later(turn: Turn[Any]) -> Commands:
        return Complete(OrderFulfilled("by 2.0.0"))

    two = OrchestratorContract(
        uri="#/orchestrators/order",
        name="order.fulfil",
        versions={
            number: Workflow(init=PlaceOrder, complete=OrderFulfilled)
            for number in ("1.0.0", "2.0.0")
        },
    )

    def first(turn: Turn[Any]) -> Commands:
        return Emit(ChargeCard("o1", 1.0)) if turn.input else Fail("the fault of 1.0.0")

    system = System(
        [payments, Resumable(two, {"1.0.0": first, "2.0.0": later}, services=SERVICES, state=None)]
    )
    record, history = turns_of(system, order_request())
    assert record.status == "failed"

    commit = begun(system, fork_event(system, record, history, options(1, version="2.0.0")))

    assert commit.record is not None
    assert commit.record.version == "2.0.0"
    assert Subject.parse(commit.record.subject).orchestrator.version == "2.0.0"
    next_ = expect_commit(system, reply_to(commit.events[0], CardCharged("r")), commit.record)
    assert next_.record is not None
    assert next_.record.status == "done"
