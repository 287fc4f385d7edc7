"""Press: ids and subjects of what a step makes."""

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
    answering,
    charge,
    charging,
    committed,
    order,
    paying,
    placing,
    refused,
)

child = OrchestratorContract(
    uri="#/orchestrators/child",
    name="order.child",
    versions={"1.0.0": Workflow(init=PlaceOrder, complete=OrderFulfilled)},
)


def test_a_child_in_several_domains_is_several_runs() -> None:
    """Each has an id and a subject of its own, and they follow from the cause: the same again."""
    begin = Emit(PlaceOrder("c1"), domain=["eu", "us"])
    system = System([Resumable(order, {"1.0.0": lambda _: begin}, services=[child["1.0.0"]])])

    first, again = (committed(system, placing()) for _ in range(2))

    runs = [Subject.parse(event.subject) for event in first.events]
    assert [run.execution.domain for run in runs] == ["eu", "us"]
    assert len({run.execution.id for run in runs}) == 2
    assert len({event.id for event in first.events}) == 2
    assert first == again
    assert first.record is not None
    assert {kept.subject for kept in first.record.children.values()} == set(map(str, runs))


# Written down: what zlib makes of a subject may differ from one machine to another.
SUBJECT = (
    "eJwljEEOwyAMBP+y58hKrvkNBUexBLgykFZC+Xut5rCXndmdUIsnt26hq2GfqKEwdgS7lJx5EhsdIx+S"
    "seBia6LVjY1WWnEv4C/H0f/lhCRHsrkpVbo8r4haqJ36pg+/HCUtQVyvI2c/KNyDb+/7B4xtMBA="
)


def test_ids_are_the_same_in_every_version_of_the_library() -> None:
    """I3: an event that is delivered again after an upgrade must not be sent twice."""
    commands: list[Command] = [
        Emit({"order_id": "o1", "amount": 1.0}, type=charge.type),
        Emit({"order_id": "o1", "parentSubject$$": None}, type=child.type),
        Schedule("t", after=5),
    ]
    handler = Resumable(
        order, {"1.0.0": lambda _: commands}, services=[charge["1.0.0"], child["1.0.0"]]
    )
    system = System([handler])
    begun = committed(system, placing(subject=SUBJECT))
    assert begun.record is not None
    answer = answering(begun.events[0], CardCharged("r"))

    revived = committed(system, answer, evolve(begun.record, revivals=1))

    asked, run = begun.events
    assert [
        asked.id,
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


def test_an_id_that_is_given_twice_is_named() -> None:
    """The author hears which of many it is."""
    ids = ("a", "b", "b")

    violation = refused(
        System([paying(lambda _: [Emit(CardCharged("r"), id=id_) for id_ in ids])]), charging()
    )

    assert isinstance(violation, ExecutionViolation)
    assert "id: expected an id of its own for each event, got 'b'" in str(violation)


def test_addresses_are_written_as_uris() -> None:
    """CloudEvents 1.0: `to` and `redirectto` are URI references."""
    emit = Emit(CardCharged("r"), to="com.shop.büro", redirectto="com.shop.a b")

    (event,) = committed(System([paying(lambda _: emit)]), charging()).events

    assert (event.to, event.redirectto) == ("com.shop.b%C3%BCro", "com.shop.a%20b")
