"""Pull: requests messages from one consumer, as many at a time as the workers process quickly."""

import asyncio
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, final

import nats.errors
import orjson
from attrs import define, field
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from arvo.interpreters.delivery.log import fields, get_logger
from arvo.interpreters.nats.connection.connection import Connection, status_of
from arvo.interpreters.nats.connection.wire import (
    EXPECT_NONE,
    EXPECTED_LAST,
    attempt_of,
    has_key,
    notice_subject,
)
from arvo.interpreters.nats.streams import NANOSECONDS, Consumer
from arvo.interpreters.ports.errors import Unavailable

logger: Final = get_logger("nats")

ACK: Final = b"+ACK"
NAK: Final = b"-NAK"
TERM: Final = b"+TERM"
IN_PROGRESS: Final = b"+WPI"

# Messages in one request. No other process can have those that are here and not yet taken.
WINDOW_MAX: Final = 64
# When a request is used up so soon, the next one is for twice as many; otherwise it is for one.
QUICK_SECONDS: Final = 0.25
# How long a request waits at the server. One for many messages is short, because all new messages
# would come to this process.
WAIT_SECONDS: Final = 30.0
WAIT_MANY_SECONDS: Final = 1.0
# How long a process polls for the end of an earlier message before it listens for a notice of it.
POLLING_SECONDS: Final = 0.05
# The server counts its wait for an ack from when it sent a message, which this process, if it is
# busy, reads later: so much of that wait counts as its own until it has renewed it.
OWNED_SHARE: Final = 0.9
# How often the server confirms a waiting request, and after how long without that the request
# counts as lost: it went to a leader that had been replaced.
HEARTBEAT_SECONDS: Final = 1.0
LOST_SECONDS: Final = 2.5


@final
@define(eq=False)
class PulledMessage:
    """A message that the server has delivered to this process, which owns it *until* then.

    *on_settled* is called when this process has settled it. *alone_at*: when no other message of
    its key was stored. Times are by the clock of the event loop.
    """

    queue: str
    consumer: Consumer
    subject: str
    headers: Mapping[str, str]
    body: bytes
    reply: str
    sequence: int
    deliveries: int
    arrived_at: float
    until: float
    on_settled: Callable[["PulledMessage"], None]
    alone_at: float = -math.inf
    is_settled: bool = False

    @property
    def attempt(self) -> int:
        """The number of this delivery, counted as workers see it."""
        return attempt_of(self.headers, self.deliveries)

    @property
    def is_owned(self) -> bool:
        """True while no other process can have it."""
        return not self.is_settled and asyncio.get_running_loop().time() < self.until

    async def settle(self, connection: Connection, reply: bytes) -> None:
        """Settle it, and wait until the server has confirmed that."""
        await connection.request(self.reply, reply)
        await self._finish(connection, is_deleted=not reply.startswith(NAK))

    async def nack(self, connection: Connection, delay: float) -> None:
        """Have the server redeliver it after *delay* seconds."""
        wait = orjson.dumps({"delay": round(delay * NANOSECONDS)}) if delay > 0 else b""
        await self.settle(connection, NAK + b" " + wait)

    async def ack(self, connection: Connection) -> None:
        """Ack it, without a confirmation: a lost ack only causes a second delivery."""
        await connection.publish(self.reply, ACK)
        await self._finish(connection, is_deleted=True)

    async def renew(self, connection: Connection) -> None:
        """Have the server wait for the ack once more as long; confirmed, as a lost one changes
        nothing there.

        What was lost before the confirmation came stays lost: its worker has forgotten it.
        """
        now = asyncio.get_running_loop().time()
        await connection.request(self.reply, IN_PROGRESS)
        if self.is_owned:
            self.until = now + self.consumer.ack_wait

    async def _finish(self, connection: Connection, *, is_deleted: bool) -> None:
        self.is_settled = True
        self.on_settled(self)
        if is_deleted and self._needs_notice():
            # Processes with messages of the same key may wait for it. They also poll.
            with suppress(Unavailable):
                await connection.publish(notice_subject(self.subject), b"")

    def _needs_notice(self) -> bool:
        """Return whether another process may listen for the end of this message.

        One that holds back a later message of the key polls at first, in short pauses.
        """
        seconds = asyncio.get_running_loop().time() - self.alone_at
        return has_key(self.subject) and seconds > POLLING_SECONDS


