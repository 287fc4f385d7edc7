"""Broker: the wire format, failures and unreadable messages, on a real NATS server."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any, TypeVar
from urllib.parse import unquote

import pytest
from attrs import evolve

from arvo import (
    Contract,
    DeadLetter,
    Emit,
    Event,
    EventHandler,
    Runtime,
    System,
    Unavailable,
    Version,
    Violated,
)
from arvo.engine.step.route import ToHandler
from arvo.interpreters.delivery.brokers.ordering import key_token
from arvo.interpreters.memory.store import InMemoryMachineMemory
from arvo.interpreters.nats import NatsBroker, NatsMemory, broker, memory
from arvo.interpreters.nats.connection.connection import Connection
from arvo.interpreters.nats.pull import ACK, IN_PROGRESS
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.paired.documents.codec import decode_message, encode_message
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage
from arvo.interpreters.ports.messages import Message
from arvo.testing.conformance.kit.samples import SERVICE, event
from tests.interpreters.brokers import PAY, encode, event_of, receive_through_pair
from tests.interpreters.nats.plain_client import connected, last, publish, stream
from tests.interpreters.until import until
from tests.logged import logged
from tests.parity.recordings import load_cases
from tests.servers import nats, nats_url

T = TypeVar("T")
TIMEOUT_SECONDS = 60.0


def prefix() -> str:
    return f"t{token_hex(6)}"


@asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[NatsBroker]:
    opened = NatsBroker(**{"servers": nats_url(), "prefix": prefix(), **settings})
    try:
        yield opened
    finally:
        await opened.close()


def deliveries(broker: NatsBroker, address: str = SERVICE) -> Any:
    return aclosing(broker.deliveries([address]))


async def eventually(work: Awaitable[T]) -> T:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        return await work


async def assert_no_delivery(
    incoming: AsyncIterator[EncodedDelivery], seconds: float = 0.1
) -> None:
    waiting = asyncio.ensure_future(anext(incoming))
    done, _ = await asyncio.wait({waiting}, timeout=seconds)
    assert not done
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def assert_connection_lost(incoming: AsyncIterator[EncodedDelivery]) -> None:
    """Receive until the iteration raises because the connection is lost."""
    with pytest.raises(Unavailable):  # noqa: PT012 - some messages may arrive before
        while True:
            await eventually(anext(incoming))


@pytest.mark.parametrize(
    "case", [param for param in load_cases("events.jsonl") if param.values[0]["valid"]]
)
def test_an_event_of_the_reference_is_accepted_as_plain_json(case: dict[str, Any]) -> None:
    """Other programs publish it to the subject of the address, without any header."""

    async def go() -> None:
        async with opened() as ours, deliveries(ours) as incoming:
            await ours.publish([encode(event("first"), SERVICE)])
            await ours.ack(await eventually(anext(incoming)))
            await publish(f"{ours.prefix}.{SERVICE}", json.dumps(case["json"]).encode())

            message = decode_message((await eventually(anext(incoming))).message)

            assert message.event.to_dict() == case["json"]
            assert message.to == ToHandler(SERVICE, case["json"]["subject"])

    asyncio.run(go())


def test_a_message_is_on_the_wire_as_the_reference_writes_it() -> None:
    """CloudEvents in structured mode: the body is the event and nothing else."""
    traced = event("one", traceparent="00-0af7-b7ad-01", tracestate="vendor=a b,é")

    async def go() -> None:
        async with opened() as ours:
            await ours.publish(
                [encode_message(Message(traced, ToHandler(SERVICE, traced.subject)))]
            )

            subject = f"{ours.prefix}.{SERVICE}.(key).{key_token(traced.subject)}"
            body, headers = await last(ours.prefix, subject)

            assert body == traced.to_json().encode()
            assert headers.pop("Nats-Msg-Id")
            assert headers == {
                "Nats-Expected-Last-Subject-Sequence": "0",
                "arvo-inside": "yes",
                "content-type": "application/cloudevents+json",
                "traceparent": "00-0af7-b7ad-01",
                "tracestate": "vendor=a b,%C3%A9",
            }

    asyncio.run(go())


@pytest.mark.promise("I8")
@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (b"\xff\x00 no JSON", None, "JSON"),
        (b'{"id": "half an event"}', None, "required"),
        (b"[]", None, "expected an object"),
        (b"{}", {"content-encoding": "deflate"}, "header content-encoding: 'deflate' cannot be"),
        (event("late").to_json().encode(), {"arvo-due": "tomorrow"}, "tomorrow"),
    ],
)
def test_an_unreadable_message_is_dead_lettered_with_a_reason(
    body: bytes, headers: dict[str, str] | None, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It must not be redelivered for ever, nor stop the others, nor vanish (I8)."""

    async def go() -> None:
        async with opened() as ours:
            await ours.publish([])
            await publish(f"{ours.prefix}.{PAY}", body, headers)
            await ours.publish([encode(event("next"))])

            assert await receive_through_pair(ours) == ["next"]

            assert (await ours.depth()).total == 0
            stored, header = await last(f"{ours.prefix}-dead", f"{ours.prefix}-dead.{PAY}")
            assert stored == body
            assert reason in unquote(header["arvo-reason"])

    with caplog.at_level(logging.WARNING, "arvo"):
        asyncio.run(go())

    [line] = logged(caplog.records, "dead letter stored")
    assert reason in line["reason"]


