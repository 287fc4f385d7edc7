"""Feed: keeps the lanes of one process filled with deliveries out of a store that others share."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias, final

from attrs import define, field

from arvo.interpreters.delivery.queues import Lanes
from arvo.interpreters.ports.backend import (
    Corrupt,
    Delivery,
    Depth,
    Message,
    Unavailable,
    key_of,
    queue_of,
)

# How long it waits where another one was about to take the same.
CONTEST_SECONDS: Final = 0.005
# How long a stop waits for a question that is on its way to the server.
END_SECONDS: Final = 5.0


Claim: TypeAlias = Callable[
    [Mapping[str, int], Sequence[str]], Awaitable[tuple[Sequence[Delivery], bool]]
]


@final
@define(eq=False)
class Feed:
    """Hands out what *claim* has taken: it is given how many for each lane and the keys of which
    there are enough, and answers what is ours now, and whether others were in its way.

    *ahead*: how many are taken for each task that waits for one. *own_max*: how many this process
    keeps of what it sends itself, before it leaves more to others. *key_max*: how many of one key
    it takes before they are its turn: one that many wait for fills no memory.
    """

    claim: Claim
    ahead: int
    own_max: int
    key_max: float
    lanes: Lanes = field(factory=Lanes, init=False)
    served: set[str] = field(factory=set, init=False)
    # Lanes in which there may be deliveries that nobody has.
    _more: set[str] = field(factory=set, init=False)
    # Keys of which the last claims took none.
    _left: set[str] = field(factory=set, init=False)
    _feeding: "asyncio.Task[None] | None" = field(default=None, init=False)

    async def receive(self, queue: str) -> Delivery:
        """Hand out the next delivery of a lane whose key nobody works on."""
        if queue not in self.served:
            self.served.add(queue)
            self._more.add(queue)
        if queue in self._more:
            # Asked once whoever calls waits in the lane.
            asyncio.get_running_loop().call_soon(self.feed)
        return await self.lanes.receive(queue)

    def hand_out(self, deliveries: Iterable[Delivery]) -> None:
        """Let these, which are ours in the store, be received."""
        for delivery in deliveries:
            self.lanes.put(delivery)

    def settle(self, delivery: Delivery) -> None:
        """Take a delivery off. One that was handed out before a stop is not known any more."""
        if id(delivery) not in self.lanes.taken:
            return
        self.lanes.settle(delivery)
        key = key_of(delivery.message.to)
        if key in self._left and not self.lanes.parked(key):
            self._left.discard(key)
            self._more.add(queue_of(delivery.message.to))
            self.feed()

    def wants(self, messages: Sequence[Message]) -> bool:
        """Tell whether this process would have posts itself: it serves them, and has room."""
        if self.lanes.ready < self.own_max and all(
            queue_of(message.to) in self.served
            and self.lanes.parked(key_of(message.to)) < self.key_max
            for message in messages
        ):
            return True
        self._more.update(self.served)
        return False

    def news(self) -> None:
        """Look whether what others have sent is for us."""
        self._more.update(self.served)
        self.feed()

    def feed(self) -> None:
        """Take more, where somebody waits."""
        if self._feeding is None and self._wanted():
            self._feeding = asyncio.create_task(self._fill(), name="arvo feed")

    def _wanted(self) -> dict[str, int]:
        """Give the lanes that may have more for somebody who waits, and how many to ask for."""
        hungry = self.lanes.hungry()
        return {queue: many * self.ahead for queue, many in hungry.items() if queue in self._more}

    async def _fill(self) -> None:
        wanted: dict[str, int] = {}
        try:
            while wanted := self._wanted():
                # What is sent from now on is news, and not what this looks at.
                self._more -= wanted.keys()
                left = self.lanes.crowded(self.key_max)
                self._left.update(left)
                taken, is_contested = await self.claim(wanted, left)
                self.hand_out(taken)
                # Where some have come there may be more.
                self._more.update(queue_of(each.message.to) for each in taken)
                if is_contested:
                    self._more |= wanted.keys()
                # Those who were waiting take what has come first.
                await asyncio.sleep(CONTEST_SECONDS if is_contested else 0)
        except Unavailable:
            self._more |= wanted.keys()  # the next look tries again
        except Corrupt as error:
            self.lanes.fail(error)
        finally:
            self._feeding = None

    def depth(self, total: int, delayed: int, timers: int) -> Depth:
        """Say how much is under way, of which the store holds *total* and we have some in hand."""
        taken = len(self.lanes.taken)
        ready = max(0, total - taken - delayed)
        return Depth(ready=ready, taken=taken, delayed=delayed, timers=timers)

    def forget(self) -> None:
        """Let go of all that is not in hand: it is nobody's any more."""
        self.lanes.stop_clocks()
        self.lanes.forget_ready()
        self._left.clear()
        self._more.update(self.served)

    async def stop(self) -> None:
        """Take nothing any more."""
        self._more.clear()
        if self._feeding is not None:
            await ended(self._feeding)
        self.lanes.stop_clocks()
        self.lanes = Lanes()
        self.served.clear()
        self._more.clear()
        self._left.clear()


async def ended(task: "asyncio.Task[None]") -> None:
    """Wait until a task has ended by itself; it is cancelled where it takes too long for that.

    A connection that is being opened when its task is cancelled would stay open.
    """
    await asyncio.wait({task}, timeout=END_SECONDS)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
