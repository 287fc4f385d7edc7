"""Pull: requests messages from one consumer, as many at a time as the workers process quickly."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final, final

import nats.errors
import orjson
from attrs import define, field
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from arvo.interpreters.nats.connection import Connection, status_of
from arvo.interpreters.nats.streams import NANOSECONDS
from arvo.interpreters.ports.errors import Unavailable

logger: Final = logging.getLogger("arvo")

# Messages in one request. No other process can have those that are here and not yet taken.
WINDOW_MAX: Final = 64
# When a request is used up so soon, the next one is for twice as many; otherwise it is for one.
QUICK_SECONDS: Final = 0.25
# How long a request waits at the server. One for many messages is short, because all new messages
# would come to this process.
WAIT_SECONDS: Final = 30.0
WAIT_MANY_SECONDS: Final = 1.0
# How often the server confirms a waiting request, and after how long without that the request
# counts as lost: it went to a leader that had been replaced.
HEARTBEAT_SECONDS: Final = 1.0
LOST_SECONDS: Final = 2.5


@final
@define(eq=False)
class Pull:
    """The requests of this process to one consumer, one at a time.

    *on_message* is called with each message and each end of a request.
    """

    connection: Connection
    stream: str
    consumer: str
    on_message: Callable[["Pull", Msg], None]
    # The seconds that the server waits for an ack or a heartbeat of a message.
    ack_wait: float
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
            f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{self.consumer}",
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
            self.on_message(self, message)
            return
        if status == "100":
            self._deadline = asyncio.get_running_loop().time() + LOST_SECONDS
            return
        # The request has ended: its time is over (408), or the consumer was deleted.
        self._requested = 0
        text = (message.headers or {}).get("Description", "")
        if status == "503" or "Deleted" in text:
            self._failure = f"consumer {self.consumer} is gone"
        elif status not in ("404", "408"):
            logger.debug("nats: consumer %s replied %s %s", self.consumer, status, text)
        self.on_message(self, message)
