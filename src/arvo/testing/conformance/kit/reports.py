"""Reports: what effects report reaches those who read it, at most once."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.messages import Delivery
from arvo.interpreters.reports.channel import ReportChannel, ReportReader, find_channel
from arvo.interpreters.reports.local import BATCHES_MAX
from arvo.testing.conformance.kit.kit import (
    NO_LEASE,
    NO_REPORTS,
    NOT_DURABLE,
    BackendKit,
    conformance_test,
    skip,
)
from arvo.testing.conformance.kit.samples import WORKFLOW, subject, to_workflow

FIRST: Final = b'{"reports":["first"]}'
SECOND: Final = b'{"reports":["second"]}'


def _channel(backend: Backend) -> ReportChannel:
    channel = find_channel(backend)
    if channel is None:
        skip(NO_REPORTS)
    return channel


class Reports(BackendKit):
    """Tests of a `ReportChannel`."""

    async def _deliver(self, backend: Backend, run: str = "one") -> Delivery:
        await backend.send(to_workflow(f"begin-{run}", run))
        return await self.eventually(backend.receive(WORKFLOW), "the event")

    async def _take(self, reader: ReportReader, number: int) -> Sequence[bytes]:
        """Take batches until there are so many: a server may send them later."""
        batches: list[bytes] = []

        async def fill() -> None:
            while True:
                batches.extend(await reader.take())
                if len(batches) >= number:
                    return
                await asyncio.sleep(0.005)

        await self.eventually(fill(), f"{number} batches of reports")
        return batches

    @conformance_test
    async def test_reports_reach_each_reader_of_their_workflow(self, backend: Any) -> None:
        """In the order in which they were published, and none of them twice."""
        channel = _channel(backend)
        one, two = await self._deliver(backend, "one"), await self._deliver(backend, "two")
        reads = (channel.read(subject("one")), channel.read(subject("one")))
        async with reads[0] as first, reads[1] as second, channel.read(subject("two")) as other:
            await channel.publish(one, FIRST)
            await channel.publish(two, SECOND)
            await channel.publish(one, SECOND)

            assert await self._take(first, 2) == [FIRST, SECOND]
            assert await self._take(second, 2) == [FIRST, SECOND]
            assert await self._take(other, 1) == [SECOND]
            assert [*await first.take(), *await second.take(), *await other.take()] == []

    @conformance_test
    async def test_a_reader_gets_nothing_from_before(self, backend: Any) -> None:
        """A watcher that comes back must not get a report again."""
        channel = _channel(backend)
        delivery = await self._deliver(backend)
        await channel.publish(delivery, FIRST)
        async with channel.read(subject()) as early:
            await channel.publish(delivery, FIRST)
            await self._take(early, 1)
            async with channel.read(subject()) as late:
                await channel.publish(delivery, SECOND)

                assert await self._take(late, 1) == [SECOND]
                assert await self._take(early, 1) == [SECOND]

    @conformance_test
    async def test_a_slow_reader_loses_the_oldest_reports(self, backend: Any) -> None:
        """It holds up no worker, and takes no memory without end."""
        channel = _channel(backend)
        delivery = await self._deliver(backend)
        batches = [b'{"reports":[%d]}' % number for number in range(BATCHES_MAX + 5)]
        async with channel.read(subject()) as slow, channel.read(subject()) as quick:
            seen: list[bytes] = []
            for batch in batches:
                await channel.publish(delivery, batch)
                seen += await self._take(quick, 1)

            first = list(await self._take(slow, 1))
            late = list(first)
            while batches[-1] not in late:
                late += await self._take(slow, 1)

        assert seen == batches
        assert len(first) <= BATCHES_MAX
        assert late == [batch for batch in batches if batch in late]

    @conformance_test
    async def test_reports_reach_the_readers_of_other_processes(self, backend: Any) -> None:
        """The page is served by another process than the worker."""
        if not self.is_durable:
            skip(NOT_DURABLE)
        channel = _channel(backend)
        delivery = await self._deliver(backend)
        async with self.session() as other, _channel(other).read(subject()) as reader:
            await channel.publish(delivery, FIRST)

            assert await self._take(reader, 1) == [FIRST]

    @conformance_test
    async def test_a_worker_that_lost_its_delivery_reports_nothing(self, backend: Any) -> None:
        """Its effect is performed by another one, whose reports it must not disturb."""
        channel = _channel(backend)
        if not self.is_durable or not self.has_leases:
            skip(NO_LEASE)
        delivery = await self._deliver(backend)
        async with self.session() as other, _channel(other).read(subject()) as reader:
            await self.expire_lease(backend)
            again = await self.eventually(other.receive(WORKFLOW), "the event again")
            await channel.publish(delivery, FIRST)
            await _channel(other).publish(again, SECOND)

            assert await self._take(reader, 1) == [SECOND]
