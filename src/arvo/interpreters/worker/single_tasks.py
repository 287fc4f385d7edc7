"""Single tasks: the deliveries that are processed each by itself, because they wait."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping
from typing import Any, Final, final

from attrs import define, field

from arvo.interpreters.delivery.tasks import supervise
from arvo.interpreters.ports.messages import Delivery, queue_of

# The most deliveries of a queue in one tick.
WINDOW_MAX: Final = 256


@final
@define(eq=False)
class SingleTasks:
    """A task for each delivery that asks for an effect, was refused, or is tried again.

    *process* processes it. At most *prefetch* of each queue run at the same time. *room* maps each
    queue to the number of deliveries that the next tick may take. It starts at *prefetch* and
    doubles with each tick that leaves none to a task of its own, as the window of TCP does, for
    what only computes need not wait; it shrinks at the first one that does. So a worker owns few
    deliveries that have to wait, and other workers can take them. *on_room* is called when there is
    room again.
    """

    process: Callable[[Delivery], Awaitable[None]]
    prefetch: Mapping[str, int]
    on_failure: Callable[[Exception], None]
    on_room: Callable[[], None] = lambda: None
    room: dict[str, int] = field(init=False)
    tasks: dict["asyncio.Task[None]", str] = field(factory=dict, init=False)
    _windows: dict[str, int] = field(init=False)
    _open: Counter[str] = field(factory=Counter, init=False)
    _slots: dict[str, asyncio.Semaphore] = field(init=False)
    _refused: set[str] = field(factory=set, init=False)
    _waiting: set["asyncio.Task[None]"] = field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self._windows = dict(self.prefetch)
        self.room = dict(self.prefetch)
        self._slots = {name: asyncio.Semaphore(number) for name, number in self.prefetch.items()}

    def start(self, delivery: Delivery) -> None:
        """Process a delivery in a task of its own."""
        queue = queue_of(delivery.message.to)
        self._refused.add(queue)
        self.start_commit(delivery, self._run(delivery, queue))

    def start_commit(self, delivery: Delivery, work: Coroutine[Any, Any, None]) -> None:
        """Commit what a tick has decided for a delivery, in a task of its own."""
        queue = queue_of(delivery.message.to)
        self._open[queue] += 1
        name = f"arvo {queue} {delivery.message.event.id}"
        task = supervise(work, name=name, on_failure=self.on_failure)
        self.tasks[task] = queue
        task.add_done_callback(self._end)

    def grow(self, queues: Iterable[str]) -> None:
        """Set the room for the next tick, after one with deliveries of *queues*."""
        for queue in queues:
            if queue in self._refused and self._windows[queue]:
                self._windows[queue] = self.prefetch[queue]
            elif self._windows[queue]:
                self._windows[queue] = min(2 * self._windows[queue], WINDOW_MAX)
            self._set_room(queue)
        self._refused.clear()

    def close(self, queues: Collection[str]) -> None:
        """Leave no room for deliveries of *queues*."""
        for queue in self.room.keys() & queues:
            self._windows[queue] = self.room[queue] = 0

    async def join(self, queues: Collection[str], deadline: float) -> None:
        """Let the tasks of *queues* that have begun end until *deadline*, a time of the loop."""
        # The end of one may start another: a commit that is refused.
        while ending := {task for task, queue in self.tasks.items() if queue in queues}:
            for task in ending & self._waiting:
                task.cancel()
            _, late = await asyncio.wait(
                ending, timeout=max(0.0, deadline - asyncio.get_running_loop().time())
            )
            for task in late:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)

    async def _run(self, delivery: Delivery, queue: str) -> None:
        task, slot = asyncio.current_task(), self._slots[queue]
        assert task is not None
        self._waiting.add(task)
        try:
            await slot.acquire()
        finally:
            self._waiting.discard(task)
        try:
            await self.process(delivery)
        finally:
            slot.release()

    def _end(self, task: "asyncio.Task[None]") -> None:
        queue = self.tasks[task]
        self._open[queue] -= 1
        self._waiting.discard(task)
        del self.tasks[task]
        had_room = self.room[queue] > 0
        self._set_room(queue)
        if self.room[queue] and not had_room:
            self.on_room()

    def _set_room(self, queue: str) -> None:
        self.room[queue] = max(0, self._windows[queue] - self._open[queue])
