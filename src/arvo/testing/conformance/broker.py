"""Broker: everything that a broker must do, in one class to subclass."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from arvo.interpreters.ports.broker import Broker, EncodedDelivery, EncodedMessage
from arvo.testing.conformance.kit import Kit, conforms
from arvo.testing.conformance.samples import SERVICE, WORKFLOW, event
from arvo.testing.conformance.values import LARGE_EVENT_BYTES, ODD

MANY = 100


def message(key: str, address: str = SERVICE, **attributes: Any) -> EncodedMessage:
    """Make a message; the same arguments make the same one."""
    return EncodedMessage(address, event(key, **attributes))


class BrokerConformance(Kit):
    """Proves that a `Broker` delivers at least once: subclass it, and say how to open yours.

    pytest collects it, once its name begins with `Test`. `broker` opens one at `self.place`, a
    directory for each test; override `close` where there is something to close. Say `survives =
    True` where two that are opened at one place share what they hold.
    """

    async def broker(self) -> Broker:
        """Open a broker at `self.place`: the same place is the same broker."""
        raise NotImplementedError

    async def close(self, broker: Broker) -> None:
        """Let go of a broker."""

    async def opened(self) -> Any:
        """Open a broker for a test."""
        return await self.broker()

    async def closed(self, subject: Any) -> None:
        """Let go of it."""
        await self.close(subject)

    @conforms
    async def test_what_was_published_is_handed_out(self, broker: Broker) -> None:
        """As it was, for the first time, in the order it came."""
        sent = [message("one"), message("two"), message("three")]
        await broker.publish(sent)

        async with self._taking(broker) as taking:
            found = [await self._next(taking) for _ in sent]

            assert [each.message for each in found] == sent
            assert [each.attempt for each in found] == [1, 1, 1]

    @conforms
    async def test_queues_are_apart(self, broker: Broker) -> None:
        """Whoever asks for some is handed no others."""
        await broker.publish([message("w", WORKFLOW), message("s", SERVICE)])

        async with self._taking(broker, SERVICE) as taking:
            assert (await self._next(taking)).message == message("s", SERVICE)
            await self.never(self._next(taking), "a message of another queue")

    @conforms
    async def test_what_comes_later_is_handed_out_too(self, broker: Broker) -> None:
        """Whoever waits is woken."""
        async with self._taking(broker) as taking:
            waiting = asyncio.ensure_future(self._next(taking))
            await asyncio.sleep(self.quiet_period)

            await broker.publish([message("late")])

            assert (await waiting).message == message("late")

    @conforms
    async def test_what_is_done_does_not_come_again(self, broker: Broker) -> None:
        """Neither does what is dead."""
        await broker.publish([message("one"), message("two")])
        async with self._taking(broker) as taking:
            await broker.ack(await self._next(taking))
            await broker.dead_letter(await self._next(taking), "nobody could take it")

        async with self._taking(broker) as taking:
            await self.never(self._next(taking), "what was settled")

    @conforms
    async def test_what_is_left_comes_again(self, broker: Broker) -> None:
        """Whoever ends without settling has not carried it through."""
        await broker.publish([message("one")])
        async with self._taking(broker) as taking:
            await self._next(taking)

        async with self._taking(broker) as taking:
            found = await self._next(taking)

            assert found.message == message("one")

    @conforms
    async def test_what_is_put_off_comes_again_later(self, broker: Broker) -> None:
        """Not before its time, and counted."""
        await broker.publish([message("one")])
        loop = asyncio.get_running_loop()
        async with self._taking(broker) as taking:
            first = await self._next(taking)
            began = loop.time()
            await broker.nack(first, 0.2)
            second = await self._next(taking)

            assert second.message == message("one")
            assert second.attempt == 2
            assert loop.time() - began >= 0.19

    @conforms
    async def test_who_lost_a_message_settles_nothing(self, broker: Broker) -> None:
        """It is another's by now."""
        await broker.publish([message("one")])
        async with self._taking(broker) as taking:
            stale = await self._next(taking)
        async with self._taking(broker) as taking:
            mine = await self._next(taking)
            await broker.ack(stale)
            await broker.nack(stale, 0.0)
            await self.never(self._next(taking), "a message that is in hand")
        async with self._taking(broker) as taking:
            assert (await self._next(taking)).message == mine.message

    @conforms
    async def test_of_two_who_take_each_has_its_own(self, broker: Broker) -> None:
        """A message that was handed out belongs to one."""
        await broker.publish([message(f"m{number}") for number in range(MANY)])
        taken: list[str] = []
        all_taken = asyncio.Event()

        async def taker() -> None:
            async with self._taking(broker) as taking:
                async for delivery in taking:
                    taken.append(delivery.message.event.id)
                    if len(taken) >= MANY:
                        all_taken.set()
                    await broker.ack(delivery)
                    await asyncio.sleep(0)

        takers = [asyncio.ensure_future(taker()) for _ in range(2)]
        await self.soon(all_taken.wait(), "all of them")
        for task in takers:
            task.cancel()
        await asyncio.gather(*takers, return_exceptions=True)

        assert sorted(taken) == sorted(f"m{number}" for number in range(MANY))

    @conforms
    async def test_odd_and_large_messages_come_back_as_they_were(self, broker: Broker) -> None:
        """Key, event and address."""
        odd = EncodedMessage("com.kit.odd", event("漢字 ' 🧵", data=ODD), key="'; drop -- 🧵")
        large = message("large", "com.kit.odd", data={"text": "x" * LARGE_EVENT_BYTES})
        await broker.publish([odd, large])

        async with self._taking(broker, "com.kit.odd") as taking:
            found = [(await self._next(taking)).message for _ in range(2)]

            assert found == [odd, large]
            assert found[0].event.to_dict() == odd.event.to_dict()

    @conforms
    async def test_what_was_published_outlives_the_publisher(self, broker: Broker) -> None:
        """For a broker that survives."""
        if not self.is_durable:
            return
        await broker.publish([message("one")])
        await self.close(broker)

        async with self.using() as after, self._taking(after) as taking:
            assert (await self._next(taking)).message == message("one")

    def _taking(self, broker: Broker, address: str = SERVICE) -> Any:
        return aclosing(broker.deliveries([address]))

    async def _next(self, taking: AsyncIterator[EncodedDelivery]) -> EncodedDelivery:
        return await self.soon(anext(taking), "a message")
