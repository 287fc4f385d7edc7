"""Migrate: a workflow that is under way goes on in another version, or says why it cannot."""

from typing import Any

import pytest
from attrs import evolve
from returns.result import Success

from arvo import (
    Cancel,
    ConfigViolation,
    ContractViolation,
    Emit,
    EventHandler,
    ExecutionViolation,
    OrchestratorContract,
    Record,
    Resumable,
    System,
    Violated,
    Workflow,
    migrate,
    run,
)
from arvo.core.payloads.frozen_json import FrozenDict
from tests.shop import (
    NOW,
    SERVICES,
    CardCharged,
    OrderFulfilled,
    PlaceOrder,
    answering,
    charge,
    committed,
    payments,
    placing,
    ship,
    shipping,
)
from tests.versions import Paid, State, moved, two, versions

both = versions()
BEGUN = committed(System([both]), placing())


def begun() -> Record:
    assert BEGUN.record is not None
    return BEGUN.record


def refusal(owners: Any, record: Record, **said: Any) -> Any:
    return migrate(owners, record, **{"to": "2.0.0", **said}).failure()


def test_a_workflow_goes_on_in_the_version_it_was_moved_to() -> None:
    """It began in the first, and completes as the second does."""
    record = moved(migrate(both, begun(), to="2.0.0"))
    system = System([both, payments, shipping])
    answer = answering(BEGUN.events[0], CardCharged("r"))

    before = run(system, answer, records={record.subject: begun()}, now=NOW)
    after = run(system, answer, records={record.subject: record}, now=NOW)

    assert (record.version, record.revision, begun().revision) == ("2.0.0", 2, 1)
    assert evolve(record, version="1.0.0", revision=1) == begun()
    assert before.answer is not None
    assert before.answer.data == OrderFulfilled("by the first")
    assert after.answer is not None
    assert (after.answer.data, after.answer.dataschema) == (
        Paid("t-o1", "r 0"),
        "#/orchestrators/order/2.0.0",
    )


@pytest.mark.parametrize(
    "state",
    [
        lambda old: {**old, "priority": 7},
        lambda old: State(old["order_id"], old["receipt"], 7),
    ],
    ids=["JSON", "an instance"],
)
def test_what_is_remembered_is_mapped(state: Any) -> None:
    """As JSON, because the old class may be gone; to JSON, or to the new class."""
    record = moved(migrate(both, begun(), to="2.0.0", state=state))

    assert record.state == {"order_id": "o1", "receipt": None, "priority": 7}
    assert Record.from_dict(record.to_dict()) == record


def test_to_its_own_version_a_record_stays_as_it_is() -> None:
    """Whoever moves a whole shop may do it twice."""
    assert migrate(both, begun(), to="1.0.0") == Success(begun())
    assert migrate(both, begun(), to="1.0.0", state=lambda old: old) == Success(begun())
    once = moved(migrate(both, begun(), to="2.0.0"))
    assert migrate(both, once, to="2.0.0") == Success(once)


def test_what_is_not_mapped_is_not_touched() -> None:
    """The new class may have defaults: they are its own, and are not written down by a move."""
    brief = evolve(begun(), state=FrozenDict({"order_id": "o1"}))

    assert moved(migrate(both, brief, to="2.0.0")).state == {"order_id": "o1"}


def test_a_state_may_be_mended_within_a_version() -> None:
    """A wrong value is no reason for a new version."""
    record = moved(migrate(both, begun(), to="1.0.0", state=lambda _: State("o2")))

    assert (record.version, record.revision) == ("1.0.0", 2)
    assert record.state == {"order_id": "o2", "receipt": None, "priority": 0}


def test_where_nothing_is_remembered_nothing_is_mapped() -> None:
    """A workflow may have persisted nothing yet."""
    blank = evolve(begun(), state=None)

    assert moved(migrate(both, blank, to="2.0.0", state=lambda old: old["x"])).state is None


def raises(_: Any) -> None:
    raise ValueError("cannot")


def violates(_: Any) -> None:
    raise Violated(ContractViolation("by its author"))


