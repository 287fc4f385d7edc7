"""Order: the messages of one key are delivered one at a time, on a real NATS server."""

import asyncio
from contextlib import aclosing
from secrets import token_hex
from typing import Any

import pytest
from nats.aio.msg import Msg

from arvo import EncodedMessage, Event
from arvo.interpreters.nats import NatsBroker
from arvo.interpreters.nats.connection.connection import Connection
from arvo.interpreters.nats.pull import POLLING_SECONDS
from arvo.interpreters.paired.documents.codec import encode_message
from arvo.interpreters.ports.messages import Message
from arvo.testing import OrderedBrokerConformance
from arvo.testing.conformance.key_order import of_key
from arvo.testing.conformance.kit.samples import WORKFLOW, event, to_service, to_workflow
from tests.interpreters.brokers import event_of
from tests.interpreters.death_counts import LIFE, count_deaths
from tests.interpreters.nats.plain_client import connected, publish
from tests.interpreters.nats.test_conformance import prefix_of
from tests.interpreters.within import LEASE_TIMEOUT, within
from tests.servers import nats_url


@pytest.mark.promise("I4")
class TestNatsKeyOrder(OrderedBrokerConformance):
    is_durable = True
    timeout = LEASE_TIMEOUT

    async def broker(self) -> NatsBroker:
        return NatsBroker(nats_url(), prefix=prefix_of(self.tmp_path))

    async def close(self, broker: Any) -> None:
        await broker.close()

    async def publish_plain(self, broker: Any, event: Event[Any]) -> None:
        await publish(f"{broker.prefix}.{WORKFLOW}", event.to_json().encode())


@pytest.mark.promise("I4", "I8")
def test_a_settled_message_that_is_still_stored_does_not_hold_back_its_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A killed server may forget the deletion of an acked message, which is never redelivered.

    A stream with a retention that keeps all messages shows the same state reliably. It is deleted
    by itself: a purge of its key moves the ack floor of the consumer beyond other keys' messages.
    """
    call_api, calls = Connection.call_api, list[str]()

    async def record(connection: Connection, call: str, *arguments: Any, **more: Any) -> Any:
        calls.append(call.partition(".t")[0])
        return await call_api(connection, call, *arguments, **more)

    monkeypatch.setattr(Connection, "call_api", record)

    async def go() -> list[str]:
        ours = NatsBroker(nats_url(), prefix=f"t{token_hex(6)}")
        async with connected() as client:
            await client.jetstream().add_stream(name=ours.prefix, subjects=[f"{ours.prefix}.>"])
        await ours.publish([of_key("first"), of_key("second"), of_key("third")])
        ids = []
        async with aclosing(ours.deliveries([WORKFLOW])) as incoming:
            for _ in range(3):
                delivery = await anext(incoming)
                ids.append(event_of(delivery).id)
                await ours.ack(delivery)
        await ours.close()
        return ids

    assert within(go()) == ["first", "second", "third"]
    assert calls.count("STREAM.MSG.DELETE") == 2
    assert "STREAM.PURGE" not in calls


def test_a_message_of_another_program_is_forwarded_once() -> None:
    """The process that forwarded it may die before the server knows that it need not be again."""

    async def go() -> int:
        ours = NatsBroker(nats_url(), prefix=f"t{token_hex(6)}")
        await ours.publish([])
        plain = EncodedMessage(WORKFLOW, event("plain").to_json().encode())
        for _ in range(2):
            await ours._publisher.forward(plain, 7)
        total = (await ours.depth()).total
        await ours.close()
        return total

    assert within(go()) == 1


def test_messages_of_one_key_that_are_published_together_stay_in_order() -> None:
    """Though the server may refuse the first of them as the first, and so see it twice."""

    async def go() -> list[str]:
        ours = NatsBroker(nats_url(), prefix=f"t{token_hex(6)}")
        await ours.publish([of_key("zero")])
        await ours.publish([of_key(f"{n}", run) for n in range(20) for run in ("one", "two")])
        ids: dict[str, list[str]] = {}
        async with aclosing(ours.deliveries([WORKFLOW])) as incoming:
            for _ in range(41):
                delivery = await anext(incoming)
                received = event_of(delivery)
                ids.setdefault(received.subject, []).append(received.id)
                await ours.ack(delivery)
        await ours.close()
        return sorted(" ".join(of_run) for of_run in ids.values())

    in_order = " ".join(map(str, range(20)))
    assert within(go()) == [in_order, f"zero {in_order}"]


def test_a_stored_message_has_the_headers_and_the_body_of_the_published_one() -> None:
    """A message that waited is read from the stream when its turn has come."""
    second = encode_message(to_workflow("second", data={"text": "x" * 2_000}, tracestate="a=b:c"))

    async def go() -> EncodedMessage:
        ours = NatsBroker(nats_url(), prefix=f"t{token_hex(6)}")
        await ours.publish([of_key("first")])
        await ours.publish([second])
        async with aclosing(ours.deliveries([WORKFLOW])) as incoming:
            await ours.ack(await anext(incoming))
            delivery = await anext(incoming)
        await ours.close()
        return delivery.message

    assert within(go()) == second


@pytest.mark.promise("I11")
@pytest.mark.parametrize("message", [to_workflow("e1"), to_service("e1")])
def test_failures_and_deaths_are_counted_apart(message: Message) -> None:
    """The server counts all deliveries of a message alike, and a deferred one is a copy."""
    prefix = f"t{token_hex(6)}"

    counts = within(count_deaths(lambda: NatsBroker(nats_url(), prefix=prefix), message))

    assert counts == [before for _, before in LIFE]


@pytest.mark.parametrize(("seconds", "number"), [(0.0, 0), (POLLING_SECONDS, 1)])
def test_a_notice_is_sent_only_where_another_process_may_listen(
    seconds: float, number: int
) -> None:
    """One that holds back a later message polls first, so most notices would be wasted."""

    async def go() -> int:
        ours, notices = NatsBroker(nats_url(), prefix=f"t{token_hex(6)}"), list[Msg]()

        async def on_notice(message: Msg) -> None:
            notices.append(message)

        async with connected() as client:
            await ours.publish([of_key("first")])
            await client.subscribe(f"{ours.prefix}-settled.>", cb=on_notice)
            async with aclosing(ours.deliveries([WORKFLOW])) as incoming:
                delivery = await anext(incoming)
                await client.flush()
                # As if it had arrived so long ago.
                delivery.token.alone_at = asyncio.get_running_loop().time() - seconds
                await ours.ack(delivery)
            # A reply comes behind what was sent before.
            await ours.depth()
            await client.flush()
        await ours.close()
        return len(notices)

    assert within(go()) == number
