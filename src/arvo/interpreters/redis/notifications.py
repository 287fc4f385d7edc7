"""Notifications: wakes the consumers of this process when a message is published elsewhere."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, final

from attrs import define, field

from arvo.interpreters.delivery.tasks import supervise
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.redis.connection import Connection
from arvo.interpreters.redis.errors import translate_errors

# The pause before an unavailable server is tried again. Notifications that are missed meanwhile
# only cost time, because consumers also poll.
PAUSE_SECONDS: Final = 0.1
LISTEN_SECONDS: Final = 1.0


@final
@define(eq=False)
class Notifications:
    """One pub/sub subscription that wakes all consumers of this process.

    Not a blocking read by each consumer: an entry that the server hands to a read that was given up
    has no consumer, and such a read cannot end early for a message that becomes due.
    """

    connection: Connection
    channel: str
    # Called when the subscription fails for another reason than a lost connection.
    on_failure: set[Callable[[Exception], None]] = field(factory=set, init=False)
    _waiters: dict[str, set[asyncio.Event]] = field(factory=dict, init=False)
    _task: "asyncio.Task[None] | None" = field(default=None, init=False)

    def subscribe(self, queue: str, waiter: asyncio.Event) -> None:
        """Set *waiter* whenever a message may be ready in a queue."""
        self._waiters.setdefault(queue, set()).add(waiter)
        if self._task is None or self._task.done():
            name = f"arvo notifications {self.channel}"
            self._task = supervise(self._listen(), name=name, on_failure=self._fail)

    def unsubscribe(self, queue: str, waiter: asyncio.Event) -> None:
        """Set *waiter* no more."""
        waiters = self._waiters.get(queue, set())
        waiters.discard(waiter)
        if not waiters:
            self._waiters.pop(queue, None)

    async def close(self) -> None:
        """End the subscription."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            with suppress(Unavailable):
                await self._listen_once()
            await asyncio.sleep(PAUSE_SECONDS)

    async def _listen_once(self) -> None:
        with translate_errors():
            async with self.connection.redis.pubsub() as pubsub:
                await pubsub.subscribe(self.channel)
                # Messages may have been published before the subscription.
                self._wake(None)
                while True:
                    message = await pubsub.get_message(True, LISTEN_SECONDS)  # noqa: FBT003 - not the subscription itself
                    if message is not None:
                        self._wake(message["data"].decode(errors="replace"))

    def _fail(self, error: Exception) -> None:
        for callback in tuple(self.on_failure):
            callback(error)

    def _wake(self, queue: str | None) -> None:
        for name, waiters in self._waiters.items():
            if queue in (None, name):
                for waiter in waiters:
                    waiter.set()