@pytest.mark.parametrize(
    ("record", "said", "kind", "told"),
    [
        (evolve(begun(), status="done"), {}, ExecutionViolation, "expected active, got done"),
        (evolve(begun(), status="failed"), {}, ExecutionViolation, "expected active, got failed"),
        (evolve(begun(), handler="arvo.orc.x"), {}, ConfigViolation, "record.handler: expected"),
        (begun(), {"to": "9.0.0"}, ConfigViolation, "to: expected one of 1.0.0, 2.0.0, got"),
        (begun(), {"state": raises}, ExecutionViolation, "got ValueError('cannot')"),
        (begun(), {"state": violates}, ContractViolation, "by its author"),
        (begun(), {"state": lambda _: {}}, ExecutionViolation, "state.order_id: expected a value"),
        (begun(), {"state": lambda _: 5}, ExecutionViolation, "state: expected an instance of"),
        (evolve(begun(), state={"x": 1}), {}, ExecutionViolation, "state.order_id: expected"),
        (evolve(begun(), version="0.9.0"), {}, ConfigViolation, "1.0.0, 2.0.0, while answers"),
    ],
)
def test_what_cannot_move_says_why(record: Record, said: Any, kind: type, told: str) -> None:
    """Refused, with what was expected and what is there; nothing is changed."""
    violation = refusal(both, record, **said)

    assert type(violation) is kind
    assert told in str(violation)


def test_a_version_that_is_gone_can_be_left_once_nothing_is_awaited() -> None:
    """What it might still be told by services that nobody lists any more, nobody knows."""
    gone = evolve(begun(), version="0.9.0", pending_requests={})

    assert moved(migrate(both, gone, to="2.0.0")).version == "2.0.0"


def test_a_workflow_without_a_state_class_takes_any_json() -> None:
    """And nothing that is none."""
    untyped = versions(state=None)

    assert moved(migrate(untyped, begun(), to="2.0.0", state=lambda _: [1])).state == [1]
    assert "state: expected JSON data" in str(refusal(untyped, begun(), state=lambda _: object()))


def test_an_undo_that_the_new_version_could_not_send_is_an_obstacle() -> None:
    """It would be found out when it is too late."""
    fewer = versions(services=[charge["1.0.0"]])
    (undo,) = begun().compensations
    spoilt = evolve(begun(), compensations=(FrozenDict({**undo, "data": {"order_id": 5}}),))

    unknown = FrozenDict({"type": "com.no.one", "data": {}})
    two_of_them = evolve(spoilt, compensations=(unknown, *spoilt.compensations))

    assert "record.undos[0].type: expected one of com.payment.charge" in str(
        refusal(fewer, begun())
    )
    assert "record.undos[0].data.order_id: expected a string, got 5" in str(refusal(both, spoilt))
    assert [issue.path for issue in refusal(both, two_of_them).issues] == [
        "record.undos[0].type",
        "record.undos[1].data.order_id",
    ]


def test_a_parent_that_would_not_know_the_completion_is_an_obstacle() -> None:
    """It would wait for ever, and its child's answer would be a dead letter."""
    above = OrchestratorContract(
        uri="#/orchestrators/above",
        name="order.above",
        versions={"1.0.0": Workflow(init=PlaceOrder, complete=OrderFulfilled)},
    )

    def begins(turn: Any) -> Any:
        return Emit(PlaceOrder("o1"), type=two.type) if turn.input else Cancel("x")

    def family(version: str) -> System:
        parent = Resumable(above, {"1.0.0": begins}, services=[two[version]])
        return System([parent, both])

    trace = run(family("1.0.0"), above["1.0.0"].init(PlaceOrder("o1"), source="com.shop.web"))
    child = next(each for each in trace.records.values() if each.parent is not None)

    assert (
        "services of arvo.orc.order.above: expected #/orchestrators/order/2.0.0, which would "
        "complete, got no such service" in str(refusal(family("1.0.0"), child))
    )
    assert moved(migrate(family("2.0.0"), child, to="2.0.0")).version == "2.0.0"
    # Without the system nobody can tell, nor where the parent runs elsewhere.
    assert moved(migrate(both, child, to="2.0.0")).version == "2.0.0"
    assert moved(migrate(System([both]), child, to="2.0.0")).version == "2.0.0"


def test_a_system_moves_the_records_of_any_workflow_of_its_own() -> None:
    """And of no other."""
    system = System([both, payments, EventHandler(ship, {"1.0.0": lambda _: None})])

    assert migrate(system, begun(), to="2.0.0") == migrate(both, begun(), to="2.0.0")
    assert "record.handler: expected one of" in str(
        refusal(system, evolve(begun(), handler="com.payment.charge"))
    )


def test_services_stay_known_while_answers_are_open() -> None:
    """Resumables ask the same services in every version, so there is none to be missed."""
    assert both.services_of("1.0.0") == both.services_of("2.0.0") == SERVICES
    assert begun().unanswered
