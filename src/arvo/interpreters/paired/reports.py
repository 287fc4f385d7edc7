"""Reports: the channel of a pair, which is that of its memory, or else of its broker."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import final

from attrs import frozen

from arvo.interpreters.ports.broker import Broker
from arvo.interpreters.ports.machine_memory import MachineMemory
from arvo.interpreters.ports.messages import Delivery
from arvo.interpreters.reports.channel import CarriesReports, ReportChannel, ReportReader


@final
@frozen
class PairedReports:
    """A `ReportChannel` that drops what a worker publishes for a delivery that it has lost."""

    channel: ReportChannel
    is_lost: Callable[[Delivery], bool]

    async def publish(self, delivery: Delivery, batch: bytes) -> None:
        """Publish a batch, if the delivery is ours as far as the broker knows."""
        if not self.is_lost(delivery):
            await self.channel.publish(delivery, batch)

    def read(self, subject: str) -> AbstractAsyncContextManager[ReportReader]:
        """Return a context with a reader of a subject."""
        return self.channel.read(subject)


def half_channel(memory: MachineMemory, broker: Broker) -> ReportChannel | None:
    """Return the channel of a memory or of a broker, None if neither has one."""
    halves = (half.reports for half in (memory, broker) if isinstance(half, CarriesReports))
    return next((channel for channel in halves if channel is not None), None)