@final
@define(eq=False)
class Pull:
    """The requests of this process to one consumer, one at a time.

    *on_message* is called with each message, and with None at each end of a request.
    """

    queue: str

    connection: Connection
    consumer: Consumer
    on_message: Callable[[PulledMessage | None], None]
    on_settled: Callable[[PulledMessage], None]
    _subscription: Subscription | None = field(default=None, init=False)
    _window: int = field(default=1, init=False)
    _requested: int = field(default=0, init=False)
    _requested_at: float = field(default=0.0, init=False)
    _deadline: float = field(default=0.0, init=False)
    _failure: str | None = field(default=None, init=False)

    async def open(self) -> None:
        """Create the inbox for messages."""
        self._subscription = await self.connection.subscribe(self._on_message)

    async def request_more(self) -> None:
        """Request messages, unless a request is waiting."""
        if self._failure is not None:
            self.connection.declared.clear()
            raise Unavailable(f"nats: {self._failure}")
        now = asyncio.get_running_loop().time()
        if self._requested and now < self._deadline:
            return
        is_quick = not self._requested and now - self._requested_at < QUICK_SECONDS
        self._window = min(2 * self._window, WINDOW_MAX) if is_quick else 1
        wait_seconds = WAIT_SECONDS if self._window == 1 else WAIT_MANY_SECONDS
        self._requested, self._requested_at = self._window, now
        self._deadline = now + LOST_SECONDS
        request = {"batch": self._window, "expires": round(wait_seconds * NANOSECONDS)}
        if self._window == 1:
            request["idle_heartbeat"] = round(HEARTBEAT_SECONDS * NANOSECONDS)
        assert self._subscription is not None
        await self.connection.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{self.consumer.stream}.{self.consumer.name}",
            orjson.dumps(request),
            self._subscription.subject,
        )

    @property
    def deadline(self) -> float:
        """The time, by the loop's clock, at which to request again at the latest."""
        return self._deadline

    async def close(self) -> None:
        """Request no more; messages on their way still arrive before this returns."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with suppress(nats.errors.Error, OSError, asyncio.TimeoutError):
                await subscription.drain()  # type: ignore[no-untyped-call]

    async def _on_message(self, message: Msg) -> None:
        status = status_of(message)
        if status is None:
            self._requested = max(0, self._requested - 1)
            self.on_message(self._pulled(message))
            return
        if status == "100":
            self._deadline = asyncio.get_running_loop().time() + LOST_SECONDS
            return
        # The request has ended: its time is over (408), or the consumer was deleted.
        self._requested = 0
        text = (message.headers or {}).get("Description", "")
        if status == "503" or "Deleted" in text:
            self._failure = f"consumer {self.consumer.name} is gone"
        elif status not in ("404", "408"):
            extra = fields(consumer=self.consumer.name, status=status, reason=text)
            logger.debug("a consumer replied with an error", extra=extra)
        self.on_message(None)

    def _pulled(self, message: Msg) -> PulledMessage:
        now, metadata = asyncio.get_running_loop().time(), message.metadata
        headers = message.headers or {}
        # The server delivers those of a key in order, so a later one came after it to any process.
        is_first = headers.get(EXPECTED_LAST) == EXPECT_NONE and metadata.num_delivered == 1
        return PulledMessage(
            queue=self.queue,
            consumer=self.consumer,
            subject=message.subject,
            headers=headers,
            body=message.data,
            reply=message.reply,
            sequence=metadata.sequence.stream,
            deliveries=metadata.num_delivered,
            arrived_at=now,
            until=now + OWNED_SHARE * self.consumer.ack_wait,
            on_settled=self.on_settled,
            alone_at=now if is_first else -math.inf,
        )
