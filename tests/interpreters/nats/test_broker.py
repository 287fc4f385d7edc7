"""The broker on a real server: what others see of it, what it survives, what it never swallows."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any, TypeVar
from urllib.parse import unquote

import pytest

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
from arvo.interpreters.nats import NatsBroker, NatsMemory, broker, memory
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.ports.backend import Message
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage
from arvo.interpreters.ports.machine_memory import InMemoryMachineMemory
from arvo.testing.conformance.samples import SERVICE, event
from tests.interpreters.nats.outsider import connected, last, publish, stream
from tests.parity.recordings import cases
from tests.servers import nats, nats_url

T = TypeVar("T")
PATIENCE_SECONDS = 20.0


def prefix() -> str:
    return f"t{token_hex(6)}"


@asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[NatsBroker]:
    opened = NatsBroker(**{"servers": nats_url(), "prefix": prefix(), **settings})
    try:
        yield opened
    finally:
        await opened.close()


def taking(broker: NatsBroker, address: str = SERVICE) -> Any:
    return aclosing(broker.deliveries([address]))


async def soon(work: Awaitable[T]) -> T:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await work


async def nothing_comes(incoming: AsyncIterator[EncodedDelivery], seconds: float = 0.1) -> None:
    waiting = asyncio.ensure_future(anext(incoming))
    done, _ = await asyncio.wait({waiting}, timeout=seconds)
    assert not done
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def lost(incoming: AsyncIterator[EncodedDelivery]) -> None:
    """Take what has come, until the iteration says that the connection is lost."""
    with pytest.raises(Unavailable):  # noqa: PT012 - some messages may have come before
        while True:
            await soon(anext(incoming))


@pytest.mark.parametrize(
    "case", [each for each in cases("events.jsonl") if each.values[0]["valid"]]
)
def test_an_event_of_the_reference_is_taken_as_plain_json(case: dict[str, Any]) -> None:
    """Whoever knows only the wire publishes it to the address' subject, without any header."""

    async def go() -> None:
        async with opened() as ours, taking(ours) as incoming:
            await ours.publish([EncodedMessage(SERVICE, event("first"))])
            await ours.ack(await soon(anext(incoming)))
            await publish(f"{ours.prefix}.{SERVICE}", json.dumps(case["json"]).encode())

            found = await soon(anext(incoming))

            assert found.message.event.to_dict() == case["json"]
            assert found.message.key == case["json"]["subject"]

    asyncio.run(go())


def test_ours_is_on_the_wire_as_the_reference_writes_it() -> None:
    """CloudEvents in structured mode: the body is the event, whatever we know beside it is not."""
    traced = event("one", traceparent="00-0af7-b7ad-01", tracestate="vendor=a b,é")

    async def go() -> None:
        async with opened() as ours:
            await ours.publish([EncodedMessage(SERVICE, traced, key=traced.subject)])

            body, headers = await last(ours.prefix, f"{ours.prefix}.{SERVICE}")

            assert body == traced.to_json().encode()
            assert headers.pop("Nats-Msg-Id")
            assert headers == {
                "content-type": "application/cloudevents+json",
                "traceparent": "00-0af7-b7ad-01",
                "tracestate": "vendor=a b,%C3%A9",
            }

    asyncio.run(go())


