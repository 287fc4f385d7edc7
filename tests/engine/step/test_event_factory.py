"""Event factory: the ids and subjects of new events."""

import pytest
from attrs import evolve

from arvo import (
    Command,
    Emit,
    ExecutionViolation,
    OrchestratorContract,
    Resumable,
    Schedule,
    Subject,
    System,
    Workflow,
)
from tests.shop import (
    CardCharged,
    OrderFulfilled,
    PlaceOrder,
    charge,
    charge_request,
    expect_commit,
    expect_violation,
    order,
    order_request,
    payment_handler,
    reply_to,
)

child = OrchestratorContract(
    uri="#/orchestrators/child",
    name="order.child",
    versions={"1.0.0": Workflow(init=PlaceOrder, complete=OrderFulfilled)},
)


def test_a_child_in_several_domains_is_several_runs() -> None:
    """Each has its own id and subject, derived from the cause: a second step makes the same."""
    start = Emit(PlaceOrder("c1"), domain=["eu", "us"])
    system = System([Resumable(order, {"1.0.0": lambda _: start}, services=[child["1.0.0"]])])

    first, again = (expect_commit(system, order_request()) for _ in range(2))

    runs = [Subject.parse(event.subject) for event in first.events]
    assert [run.execution.domain for run in runs] == ["eu", "us"]
    assert len({run.execution.id for run in runs}) == 2
    assert len({event.id for event in first.events}) == 2
    assert first == again
    assert first.record is not None
    assert {child.subject for child in first.record.children.values()} == set(map(str, runs))


# A literal, because zlib may compress a subject differently on another machine.
SUBJECT = (
    "eJwljEEOwyAMBP+y58hKrvkNBUexBLgykFZC+Xut5rCXndmdUIsnt26hq2GfqKEwdgS7lJx5EhsdIx+S"
    "seBia6LVjY1WWnEv4C/H0f/lhCRHsrkpVbo8r4haqJ36pg+/HCUtQVyvI2c/KNyDb+/7B4xtMBA="
)


@pytest.mark.promise("I3")
def test_ids_are_the_same_in_every_version_of_the_library() -> None:
    """I3: a redelivery after an upgrade must not send its events under new ids."""
    commands: list[Command] = [
        Emit({"order_id": "o1", "amount": 1.0}, type=charge.type),
        Emit({"order_id": "o1", "parentSubject$$": None}, type=child.type),
        Schedule("t", after=5),
    ]
    handler = Resumable(
        order, {"1.0.0": lambda _: commands}, services=[charge["1.0.0"], child["1.0.0"]]
    )
    system = System([handler])
    begun = expect_commit(system, order_request(subject=SUBJECT))
    assert begun.record is not None
    answer = reply_to(begun.events[0], CardCharged("r"))

    revived = expect_commit(system, answer, evolve(begun.record, revivals=1))

    request, run = begun.events
    assert [
        request.id,
        run.id,
        Subject.parse(run.subject).execution.id,
        begun.timers[0].event.id,
        revived.events[0].id,
    ] == [
        "0d6766a4-b98b-12cc-ab86-472bb8c5b25c",
        "501a1b00-0bf6-a4e3-436c-36ae19be1203",
        "7472cd85-ecfe-c1f1-1b3d-3299681b33e5",
        "5cbf94d7-9154-0ff0-8a82-7257865ba61a",
        "cfc72840-32ca-19e3-8682-32f71e2c469d",
    ]


def test_an_id_given_to_two_events_is_named() -> None:
    """The author sees which of many ids it is."""
    ids = ("a", "b", "b")

    violation = expect_violation(
        System([payment_handler(lambda _: [Emit(CardCharged("r"), id=id_) for id_ in ids])]),
        charge_request(),
    )

    assert isinstance(violation, ExecutionViolation)
    assert "id: expected a unique id for each event, got 'b'" in str(violation)


def test_addresses_are_written_as_uris() -> None:
    """CloudEvents 1.0: `to` and `redirectto` are URI references."""
    emit = Emit(CardCharged("r"), to="com.shop.büro", redirectto="com.shop.a b")

    (event,) = expect_commit(System([payment_handler(lambda _: emit)]), charge_request()).events

    assert (event.to, event.redirectto) == ("com.shop.b%C3%BCro", "com.shop.a%20b")