def test_an_unreadable_message_of_maximum_size_is_dead_lettered_without_its_reason() -> None:
    """A header with the reason does not fit, and it must not be redelivered for ever."""
    body = b"x" * (1024 * 1024)

    async def go() -> None:
        async with opened() as ours:
            await ours.publish([])
            await publish(f"{ours.prefix}.{PAY}", body, None)
            assert await receive_through_pair(ours, 0) == []

            assert (await ours.depth()).total == 0
            assert await last(f"{ours.prefix}-dead", f"{ours.prefix}-dead.{PAY}") == (body, {})

    asyncio.run(go())


def test_dead_letters_have_a_stream_for_other_tools() -> None:
    """A copy with its reason, besides the dead letter in the memory."""

    async def go() -> None:
        async with opened() as ours, deliveries(ours) as incoming:
            await ours.publish([encode(event("one"), SERVICE)])
            await ours.dead_letter(await eventually(anext(incoming)), "no such card\nat all")

            body, headers = await last(f"{ours.prefix}-dead", f"{ours.prefix}-dead.{SERVICE}")

            assert body == event("one").to_json().encode()
            assert unquote(headers["arvo-reason"]) == "no such card at all"
            assert (await ours.depth()).total == 0

    asyncio.run(go())


def test_a_dead_letter_that_is_redriven_at_once_is_delivered_again() -> None:
    """The server drops duplicates, but an operator sends the same event on purpose."""
    message = Message(event("one"), ToHandler(SERVICE, None))

    async def go() -> None:
        async with opened() as ours:
            pair = Pair(InMemoryMachineMemory(), ours)
            for number in range(3):
                await pair.send(message) if number == 0 else None
                delivery = await eventually(pair.receive(SERVICE))
                dead_letter = DeadLetter(
                    id=f"dead-letter-{number}",
                    event=delivery.message.event,
                    reason="no handler",
                    attempts=1,
                    at="2026-01-02T03:04:05.000+00:00",
                )
                await pair.dead_letter(delivery, dead_letter)
                assert await pair.redrive(dead_letter.id, [message])
            delivery = await eventually(pair.receive(SERVICE))
            assert delivery.message == message
            await pair.ack(delivery)
            await eventually(pair.wait_until_idle())
            await pair.close()

    asyncio.run(go())


