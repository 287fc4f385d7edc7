"""Outside: messages that other programs put into a broker are checked before their step."""

from typing import Any

import pytest
from attrs import evolve

from arvo import (
    Emit,
    EncodedMessage,
    Event,
    InMemoryMachineMemory,
    MemoryBroker,
    Runtime,
    Stats,
    System,
    paired,
)
from arvo.interpreters.delivery.brokers.headers import INSIDE
from tests.interpreters.within import within
from tests.shop import (
    CardCharged,
    ChargeCard,
    PlaceOrder,
    charge,
    charge_request,
    make_workflow,
    order,
    order_request,
    payments,
    reply_to,
)

SUBJECT = order_request().subject


def _ask(turn: Any) -> Any:
    if isinstance(turn.event.data, PlaceOrder):
        return Emit(ChargeCard("in", 1), to="com.elsewhere"), Emit(ChargeCard("out", 2), domain="b")
    return None


system = System([payments, make_workflow(_ask)])


def publish(event: Event[Any], headers: dict[str, str] | None = None) -> EncodedMessage:
    assert event.to is not None
    return EncodedMessage(event.to, event.to_json().encode(), headers or {}, event.subject)


def exchange(make: Any, headers: dict[str, str] | None = None) -> tuple[Stats, list[str], int]:
    """Let another program publish the event that *make* returns for the two requests."""

    async def go() -> tuple[Stats, list[str], int]:
        broker = MemoryBroker()
        async with Runtime(system, paired(InMemoryMachineMemory(), broker)) as runtime:
            sent: list[Event[Any]] = []
            runtime.on_domain("b")(sent.append)
            await runtime.send(order_request())
            await runtime.drain(timeout=60)
            record = await runtime.record(SUBJECT)
            assert record is not None
            (inner,) = (id_ for id_ in record.unanswered if id_ != sent[0].id)
            await broker.publish([publish(make(evolve(sent[0], id=inner), sent[0]), headers)])
            stats = await runtime.drain(timeout=60)
            after = await runtime.record(SUBJECT)
            assert after is not None
            reasons = [entry.reason for entry in await runtime.dead_letters()]
            return stats, reasons, after.revision - record.revision

    return within(go())


@pytest.mark.promise("I12")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda inner, _: reply_to(inner, CardCharged("r")), "did not leave"),
        (lambda _, outer: reply_to(outer, CardCharged("r"), source="com.x"), "is no reply"),
        (lambda _, __: order["1.0.0"].cancel("no", source="com.x", subject=SUBJECT), "outside"),
        (lambda inner, _: evolve(inner, to=charge.type, source=order.type), "comes from outside"),
    ],
    ids=["a request inside", "another service", "a cancellation", "in the name of a workflow"],
)
def test_a_forged_message_is_a_dead_letter(make: Any, reason: str) -> None:
    """I12: its sender can write to the queue, and nothing more."""
    _, reasons, turns = exchange(make)

    assert (len(reasons), turns) == (2, 0)
    assert reason in reasons[1]


def test_other_programs_answer_what_left_by_a_domain() -> None:
    """A service in another language replies over the broker, without a header of ours."""
    _, reasons, turns = exchange(lambda _, outer: reply_to(outer, CardCharged("r")))

    assert (len(reasons), turns) == (1, 1)


def test_other_programs_send_requests() -> None:
    """To a handler, as any client does."""
    stats, _, _ = exchange(lambda _, __: charge_request("c9"))

    assert stats.handled == 2


def test_the_workers_mark_their_own_messages() -> None:
    """A program that is trusted to set the header is inside."""
    _, reasons, turns = exchange(
        lambda inner, _: reply_to(inner, CardCharged("r")), {INSIDE: "yes"}
    )

    assert (len(reasons), turns) == (1, 1)


@pytest.mark.promise("I2", "I12")
@pytest.mark.parametrize(
    ("headers", "dead"), [(None, 1), ({INSIDE: "yes"}, 0)], ids=["outside", "inside"]
)
def test_another_event_by_a_known_id_is_a_dead_letter(
    headers: dict[str, str] | None, dead: int
) -> None:
    """I2, I12: also where it names a handler as its source; only a worker is one."""

    async def go() -> tuple[int, int]:
        broker = MemoryBroker()
        async with Runtime(system, paired(InMemoryMachineMemory(), broker)) as runtime:
            for amount in (10.0, 11.0):
                event = charge_request("c1", amount, source=payments.source, redirectto="com.x")
                await broker.publish([publish(event, headers)])
                await runtime.drain(timeout=60)
            return len(await runtime.dead_letters()), runtime.stats().duplicates

    assert within(go()) == (dead, 1 - dead)
