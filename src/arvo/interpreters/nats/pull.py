"""Pull: asks one consumer for messages, as many at a time as are taken quickly."""

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

from arvo.interpreters.nats.connection import Link, status_of
from arvo.interpreters.nats.streams import NANOSECONDS
from arvo.interpreters.ports.backend import Unavailable

logger: Final = logging.getLogger("arvo")

# Messages that are asked for at once: what is here and not taken yet, no other process can have.
WINDOW_MAX: Final = 64
# Whoever has taken all of a request so soon is asked for twice as many, anybody else for one.
QUICK_SECONDS: Final = 0.25
# How long a request stands; one for many not for long, as they would all come here.
STANDING_SECONDS: Final = 30.0
STANDING_MANY_SECONDS: Final = 1.0
# How often the server says that a request stands, and when it was lost if the server does not: it
# went to a leader that was one no more.
HEARTBEAT_SECONDS: Final = 1.0
LOST_SECONDS: Final = 2.5


@final
@define(eq=False)
class Pull:
    """One process' requests to one consumer, one at a time; *came* is called with what comes."""

    link: Link
    stream: str
    consumer: str
    came: Callable[["Pull", Msg], None]
    # How long the server waits for a sign of life, in seconds.
    wait: float
    _subscription: Subscription | None = field(default=None, init=False)
    _window: int = field(default=1, init=False)
    _asked: int = field(default=0, init=False)
    _asked_at: float = field(default=0.0, init=False)
    _ends_at: float = field(default=0.0, init=False)
    _gone: str | None = field(default=None, init=False)

    async def begin(self) -> None:
        """Make the inbox that messages come to."""
        self._subscription = await self.link.subscribe(self._heard)

    async def more(self) -> None:
        """Ask for more, unless a request stands."""
        if self._gone is not None:
            self.link.made.clear()
            raise Unavailable(f"nats: {self._gone}")
        now = asyncio.get_running_loop().time()
        if self._asked and now < self._ends_at:
            return
        quick = not self._asked and now - self._asked_at < QUICK_SECONDS
        self._window = min(2 * self._window, WINDOW_MAX) if quick else 1
        standing = STANDING_SECONDS if self._window == 1 else STANDING_MANY_SECONDS
        self._asked, self._asked_at = self._window, now
        self._ends_at = now + LOST_SECONDS
        request = {"batch": self._window, "expires": round(standing * NANOSECONDS)}
        if self._window == 1:
            request["idle_heartbeat"] = round(HEARTBEAT_SECONDS * NANOSECONDS)
        assert self._subscription is not None
        await self.link.tell(
            f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{self.consumer}",
            orjson.dumps(request),
            self._subscription.subject,
        )

    @property
    def ends_at(self) -> float:
        """When to ask again at the latest."""
        return self._ends_at

    async def end(self) -> None:
        """Ask for nothing more; what is on its way still comes, before this returns."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with suppress(nats.errors.Error, OSError, asyncio.TimeoutError):
                await subscription.drain()  # type: ignore[no-untyped-call]

    async def _heard(self, message: Msg) -> None:
        status = status_of(message)
        if status is None:
            self._asked = max(0, self._asked - 1)
            self.came(self, message)
            return
        if status == "100":
            self._ends_at = asyncio.get_running_loop().time() + LOST_SECONDS
            return
        # The request has ended: its time was over (408), or the consumer is no more.
        self._asked = 0
        said = (message.headers or {}).get("Description", "")
        if status == "503" or "Deleted" in said:
            self._gone = f"consumer {self.consumer} is gone"
        elif status not in ("404", "408"):
            logger.debug("nats: consumer %s says %s %s", self.consumer, status, said)
        self.came(self, message)