def test_one_event_goes_to_two_addresses_and_twice_to_one() -> None:
    """The consumer decides whether an event is a duplicate, not the server."""
    messages = [encode(event("one"), name) for name in (SERVICE, "com.kit.other", SERVICE)]

    async def go() -> None:
        async with opened() as ours:
            await ours.publish(messages)

            assert (await stream(ours.prefix))["state"]["messages"] == 3

    asyncio.run(go())


def test_a_message_whose_confirmation_was_lost_is_stored_once() -> None:
    """The server recognises the id of the second publish, which is the purpose of the id."""

    async def go() -> None:
        async with opened() as ours:
            await ours.publish([])
            publication = ours._publisher.encode(encode(event("one"), SERVICE), 1_000_000)
            for _ in range(2):
                await ours._publisher.send(publication)

            assert (await stream(ours.prefix))["state"]["messages"] == 1

    asyncio.run(go())


def test_a_slow_handler_keeps_its_delivery() -> None:
    """Heartbeats: work that takes longer than the ack wait is not done twice."""

    async def go() -> None:
        async with opened(ack_wait=2.0) as ours, deliveries(ours) as incoming:
            await ours.publish([encode(event("one"), SERVICE)])
            slow = await eventually(anext(incoming))
            async with opened(prefix=ours.prefix) as other, deliveries(other) as others:
                await assert_no_delivery(others, 3.0)
            await ours.ack(slow)

            assert (await ours.depth()).total == 0

    asyncio.run(go())


