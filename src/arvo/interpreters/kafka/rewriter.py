"""Rewriter: writes messages again, to where they belong, and settles them where they were read."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeAlias, final

from attrs import define, field

from arvo.interpreters.delivery.log import LineLimit, fields, get_logger
from arvo.interpreters.delivery.tasks import supervise
from arvo.interpreters.kafka.partition import AssignedPartition

logger: Final = get_logger("kafka")

# The pause between two attempts to write a message.
PAUSE_SECONDS: Final = 0.5

# Writes a message; returns False where it must stay where it is.
Write: TypeAlias = Callable[[], Awaitable[bool]]


@final
@define(eq=False)
class Rewriter:
    """Writes in the background, for as long as this process has the partition of a message.

    *on_failure* is called with an exception that ends a task.
    """

    on_failure: Callable[[Exception], None]
    _tasks: set["asyncio.Task[None]"] = field(factory=set, init=False)
    # Bounded by the open messages of the partitions.
    _in_order: "asyncio.Queue[tuple[AssignedPartition, int, Write]]" = field(
        factory=asyncio.Queue, init=False
    )
    _is_writing_in_order: bool = field(default=False, init=False)

    def start(self, partition: AssignedPartition, offset: int, write: Write) -> None:
        """Call *write*, and again until it succeeds, then settle the message."""
        self._run(_repeat(partition, offset, write))

    def start_in_order(self, partition: AssignedPartition, offset: int, write: Write) -> None:
        """Do the same, but after those that were started in order before."""
        self._in_order.put_nowait((partition, offset, write))
        if not self._is_writing_in_order:
            self._is_writing_in_order = True
            self._run(self._write_in_order())

    async def stop(self) -> None:
        """End all tasks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = supervise(work, name="arvo kafka write", on_failure=self.on_failure)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write_in_order(self) -> None:
        while True:
            await _repeat(*await self._in_order.get())


async def _repeat(partition: AssignedPartition, offset: int, write: Write) -> None:
    limit = LineLimit()
    while not partition.is_revoking:
        try:
            is_written = await write()
        except Exception as error:  # noqa: BLE001 - the message must not be lost for any of them
            if limit.is_due():
                extra = fields(queue=partition.topic, reason=error, unlogged=limit.unlogged)
                logger.warning("a message is not written yet", extra=extra)
            await asyncio.sleep(PAUSE_SECONDS)
        else:
            if is_written:
                partition.settle(offset)
            return
