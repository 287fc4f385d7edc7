"""Queue: the messages of one address that came from Kafka: ready, in hand, or waiting."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final, final

from attrs import define, evolve, field, frozen
from confluent_kafka import Message as Record

from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.delivery.headers import Unreadable, unpacked
from arvo.interpreters.kafka.consumer import Reader
from arvo.interpreters.kafka.partition import Part
from arvo.interpreters.ports.broker import EncodedDelivery

logger: Final = logging.getLogger("arvo")

# The header that says until when a message of a topic for what comes later waits.
UNTIL: Final = "arvo-until"
# What waits is not settled, and nothing that came after it is committed: so after this it is
# written again, at the end of its topic.
WAIT_SECONDS_MAX: Final = 600.0
# Writing again and putting aside is tried until it succeeds.
PAUSE_SECONDS: Final = 0.5


@final
@frozen(eq=False)
class Token:
    """One handing out of a message."""

    queue: "Queue"
    part: Part
    offset: int
    taker: object = None


@final
@define(eq=False)
class Queue:
    """What a reader has brought of one address, shared by the iterations of this process.

    *put_off* writes a message anew, to be handed out at a time; *put_aside* writes what is none to
    the topic of the dead.
    """

    address: str
    reader: Reader
    put_off: Callable[[EncodedDelivery, datetime], Awaitable[None]]
    put_aside: Callable[[Record, str], Awaitable[None]]
    takers: int = field(default=0, init=False)
    _ready: deque[EncodedDelivery] = field(factory=deque, init=False)
    _hand: dict[Token, EncodedDelivery] = field(factory=dict, init=False)
    _waiting: dict[Token, asyncio.TimerHandle] = field(factory=dict, init=False)
    _works: set["asyncio.Task[None]"] = field(factory=set, init=False)

    def next(self, taker: object) -> EncodedDelivery | None:
        """Hand out the next message, if there is one; raises what has ended the reader."""
        if self.reader.error is not None:
            raise self.reader.error
        while self.reader.came:
            self._sort(*self.reader.came.popleft())
        while self._ready:
            delivery = self._ready.popleft()
            if not delivery.token.part.is_leaving:
                # A token of its own each time: who had it before settles nothing.
                token = evolve(delivery.token, taker=taker)
                token.part.hands += 1
                self._hand[token] = delivery = evolve(delivery, token=token)
                return delivery
        return None

    def is_ours(self, delivery: EncodedDelivery) -> bool:
        """Tell whether a message is still in the hand that it was given to."""
        return delivery.token in self._hand and not delivery.token.part.is_gone

    def ack(self, delivery: EncodedDelivery) -> None:
        """Forget a message."""
        self._let_go(delivery.token)
        delivery.token.part.finish(delivery.token.offset)

    def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        """Hand a message out again, after a delay that is short enough to be waited for here."""
        self._let_go(delivery.token)
        self._wait(evolve(delivery, attempt=delivery.attempt + 1), delay)

    def give_back(self, taker: object) -> None:
        """Make ready again what was handed out and not settled, first of all."""
        for delivery in list(reversed(self._hand.values())):
            if delivery.token.taker is taker:
                self._let_go(delivery.token)
                self._ready.appendleft(delivery)
        self.reader.news.set()

    def _let_go(self, token: Token) -> None:
        del self._hand[token]
        token.part.hands -= 1

    async def stop(self) -> None:
        """Leave all of it to others."""
        for timer in self._waiting.values():
            timer.cancel()
        self._waiting.clear()
        for work in self._works:
            work.cancel()
        await asyncio.gather(*self._works, return_exceptions=True)
        await self.reader.stop()

    def _sort(self, part: Part, record: Record) -> None:
        """Say of what came whether it is ready, waits, or is no message."""
        offset = record.offset() or 0
        token = Token(self, part, offset)
        try:
            headers = {
                name: value.decode()
                for name, value in headers_of(record).items()
                if name.startswith("arvo-")
            }
            delivery = unpacked(self.address, record.value() or b"", headers, token)
            until = _time(headers.get(UNTIL))
        except ValueError as error:
            reason = str(error) if isinstance(error, Unreadable) else f"headers: {error}"
            place = f"{part.topic} {part.number} {offset}"
            logger.error("kafka: %s is put aside: %s", place, reason)  # noqa: TRY400 - what came is at fault
            self._surely(part, offset, lambda: self.put_aside(record, reason))
            return
        if until is None:
            self._ready.append(delivery)
        else:
            self._wait_until(delivery, until)

    def _wait_until(self, delivery: EncodedDelivery, until: datetime) -> None:
        seconds = (until - utc_now()).total_seconds()
        if seconds <= 0:
            self._ready.append(delivery)
        elif seconds <= WAIT_SECONDS_MAX:
            self._wait(delivery, seconds)
        else:
            self._wait(delivery, WAIT_SECONDS_MAX, until)

    def _wait(
        self, delivery: EncodedDelivery, seconds: float, until: datetime | None = None
    ) -> None:
        def over() -> None:
            token: Token = delivery.token
            del self._waiting[token]
            if until is None:
                self._ready.append(delivery)
                self.reader.news.set()
            else:
                self._surely(token.part, token.offset, lambda: self.put_off(delivery, until))

        loop = asyncio.get_running_loop()
        self._waiting[delivery.token] = loop.call_later(seconds, over)

    def _surely(self, part: Part, offset: int, write: Callable[[], Awaitable[None]]) -> None:
        """Write a message elsewhere until that succeeds, then forget it here."""

        async def work() -> None:
            while not part.is_leaving:
                try:
                    await write()
                except Exception as error:  # noqa: BLE001 - whatever it is, the message must not be lost
                    logger.warning("kafka: %s, trying again: %s", part.topic, error)
                    await asyncio.sleep(PAUSE_SECONDS)
                else:
                    part.finish(offset)
                    return

        task = asyncio.get_running_loop().create_task(work(), name="arvo kafka write")
        self._works.add(task)
        task.add_done_callback(self._works.discard)


def headers_of(record: Record) -> dict[str, bytes]:
    """Give the headers of a message of Kafka; of those with one name, the last."""
    found: dict[str, Any] = dict(record.headers() or ())
    return {name: value or b"" for name, value in found.items()}


def _time(milliseconds: str | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