def test_a_delivery_that_was_lost_before_its_heartbeat_was_confirmed_stays_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its worker has forgotten it by then: renewed for ever, no process would get it."""
    request, renewed = Connection.request, asyncio.Event()

    async def go() -> None:
        async with opened(ack_wait=2.0) as ours, opened(prefix=ours.prefix) as other:
            await ours.publish([encode(event("one"), SERVICE)])
            async with deliveries(ours) as incoming:
                lost = await eventually(anext(incoming))

                async def confirm_late(connection: Connection, *arguments: Any) -> Any:
                    reply = await request(connection, *arguments)
                    if IN_PROGRESS in arguments:
                        lost.token.until = asyncio.get_running_loop().time()
                        renewed.set()
                    return reply

                with monkeypatch.context() as patch:
                    patch.setattr(Connection, "request", confirm_late)
                    await eventually(renewed.wait())
                assert not ours.owns(lost)
                await ours.ack(lost)
                async with deliveries(other) as others:
                    assert event_of(await eventually(anext(others))).id == "one"

    asyncio.run(go())


def test_deliveries_of_a_dead_process_are_redelivered() -> None:
    """If it comes back later, it settles none of them."""

    async def go() -> None:
        async with opened(ack_wait=2.0) as ours, opened(prefix=ours.prefix) as other:
            await ours.publish([encode(event("one"), SERVICE)])
            incoming = ours.deliveries([SERVICE])
            stale = await eventually(anext(incoming))
            assert ours.owns(stale)
            await ours.close()
            with pytest.raises(Unavailable):
                await anext(incoming)

            async with deliveries(other) as others:
                redelivered = await eventually(anext(others))
                assert redelivered.message == stale.message
                # On a busy machine the server may count another expiry of this short ack wait.
                assert redelivered.attempt >= 2
                assert other.owns(redelivered)
                assert not ours.owns(stale)
                await asyncio.sleep(0.1)
                await ours.ack(stale)
                assert (await other.depth()).taken == 1

    asyncio.run(go())


def test_a_delivery_can_be_settled_after_a_lost_connection() -> None:
    """A short network failure is no reason to repeat the work of that moment."""

    async def go() -> None:
        async with opened() as ours:
            await ours.publish([encode(event(f"m{number}"), SERVICE) for number in range(3)])
            incoming = ours.deliveries([SERVICE])
            first = await eventually(anext(incoming))
            client: Any = await ours._connection.client()
            client._transport._io_writer.transport.abort()
            await assert_connection_lost(incoming)
            await ours.ack(first)
            assert (await ours.depth()).total == 2

            async with deliveries(ours) as again:
                for name in ("m1", "m2"):
                    assert event_of(await eventually(anext(again))).id == name

    asyncio.run(go())


def test_messages_survive_a_restart_of_the_server() -> None:
    """Unsettled messages are redelivered, and perhaps one that was acked just before."""
    server = nats()
    server.start()

    async def go() -> None:
        async with opened(servers=server.url) as ours:
            await ours.publish([encode(event(f"m{number}"), SERVICE) for number in range(3)])
            incoming = ours.deliveries([SERVICE])
            await ours.ack(await eventually(anext(incoming)))
            await asyncio.to_thread(server.restart)
            await assert_connection_lost(incoming)

            ids = set()
            async with deliveries(ours) as again:
                while (await ours.depth()).total:
                    delivery = await eventually(anext(again))
                    ids.add(event_of(delivery).id)
                    await ours.ack(delivery)
            assert ids - {"m0"} == {"m1", "m2"}

    try:
        asyncio.run(go())
    finally:
        server.stop()


def test_a_full_queue_refuses_messages_until_there_is_room() -> None:
    """Backpressure: it raises `Unavailable`, and drops no older message."""

    async def go() -> None:
        async with opened(messages_max=2) as ours:
            await ours.publish([encode(event("one"), SERVICE), encode(event("two"), SERVICE)])
            with pytest.raises(Unavailable, match="maximum messages"):
                await ours.publish([encode(event("three"), SERVICE)])

            async with deliveries(ours) as incoming:
                delivery = await eventually(anext(incoming))
                assert event_of(delivery).id == "one"
                await ours.ack(delivery)
                assert (await ours.depth()).total == 1
                await ours.publish([encode(event("three"), SERVICE)])

    asyncio.run(go())


def timer_after(seconds: float, name: str = "timer") -> EncodedMessage:
    due = datetime.now(UTC) + timedelta(seconds=seconds)
    return encode_message(Message(event(name), ToHandler(SERVICE, "run")), due)


def test_a_delayed_message_waits_on_the_server() -> None:
    """Also while no process runs; until it is due, it counts as a timer."""

    async def go() -> None:
        async with opened() as ours:
            await ours.publish([timer_after(3600, "later")])
            depth = await ours.depth()
            assert (depth.total, depth.timers) == (0, 1)
            timer = timer_after(1)
            await ours.publish([timer])

        async with opened(prefix=ours.prefix) as after, deliveries(after) as incoming:
            delivery = await eventually(anext(incoming))

            assert timer.due is not None
            assert datetime.now(UTC) >= timer.due
            assert delivery.message == timer
            depth = await after.depth()
            assert (depth.total, depth.taken, depth.timers) == (1, 1, 1)

    asyncio.run(go())


def after_the_first_count(
    monkeypatch: pytest.MonkeyPatch, stream: str, change: Callable[[], Awaitable[None]]
) -> None:
    """Call *change* when the messages of a stream have been counted for the first time."""
    call_api, changes = Connection.call_api, [change]

    async def call_and_change(self: Connection, call: str, *rest: Any) -> Any:
        reply = await call_api(self, call, *rest)
        if call == f"STREAM.INFO.{stream}" and changes:
            await changes.pop()()
        return reply

    monkeypatch.setattr(Connection, "call_api", call_and_change)


def test_a_timer_that_is_processed_counts_while_others_are_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise `drain` would return while a workflow is under way."""

    async def go() -> None:
        async with opened() as ours, deliveries(ours) as incoming:
            await ours.publish([timer_after(0.1)])
            await eventually(anext(incoming))

            async def set_another() -> None:
                await ours.publish([timer_after(3600, "later")])

            after_the_first_count(monkeypatch, f"{ours.prefix}-timers", set_another)
            assert (await ours.depth()).total == 1

    asyncio.run(go())


