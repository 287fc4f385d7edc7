"""News: tells who waits in this process that something was published in another."""

import asyncio
from contextlib import suppress
from typing import Final, final

from attrs import define, field

from arvo.interpreters.ports.backend import Unavailable
from arvo.interpreters.redis.client import Client, reached

# How long a server that is gone is left alone. News that are missed meanwhile only cost time: who
# waits looks by itself now and then.
PAUSE_SECONDS: Final = 0.1
LISTEN_SECONDS: Final = 1.0


@final
@define(eq=False)
class News:
    """One connection that listens for all who wait here.

    Not a blocking read for each of them: what a server has handed to a read that was given up is in
    nobody's hands, and a wait for what is due later could not be cut short.
    """

    client: Client
    channel: str
    _waiters: dict[str, set[asyncio.Event]] = field(factory=dict, init=False)
    _task: "asyncio.Task[None] | None" = field(default=None, init=False)

    def listen(self, address: str, waiter: asyncio.Event) -> None:
        """Set *waiter* whenever something comes for an address."""
        self._waiters.setdefault(address, set()).add(waiter)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._listen(), name=f"arvo news {self.channel}")

    def leave(self, address: str, waiter: asyncio.Event) -> None:
        """Let go of a waiter."""
        waiting = self._waiters.get(address, set())
        waiting.discard(waiter)
        if not waiting:
            self._waiters.pop(address, None)

    async def close(self) -> None:
        """Stop listening."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            with suppress(Unavailable):
                await self._connected()
            await asyncio.sleep(PAUSE_SECONDS)

    async def _connected(self) -> None:
        async with reached(None), self.client.redis.pubsub() as heard:
            await heard.subscribe(self.channel)
            # What came before we listened was not heard.
            self._wake(None)
            while True:
                said = await heard.get_message(True, LISTEN_SECONDS)  # noqa: FBT003 - its first
                if said is not None:
                    self._wake(said["data"].decode(errors="replace"))

    def _wake(self, address: str | None) -> None:
        for name, waiting in self._waiters.items():
            if address in (None, name):
                for waiter in waiting:
                    waiter.set()
