"""Unreadable: messages of a broker that are no events are dead letters to list and redrive."""

import asyncio
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Sequence

import pytest
from attrs import define, field

from arvo import (
    Backend,
    Client,
    DeadLetter,
    EncodedDelivery,
    EncodedMessage,
    InMemoryMachineMemory,
    Violated,
    paired,
)
from arvo.core.events.event import EVENT_BYTES_MAX
from arvo.engine.step.route import ToHandler
from arvo.interpreters.codecs.unreadable import UNREADABLE, is_unreadable
from arvo.interpreters.delivery.operations import DeadLetterQuery
from arvo.interpreters.paired.dead_letters import (
    PAGE_DEAD_LETTERS_MAX,
    UNREADABLE_PAGES,
    DeadLetterStore,
)
from arvo.interpreters.paired.unreadable import EXCERPT_BYTES
from arvo.testing.conformance.kit.samples import dead_letter
from tests.interpreters.within import within
from tests.logged import logged
from tests.shop import charge_request, shop

PAY = "com.payment.charge"


@define(eq=False)
class Recorder:
    """A broker that delivers one message, and records the reasons of its dead letters."""

    message: EncodedMessage
    reasons: list[str] = field(factory=list)
    published: list[EncodedMessage] = field(factory=list)
    settled: asyncio.Event = field(factory=asyncio.Event)

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        self.published += messages

    async def deliveries(self, _: Sequence[str]) -> AsyncIterator[EncodedDelivery]:
        yield EncodedDelivery(self.message)
        await asyncio.Event().wait()

    async def ack(self, delivery: EncodedDelivery) -> None:
        raise NotImplementedError

    async def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        raise NotImplementedError

    async def dead_letter(self, _: EncodedDelivery, reason: str) -> None:
        self.reasons.append(reason)
        self.settled.set()


async def dead_letter_of(pair: Backend, broker: Recorder) -> DeadLetter:
    """Let the pair receive the message, and return its only dead letter."""
    waiting = asyncio.create_task(pair.receive(PAY))
    await broker.settled.wait()
    waiting.cancel()
    [dead_letter] = await pair.dead_letters()
    return dead_letter


@pytest.mark.promise("I8")
def test_an_unreadable_message_is_a_dead_letter_that_tools_list(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """I8: an operator finds it beside all others, and not only in a queue of the broker."""

    async def go() -> tuple[list[str], DeadLetter]:
        broker = Recorder(EncodedMessage(PAY, b"no JSON", {"sent-by": "a script"}))
        pair = paired(InMemoryMachineMemory(), broker)
        dead_letter = await dead_letter_of(pair, broker)
        await pair.close()
        return broker.reasons, dead_letter

    [reason], dead_letter = within(go())

    assert "event: expected JSON" in reason
    assert dead_letter.reason == reason
    assert dead_letter.to == ToHandler(PAY, None)
    assert dead_letter.event.type == UNREADABLE
    assert dead_letter.event.data == {
        "queue": PAY,
        "headers": {"sent-by": "a script"},
        "bytes": 7,
        "body": b64encode(b"no JSON").decode(),
        "complete": True,
    }
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    [line] = logged(caplog.records, "dead letter stored")
    assert (line["handler"], line["reason"]) == (PAY, reason)


@pytest.mark.promise("I8")
def test_an_unreadable_message_is_redriven_as_it_was() -> None:
    """After an upgrade, a process may read what an older one could not."""

    message = EncodedMessage(PAY, b"\xff\x00", {"arvo-due": "soon"})

    async def go() -> tuple[list[EncodedMessage], int]:
        broker = Recorder(message)
        pair = paired(InMemoryMachineMemory(), broker)
        dead_letter = await dead_letter_of(pair, broker)
        await Client(shop, pair).redrive_dead_letter(dead_letter.id)
        left = len(await pair.dead_letters())
        await pair.close()
        return broker.published, left

    published, left = within(go())

    assert published == [message]
    assert left == 0


@pytest.mark.promise("I8")
def test_of_a_message_larger_than_an_event_the_dead_letter_has_the_beginning() -> None:
    """The memory holds at most so much of what another program sends."""

    async def go() -> tuple[DeadLetter, str]:
        broker = Recorder(EncodedMessage(PAY, b"x" * (EVENT_BYTES_MAX + 1)))
        pair = paired(InMemoryMachineMemory(), broker)
        dead_letter = await dead_letter_of(pair, broker)
        with pytest.raises(Violated) as violated:
            await Client(shop, pair).redrive_dead_letter(dead_letter.id)
        await Client(shop, pair).delete_dead_letter(dead_letter.id)
        assert await pair.dead_letters() == ()
        await pair.close()
        return dead_letter, str(violated.value)

    dead_letter, refusal = within(go())

    assert dead_letter.event.data["bytes"] == EVENT_BYTES_MAX + 1
    assert b64decode(dead_letter.event.data["body"]) == b"x" * EXCERPT_BYTES
    assert "data.body: expected the whole message" in refusal
    assert "delete its dead letter" in refusal


@pytest.mark.promise("I8")
def test_unreadable_messages_do_not_displace_the_dead_letters_of_events() -> None:
    """Another program may publish any number of them."""

    async def go() -> tuple[int, int]:
        store = DeadLetterStore(InMemoryMachineMemory())
        for number in range(PAGE_DEAD_LETTERS_MAX):
            await store.add(dead_letter(f"dead-{number}", charge_request(f"e{number}")))
        for number in range(UNREADABLE_PAGES * PAGE_DEAD_LETTERS_MAX + 1):
            delivery = EncodedDelivery(EncodedMessage(PAY, f"{number}".encode()))
            await store.add_unreadable(delivery, "no event")
        listed = await store.list(DeadLetterQuery(limit=10_000))
        unreadable = sum(is_unreadable(each.event, each.id) for each in listed)
        return len(listed) - unreadable, unreadable

    events, unreadable = within(go())

    assert events == PAGE_DEAD_LETTERS_MAX
    assert unreadable <= UNREADABLE_PAGES * PAGE_DEAD_LETTERS_MAX