def test_an_event_that_leads_to_a_due_timer_between_two_counts_is_not_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The timer is in a stream of its own, which was counted before the event was acked."""

    async def go() -> None:
        async with opened() as ours, deliveries(ours) as incoming, connected() as client:
            await ours.publish([encode(event("one"), SERVICE)])
            first = await eventually(anext(incoming))

            async def is_due() -> bool:
                timers, due = f"{ours.prefix}-timers", f"{ours.prefix}-due.>"
                info = await client.jetstream().stream_info(timers, subjects_filter=due)
                return bool(info.state.subjects)

            async def set_and_ack() -> None:
                await ours.publish([timer_after(0.1)])
                await until(is_due)
                await first.token.settle(ours._connection, ACK)

            after_the_first_count(monkeypatch, f"{ours.prefix}-timers", set_and_ack)
            assert (await ours.depth()).total == 1

    asyncio.run(go())


def test_an_event_that_does_not_fit_is_compressed() -> None:
    """By default an event may be as large as a message of the server, which includes headers."""
    large = event("large", data={"text": "x" * (1024 * 1024 - 750)})
    assert 1024 * 1024 - 300 < len(large.to_json()) <= 1024 * 1024

    async def go() -> None:
        async with opened() as ours, deliveries(ours) as incoming:
            await ours.publish([encode(large, SERVICE)])
            delivery = await eventually(anext(incoming))
            assert event_of(delivery) == large
            await ours.ack(delivery)

    asyncio.run(go())


def test_a_deleted_stream_is_created_again() -> None:
    """Its messages are lost, but the workers go on."""

    async def go() -> None:
        async with opened() as ours:
            await ours.publish([encode(event("lost"), SERVICE)])
            incoming = ours.deliveries([SERVICE])
            await eventually(anext(incoming))
            async with connected() as client:
                await client.jetstream().delete_stream(ours.prefix)
            with pytest.raises(Unavailable):
                await eventually(anext(incoming))
            await ours.publish([encode(event("new"), SERVICE)])

            async with deliveries(ours) as again:
                assert event_of(await eventually(anext(again))).id == "new"

    asyncio.run(go())


def test_settled_messages_that_are_still_stored_do_not_count() -> None:
    """A killed server may forget the deletion of an acked message, which is never redelivered.

    A stream with a retention that keeps all messages shows the same state reliably.
    """

    async def go() -> None:
        async with opened() as ours:
            async with connected() as client:
                await client.jetstream().add_stream(name=ours.prefix, subjects=[f"{ours.prefix}.>"])
            await ours.publish([encode(event(f"m{number}"), SERVICE) for number in range(3)])
            async with deliveries(ours) as incoming:
                for left in (2, 1):
                    await ours.ack(await eventually(anext(incoming)))
                    depth = await ours.depth()
                    assert depth.total >= left
                await ours.ack(await eventually(anext(incoming)))

                assert (await ours.depth()).total == 0
                assert (await stream(ours.prefix))["state"]["messages"] == 0

    asyncio.run(go())


def test_a_message_without_a_consumer_is_stored() -> None:
    """A handler with that address receives it later, however often it was counted before."""

    async def go() -> None:
        async with opened() as ours:
            await ours.publish([encode(event("one"), "com.kit.later")])
            async with deliveries(ours) as incoming:
                await assert_no_delivery(incoming)
            for _ in range(3):
                assert (await ours.depth()).ready == 1

            async with deliveries(ours, "com.kit.later") as incoming:
                assert event_of(await eventually(anext(incoming))).id == "one"

    asyncio.run(go())


def test_two_runtimes_share_the_work() -> None:
    """Each message is handled by one of them, and both handle some."""
    by: dict[str, list[str]] = {"one": [], "two": []}
    ping = Contract(
        uri="#/nats/ping",
        type="com.nats.ping",
        versions={"1.0.0": Version(accepts={"type": "object"}, emits={"evt.nats.pong": {}})},
    )

    def system(name: str) -> System:
        def answer(event: Event[Any]) -> Emit:
            by[name].append(event.id)
            return Emit({}, type="evt.nats.pong")

        return System([EventHandler(ping, {"1.0.0": answer})])

    async def go() -> None:
        url = f"{nats_url()}?prefix={prefix()}"
        async with Runtime(system("one"), url) as one, Runtime(system("two"), url) as two:
            events = [ping["1.0.0"].accepts({}, source="com.nats.test") for _ in range(200)]
            await asyncio.gather(*(one.send(event) for event in events))
            await two.drain(timeout=TIMEOUT_SECONDS)
        assert sorted(by["one"] + by["two"]) == sorted(event.id for event in events)
        assert all(by.values())

    asyncio.run(go())


def test_a_url_has_the_settings_of_the_constructor() -> None:
    """They are checked, and no secret is printed."""
    url = "nats://a:1,nats://u:secret@b:2?prefix=shop&replicas=3&storage=memory&ack_wait=5&bytes_max=9"
    queues, records = broker(url), memory(url)
    assert isinstance(queues, NatsBroker)
    assert isinstance(records, NatsMemory)
    assert (queues.prefix, queues.replicas, queues.storage, queues.ack_wait) == (
        "shop",
        3,
        "memory",
        5.0,
    )
    assert (records.prefix, records.replicas, records.storage, records.bytes_max) == (
        "shop",
        3,
        "memory",
        9,
    )
    assert queues.servers == "nats://a:1,nats://u:secret@b:2"
    assert "secret" not in f"{queues!r} {records!r}"

    for wrong in ("prefix=a.b", "replicas=7", "replicas=x", "storage=tape", "ack_wait=0", "pre=a"):
        with pytest.raises(Violated, match=wrong.partition("=")[0]):
            broker(f"nats://a?{wrong}")
    for nowhere in ("nats://", "nats://u:secret@a:port", "nats://[::1", "nats://a,ws://b"):
        with pytest.raises(Violated, match=r"expected (an encoded URL such as )?nats://") as raised:
            memory(nowhere)
        assert "secret" not in str(raised.value)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    """The error does not contain the password of the URL."""

    async def go() -> None:
        async with opened(servers="nats://root:secret@127.0.0.1:1") as ours:
            with pytest.raises(Unavailable) as raised:
                await ours.publish([encode(event("one"), SERVICE)])
            assert "secret" not in str(raised.value)

    asyncio.run(go())


def test_a_broker_can_be_used_in_several_event_loops_in_turn() -> None:
    """A script with a `Client` may call `asyncio.run` more than once."""
    ours = NatsBroker(nats_url(), prefix=prefix())

    async def go(key: str) -> int:
        await asyncio.gather(*(ours.publish([encode(event(key), SERVICE)]) for _ in range(3)))
        total = (await ours.depth()).total
        await ours.close()
        return total

    assert [asyncio.run(go("one")), asyncio.run(go("two"))] == [3, 6]


@pytest.mark.promise("I7")
def test_a_timer_that_is_published_again_when_it_is_due_is_delivered_once() -> None:
    """A process that gets a copy of an event publishes its turn again; by then it may be due."""

    async def go() -> None:
        async with opened() as broker, deliveries(broker) as incoming:
            due = datetime.now(UTC) + timedelta(seconds=0.05)
            timer = evolve(encode(event("timer"), SERVICE, due), id="turn-1")
            await broker.publish([timer])
            first = await eventually(anext(incoming))
            await broker.publish([timer])
            await broker.ack(first)

            await broker.publish([encode(event("next"), SERVICE)])
            second = await eventually(anext(incoming))
            assert event_of(second) == event("next")
            await broker.ack(second)
            await assert_no_delivery(incoming)

    asyncio.run(go())