@pytest.mark.parametrize(
    ("body", "headers", "why"),
    [
        (b"\xff\x00 no JSON", None, "JSON"),
        (b'{"id": "half an event"}', None, "required"),
        (b"[]", None, "expected an object"),
        (b"{}", {"content-encoding": "deflate"}, "cannot be unpacked"),
        (event("late").to_json().encode(), {"arvo-due": "tomorrow"}, "tomorrow"),
    ],
)
def test_what_is_no_event_is_put_aside_with_its_reason(
    body: bytes, headers: dict[str, str] | None, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It must not come for ever, nor stop the others, nor vanish (I8)."""

    async def go() -> None:
        async with opened() as ours:
            await ours.publish([])
            await publish(f"{ours.prefix}.{SERVICE}", body, headers)
            await ours.publish([EncodedMessage(SERVICE, event("next"))])

            async with taking(ours) as incoming:
                found = await soon(anext(incoming))
                assert found.message.event.id == "next"
                await ours.ack(found)
                await nothing_comes(incoming)

            assert (await ours.depth()).total == 0
            kept, told = await last(f"{ours.prefix}-dead", f"{ours.prefix}-dead.{SERVICE}")
            assert kept == body
            assert why in unquote(told["arvo-reason"])

    with caplog.at_level(logging.WARNING, "arvo"):
        asyncio.run(go())

    assert why in caplog.text


def test_what_came_as_large_as_may_be_is_put_aside_without_its_reason() -> None:
    """There is no room for a header of ours, and it must not come for ever."""
    body = b"x" * (1024 * 1024)

    async def go() -> None:
        async with opened() as ours:
            await ours.publish([])
            await publish(f"{ours.prefix}.{SERVICE}", body, None)
            async with taking(ours) as incoming:
                await nothing_comes(incoming, 1.0)

            assert (await ours.depth()).total == 0
            assert await last(f"{ours.prefix}-dead", f"{ours.prefix}-dead.{SERVICE}") == (body, {})

    asyncio.run(go())


def test_what_nobody_could_take_is_kept_for_others_tools() -> None:
    """A copy with its reason, beside the letter that the memory holds."""

    async def go() -> None:
        async with opened() as ours, taking(ours) as incoming:
            await ours.publish([EncodedMessage(SERVICE, event("one"))])
            await ours.dead_letter(await soon(anext(incoming)), "no such card\nat all")

            body, headers = await last(f"{ours.prefix}-dead", f"{ours.prefix}-dead.{SERVICE}")

            assert body == event("one").to_json().encode()
            assert unquote(headers["arvo-reason"]) == "no such card at all"
            assert (await ours.depth()).total == 0

    asyncio.run(go())


def test_a_dead_letter_that_is_retried_at_once_is_handed_out_again() -> None:
    """The server drops what it has seen; an operator sends the very same event on purpose."""
    message = Message(event("one"), ToHandler(SERVICE, None))

    async def go() -> None:
        async with opened() as ours:
            pair = Pair(InMemoryMachineMemory(), ours)
            for number in range(3):
                await pair.send(message) if number == 0 else None
                delivery = await soon(pair.receive(SERVICE))
                dead_letter = DeadLetter(
                    id=f"letter-{number}",
                    event=delivery.message.event,
                    reason="nobody",
                    attempts=1,
                    at="2026-01-02T03:04:05.000+00:00",
                )
                await pair.dead_letter(delivery, dead_letter)
                assert await pair.redrive(dead_letter.id, [message])
            delivery = await soon(pair.receive(SERVICE))
            assert delivery.message == message
            await pair.ack(delivery)
            await soon(pair.wait_until_idle())
            await pair.close()

    asyncio.run(go())


def test_one_event_goes_to_two_addresses_and_twice_to_one() -> None:
    """Whether it was consumed before is for the consumer to say, not for the server."""
    messages = [
        EncodedMessage(address, event("one")) for address in (SERVICE, "com.kit.other", SERVICE)
    ]

    async def go() -> None:
        async with opened() as ours:
            await ours.publish(messages)

            assert (await stream(ours.prefix))["state"]["messages"] == 3

    asyncio.run(go())


def test_a_message_whose_answer_was_lost_is_sent_again_and_kept_once() -> None:
    """The server knows the id of a sending: that is all that the id is for."""

    async def go() -> None:
        async with opened() as ours:
            await ours.publish([])
            subject, body, headers = ours._said(EncodedMessage(SERVICE, event("one")), 1_000_000)
            for _ in range(2):
                await ours._send(subject, body, headers)

            assert (await stream(ours.prefix))["state"]["messages"] == 1

    asyncio.run(go())


def test_a_slow_handler_keeps_what_it_has_in_hand() -> None:
    """Signs of life: longer work than the server waits for is no reason to do it twice."""

    async def go() -> None:
        async with opened(ack_wait=0.6) as ours, taking(ours) as incoming:
            await ours.publish([EncodedMessage(SERVICE, event("one"))])
            slow = await soon(anext(incoming))
            async with opened(prefix=ours.prefix) as other, taking(other) as also:
                await nothing_comes(also, 1.5)
            await ours.ack(slow)

            assert (await ours.depth()).total == 0

    asyncio.run(go())


def test_what_a_dead_process_had_is_handed_out_after_a_while() -> None:
    """And whoever comes back late settles nothing of it."""

    async def go() -> None:
        async with opened(ack_wait=0.6) as ours, opened(prefix=ours.prefix) as other:
            await ours.publish([EncodedMessage(SERVICE, event("one"))])
            incoming = ours.deliveries([SERVICE])
            stale = await soon(anext(incoming))
            await ours.close()
            with pytest.raises(Unavailable):
                await anext(incoming)

            async with taking(other) as also:
                found = await soon(anext(also))
                assert (found.message, found.attempt) == (stale.message, 2)
                await asyncio.sleep(0.1)
                await ours.ack(stale)
                assert (await other.depth()).taken == 1

    asyncio.run(go())


def test_what_was_taken_before_the_connection_was_lost_may_be_settled_after() -> None:
    """A network that hiccups is no reason to do the work of that moment again."""

    async def go() -> None:
        async with opened() as ours:
            await ours.publish(
                [EncodedMessage(SERVICE, event(f"m{number}")) for number in range(3)]
            )
            incoming = ours.deliveries([SERVICE])
            first = await soon(anext(incoming))
            client: Any = await ours._link.client()
            client._transport._io_writer.transport.abort()
            await lost(incoming)
            await ours.ack(first)
            assert (await ours.depth()).total == 2

            async with taking(ours) as again:
                for name in ("m1", "m2"):
                    found = await soon(anext(again))
                    assert found.message.event.id == name

    asyncio.run(go())


def test_what_was_published_outlives_the_server() -> None:
    """Killed and started again: what was not done comes again, perhaps also what just was."""
    server = nats()
    server.start()

    async def go() -> None:
        async with opened(servers=server.url) as ours:
            await ours.publish(
                [EncodedMessage(SERVICE, event(f"m{number}")) for number in range(3)]
            )
            incoming = ours.deliveries([SERVICE])
            await ours.ack(await soon(anext(incoming)))
            await asyncio.to_thread(server.restart)
            await lost(incoming)

            found = set()
            async with taking(ours) as again:
                while (await ours.depth()).total:
                    delivery = await soon(anext(again))
                    found.add(delivery.message.event.id)
                    await ours.ack(delivery)
            assert found - {"m0"} == {"m1", "m2"}

    try:
        asyncio.run(go())
    finally:
        server.stop()


def test_a_full_queue_takes_nothing_until_there_is_room() -> None:
    """Backpressure: `Unavailable`, and nothing older makes way."""

    async def go() -> None:
        async with opened(messages_max=2) as ours:
            await ours.publish(
                [EncodedMessage(SERVICE, event("one")), EncodedMessage(SERVICE, event("two"))]
            )
            with pytest.raises(Unavailable, match="maximum messages"):
                await ours.publish([EncodedMessage(SERVICE, event("three"))])

            async with taking(ours) as incoming:
                found = await soon(anext(incoming))
                assert found.message.event.id == "one"
                await ours.ack(found)
                assert (await ours.depth()).total == 1
                await ours.publish([EncodedMessage(SERVICE, event("three"))])

    asyncio.run(go())


def test_what_is_due_later_waits_on_the_server() -> None:
    """Also while no process runs; until then it is a timer, and not under way."""
    due = datetime.now(UTC) + timedelta(seconds=1)
    timer = EncodedMessage(SERVICE, event("timer"), key="run", due=due)

    async def go() -> None:
        async with opened() as ours:
            await ours.publish([timer])
            depth = await ours.depth()
            assert (depth.total, depth.timers) == (0, 1)

        async with opened(prefix=ours.prefix) as after, taking(after) as incoming:
            found = await soon(anext(incoming))

            assert datetime.now(UTC) >= due
            assert found.message == timer
            depth = await after.depth()
            assert (depth.total, depth.taken, depth.timers) == (1, 1, 0)

    asyncio.run(go())


def test_an_event_that_would_not_fit_is_packed() -> None:
    """An event may be as large as a message, by the server's default, which holds headers too."""
    large = event("large", data={"text": "x" * (1024 * 1024 - 600)})
    assert 1024 * 1024 - 300 < len(large.to_json()) <= 1024 * 1024

    async def go() -> None:
        async with opened() as ours, taking(ours) as incoming:
            await ours.publish([EncodedMessage(SERVICE, large)])
            found = await soon(anext(incoming))
            assert found.message.event == large
            await ours.ack(found)

    asyncio.run(go())


def test_a_stream_that_was_deleted_is_made_again() -> None:
    """Whoever deletes it loses what it held, not the workers."""

    async def go() -> None:
        async with opened() as ours:
            await ours.publish([EncodedMessage(SERVICE, event("lost"))])
            incoming = ours.deliveries([SERVICE])
            await soon(anext(incoming))
            async with connected() as client:
                await client.jetstream().delete_stream(ours.prefix)
            with pytest.raises(Unavailable):
                await soon(anext(incoming))
            await ours.publish([EncodedMessage(SERVICE, event("new"))])

            async with taking(ours) as again:
                found = await soon(anext(again))
                assert found.message.event.id == "new"

    asyncio.run(go())


def test_what_was_settled_and_is_there_all_the_same_is_not_under_way() -> None:
    """A server that is killed may forget that it removed a message, which nobody is handed again.

    So does a stream whose owner would keep everything: it shows the same, and each time.
    """

    async def go() -> None:
        async with opened() as ours:
            async with connected() as client:
                await client.jetstream().add_stream(name=ours.prefix, subjects=[f"{ours.prefix}.>"])
            await ours.publish(
                [EncodedMessage(SERVICE, event(f"m{number}")) for number in range(3)]
            )
            async with taking(ours) as incoming:
                for left in (2, 1):
                    await ours.ack(await soon(anext(incoming)))
                    depth = await ours.depth()
                    assert depth.total >= left
                await ours.ack(await soon(anext(incoming)))

                assert (await ours.depth()).total == 0
                assert (await stream(ours.prefix))["state"]["messages"] == 0

    asyncio.run(go())


def test_what_is_sent_to_nobody_is_kept() -> None:
    """Whoever serves its address one day is handed it, however often it was counted."""

    async def go() -> None:
        async with opened() as ours:
            await ours.publish([EncodedMessage("com.kit.nobody", event("one"))])
            async with taking(ours) as incoming:
                await nothing_comes(incoming)
            for _ in range(3):
                assert (await ours.depth()).ready == 1

            async with taking(ours, "com.kit.nobody") as incoming:
                assert (await soon(anext(incoming))).message.event.id == "one"

    asyncio.run(go())


def test_two_runtimes_share_the_work() -> None:
    """Each message is one's; both have some."""
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
            await two.drain(timeout=PATIENCE_SECONDS)
        assert sorted(by["one"] + by["two"]) == sorted(event.id for event in events)
        assert all(by.values())

    asyncio.run(go())


def test_a_url_says_what_the_constructor_would() -> None:
    """And what it says is checked; a secret in it is not printed."""
    url = "nats://a:1,nats://u:secret@b:2?prefix=shop&replicas=3&storage=memory&ack_wait=5&bytes_max=9"
    made, kept = broker(url), memory(url)
    assert isinstance(made, NatsBroker)
    assert isinstance(kept, NatsMemory)
    assert (made.prefix, made.replicas, made.storage, made.ack_wait) == ("shop", 3, "memory", 5.0)
    assert (kept.prefix, kept.replicas, kept.storage, kept.bytes_max) == ("shop", 3, "memory", 9)
    assert made.servers == "nats://a:1,nats://u:secret@b:2"
    assert "secret" not in f"{made!r} {kept!r}"

    for wrong in ("prefix=a.b", "replicas=7", "replicas=x", "storage=tape", "ack_wait=0", "pre=a"):
        with pytest.raises(Violated, match=wrong.partition("=")[0]):
            broker(f"nats://a?{wrong}")
    for nowhere in ("nats://", "nats://u:secret@a:port", "nats://[::1", "nats://a,ws://b"):
        with pytest.raises(Violated, match="servers") as caught:
            memory(nowhere)
        assert "secret" not in str(caught.value)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    """Said without the password that the URL holds."""

    async def go() -> None:
        async with opened(servers="nats://root:secret@127.0.0.1:1") as ours:
            with pytest.raises(Unavailable) as caught:
                await ours.publish([EncodedMessage(SERVICE, event("one"))])
            assert "secret" not in str(caught.value)

    asyncio.run(go())


def test_one_broker_may_be_used_in_one_loop_after_another() -> None:
    """A `Client` in a script: each `asyncio.run` has a loop of its own."""
    ours = NatsBroker(nats_url(), prefix=prefix())

    async def go(key: str) -> int:
        await asyncio.gather(
            *(ours.publish([EncodedMessage(SERVICE, event(key))]) for _ in range(3))
        )
        total = (await ours.depth()).total
        await ours.close()
        return total

    assert [asyncio.run(go("one")), asyncio.run(go("two"))] == [3, 6]
