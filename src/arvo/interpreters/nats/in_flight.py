"""Hand: what one iteration has taken and not settled, and keeps alive."""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, TypeAlias, final

from attrs import define, field
from nats.aio.msg import Msg

from arvo.core.violations.violation import Violated
from arvo.interpreters.nats.connection import Link, status_of
from arvo.interpreters.nats.pull import Pull
from arvo.interpreters.nats.streams import Streams
from arvo.interpreters.nats.wire import message_of
from arvo.interpreters.ports.backend import Unavailable
from arvo.interpreters.ports.broker import EncodedDelivery

logger: Final = logging.getLogger("arvo")

ACK: Final = b"+ACK"
# Signs of life in the time that the server waits for one.
BEATS: Final = 3


@final
@define(eq=False)
class Taken:
    """A message that the server has handed to us; it is ours until *until*, by the loop's clock."""

    address: str
    # Its stream and the consumer's name.
    consumer: tuple[str, str]
    headers: Mapping[str, str]
    body: bytes
    reply: str
    sequence: int
    wait: float
    came_at: float
    until: float
    settled: bool = False

    @property
    def is_mine(self) -> bool:
        """Tell whether nobody else can have it by now."""
        return not self.settled and asyncio.get_running_loop().time() < self.until

    async def settle(self, link: Link, how: bytes) -> None:
        """Tell the server what becomes of it, and wait until it knows."""
        await link.ask(self.reply, how)
        self.settled = True

    async def forget(self, link: Link) -> None:
        """Tell the server that it is done; were that lost, the message would come once more."""
        await link.tell(self.reply, ACK)
        self.settled = True


Bury: TypeAlias = Callable[[Taken, str], Awaitable[None]]


@final
@define(eq=False)
class Hand:
    """What was asked for by one iteration: *ready* to be handed out, or in somebody's hands."""

    link: Link
    streams: Streams
    bury: Bury
    ready: deque[tuple[Taken, int]] = field(factory=deque, init=False)
    _taken: dict[int, Taken] = field(factory=dict, init=False)
    _pulls: dict[Pull, str] = field(factory=dict, init=False)
    _news: asyncio.Event = field(factory=asyncio.Event, init=False)
    _is_lost: bool = field(default=False, init=False)
    _beating: "asyncio.Task[None] | None" = field(default=None, init=False)

    async def open(self, addresses: Sequence[str]) -> None:
        """Begin to ask for the messages of these addresses."""
        self.link.lost.add(self._lost)
        for address in addresses:
            for stream in (self.streams.queue, self.streams.timers):
                name = await self.streams.consumer(stream, address)
                pull = Pull(self.link, stream, name, self._came, self.streams.waits[name])
                self._pulls[pull] = address
                await pull.begin()
        if self._pulls:
            self._beating = asyncio.create_task(self._beat(), name="arvo nats signs of life")

    async def next(self) -> EncodedDelivery:
        """Give the next message; waits for one."""
        loop = asyncio.get_running_loop()
        while True:
            if self._is_lost:
                raise Unavailable("nats: the connection was lost")
            while self.ready:
                taken, attempt = self.ready.popleft()
                delivery = await self._read(taken, attempt)
                if delivery is not None:
                    return delivery
            self._news.clear()
            for pull in self._pulls:
                await pull.more()
            wait = min((pull.ends_at for pull in self._pulls), default=math.inf) - loop.time()
            with suppress(TimeoutError):
                async with asyncio.timeout(None if wait == math.inf else max(0.0, wait)):
                    await self._news.wait()

    async def close(self) -> None:
        """Give back what was not settled, in order; where the connection is lost, only let it be.

        Then the server hands it out again by itself, in time; until then who has it may settle it.
        """
        self.link.lost.discard(self._lost)
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        if not self._is_lost:
            await asyncio.gather(*(pull.end() for pull in self._pulls))
            left = [*self._taken.values(), *(taken for taken, _ in self.ready)]
            left = sorted((each for each in left if each.is_mine), key=lambda each: each.sequence)
            giving = [each.settle(self.link, b"-NAK") for each in left]
            outcomes = await asyncio.gather(*giving, return_exceptions=True)
            for each, outcome in zip(left, outcomes, strict=True):
                each.settled = True
                if isinstance(outcome, BaseException):
                    logger.debug("nats: %s was not given back: %s", each.sequence, outcome)
        self._taken.clear()
        self.ready.clear()

    def _came(self, pull: Pull, message: Msg) -> None:
        if status_of(message) is None:
            now, meta = asyncio.get_running_loop().time(), message.metadata
            taken = Taken(
                self._pulls[pull],
                (pull.stream, pull.consumer),
                message.headers or {},
                message.data,
                message.reply,
                meta.sequence.stream,
                pull.wait,
                now,
                now + pull.wait,
            )
            self.ready.append((taken, meta.num_delivered))
        self._news.set()

    async def _read(self, taken: Taken, attempt: int) -> EncodedDelivery | None:
        """Read what came; what is no event is buried, or it would come for ever."""
        if not taken.is_mine:
            # It lay here for so long that another has it.
            return None
        try:
            message = message_of(taken.address, taken.headers, taken.body)
        except (Violated, ValueError) as error:
            # Told in a line, without the stack: it is the sender who must act.
            reason = " ".join(f"this is no event: {error}".split())
            logger.warning("nats: message %s to %s: %s", taken.sequence, taken.address, reason)
            await self.bury(taken, reason)
            return None
        self._taken[id(taken)] = taken
        return EncodedDelivery(message, attempt, taken)

    async def _beat(self) -> None:
        """Give signs of life for what is in hand; give back what nobody here has taken so long."""
        beat = min(pull.wait for pull in self._pulls) / BEATS
        while True:
            await asyncio.sleep(beat)
            now = asyncio.get_running_loop().time()
            self._taken = {key: each for key, each in self._taken.items() if each.is_mine}
            with suppress(Unavailable):
                for each in list(self._taken.values()):
                    await self.link.tell(each.reply, b"+WPI")
                    each.until = now + each.wait
                while self.ready and self.ready[0][0].came_at < now - beat:
                    await self.ready.popleft()[0].settle(self.link, b"-NAK")

    def _lost(self) -> None:
        self._is_lost = True
        self._news.set()
