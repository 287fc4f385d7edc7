"""Key gate: holds messages back until they are the first of their key in the stream."""

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, final

import nats.errors
from attrs import define, field
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from arvo.interpreters.delivery.log import fields, get_logger
from arvo.interpreters.delivery.tasks import supervise
from arvo.interpreters.nats.connection.wire import notice_subject, stored_body, stored_headers
from arvo.interpreters.nats.pull import POLLING_SECONDS, PulledMessage
from arvo.interpreters.nats.streams import Consumer, Streams
from arvo.interpreters.ports.errors import Unavailable

logger: Final = get_logger("nats")

# Requests for the first message of a key that wait for their replies at the same time.
REQUESTS_MAX: Final = 16
# The pauses between two requests for one key: they double, and after a notice that a message of the
# key was settled they begin anew. With many keys they are longer, so that a process makes no more
# than a thousand requests a second.
PAUSE_SECONDS_MIN: Final = 0.002
PAUSE_SECONDS_MAX: Final = 1.0
PAUSE_SECONDS_PER_KEY: Final = 0.001
# The pause between two requests for the ack floor.
FLOOR_SECONDS: Final = 1.0


@final
@define(eq=False)
class _Queue:
    """The messages of one key that wait, by their sequence, and what wakes their task.

    *first*: the sequence of the first message of the key that is stored, as it was last read.
    """

    subject: str
    messages: list[PulledMessage] = field(factory=list)
    first: int = 0
    wakeup: asyncio.Event = field(factory=asyncio.Event)

    def add(self, pulled: PulledMessage) -> None:
        """Add a message, or replace an older delivery of it."""
        position = self._position(pulled.sequence)
        is_held = self.messages[position : position + 1]
        end = position + (bool(is_held) and is_held[0].sequence == pulled.sequence)
        self.messages[position:end] = [pulled]

    def drop_before(self, sequence: int) -> None:
        """Drop the messages with lower sequences."""
        del self.messages[: self._position(sequence)]

    def _position(self, sequence: int) -> int:
        return bisect_left(self.messages, sequence, key=lambda pulled: pulled.sequence)


@final
@define(eq=False)
class KeyGate:
    """Holds back the messages of one consumer.

    A message is the first of its key when no older one is stored: a work queue stores each until it
    is settled, whichever process has it, and also while it is delayed or its process is dead. A
    message that waits here has no body; it is read when its turn has come.

    *on_turn* is called with each message that is the first. *has_room*: whether the caller wants
    another one. *on_failure* is called with an error that waiting cannot mend.
    """

    streams: Streams
    consumer: Consumer
    on_turn: Callable[[PulledMessage], None]
    has_room: Callable[[], bool]
    on_failure: Callable[[Exception], None]
    # By the subject of their notices, the keys of which messages wait.
    _queues: dict[str, _Queue] = field(factory=dict, init=False)
    _tasks: "set[asyncio.Task[None]]" = field(factory=set, init=False)
    _requests: asyncio.Semaphore = field(
        factory=lambda: asyncio.Semaphore(REQUESTS_MAX), init=False
    )
    _notices: Subscription | None = field(default=None, init=False)
    _subscribing: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    _ack_floor: int = field(default=0, init=False)
    _ack_floor_at: float = field(default=0.0, init=False)

    @property
    def waiting(self) -> Iterator[PulledMessage]:
        """The messages that wait."""
        for queue in self._queues.values():
            yield from queue.messages

    def hold(self, pulled: PulledMessage) -> None:
        """Hold a message back until its turn has come."""
        notice = notice_subject(pulled.subject)
        queue = self._queues.get(notice)
        if queue is None:
            queue = self._queues[notice] = _Queue(pulled.subject)
            work = self._admit_all(notice, queue)
            task = supervise(work, name="arvo nats key gate", on_failure=self.on_failure)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        pulled.body = b""
        queue.add(pulled)
        queue.wakeup.set()

    def notify(self, notice: str) -> None:
        """Look again, because a message was settled. *notice*: the subject of its notice."""
        if (queue := self._queues.get(notice)) is not None:
            queue.wakeup.set()

    async def close(self) -> list[PulledMessage]:
        """Stop, and return the messages that wait."""
        messages, tasks = list(self.waiting), list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._queues.clear()
        await self._unsubscribe()
        return messages

    async def _admit_all(self, notice: str, queue: _Queue) -> None:
        """Pass the messages of a key on, one at a time and in order, until none waits."""
        pause = PAUSE_SECONDS_MIN
        while True:
            queue.wakeup.clear()
            with suppress(Unavailable):
                if pause >= POLLING_SECONDS:
                    await self._prepare_long_pause(queue)
                if self.has_room() and await self._admit_first(queue):
                    # The next one has its turn when this process has settled it, or has lost it.
                    pause = PAUSE_SECONDS_MAX
            if not queue.messages:
                break
            with suppress(TimeoutError):
                async with asyncio.timeout(max(pause, len(self._queues) * PAUSE_SECONDS_PER_KEY)):
                    await queue.wakeup.wait()
            woken = queue.wakeup.is_set()
            pause = PAUSE_SECONDS_MIN if woken else min(2 * pause, PAUSE_SECONDS_MAX)
        del self._queues[notice]
        if not self._queues:
            await self._unsubscribe()

    async def _admit_first(self, queue: _Queue) -> bool:
        """Pass on the oldest message that waits, if it is the first that is stored."""
        newest = queue.messages[-1].sequence
        async with self._requests:
            first = await self.streams.first_of(queue.subject)
        queue.first = newest + 1 if first is None else first["seq"]
        # What is older is not stored any more: another process has settled it.
        queue.drop_before(queue.first)
        if first is None or not queue.messages or queue.messages[0].sequence != queue.first:
            return False
        pulled = queue.messages.pop(0)
        pulled.headers, pulled.body = stored_headers(first), stored_body(first)
        self.on_turn(pulled)
        return True

    async def _prepare_long_pause(self, queue: _Queue) -> None:
        """Subscribe to notices, and delete the first message if it is settled: before each pause of
        `POLLING_SECONDS` or more.

        A server that is killed may remember an ack and forget the deletion that followed from it.
        Such a message is never delivered, and would hold back its key for ever.
        """
        async with self._subscribing:
            if self._notices is None:
                pattern = notice_subject(self.consumer.subject)
                self._notices = await self.streams.connection.subscribe(self._on_notice, pattern)
        now = asyncio.get_running_loop().time()
        if now >= self._ack_floor_at + FLOOR_SECONDS:
            self._ack_floor_at = now
            self._ack_floor = await self.streams.ack_floor(self.consumer.name)
        is_settled = queue.first <= self._ack_floor and queue.messages
        if is_settled and queue.first < queue.messages[0].sequence:
            if await self.streams.delete(queue.first):
                extra = fields(queue=queue.subject, sequence=queue.first)
                logger.info("a settled message was deleted", extra=extra)
            # The next one may be settled, too.
            queue.wakeup.set()

    async def _unsubscribe(self) -> None:
        notices, self._notices = self._notices, None
        if notices is not None:
            with suppress(nats.errors.Error, OSError):
                await notices.unsubscribe()

    async def _on_notice(self, message: Msg) -> None:
        self.notify(message.subject)
