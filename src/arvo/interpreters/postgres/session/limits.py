"""Limits: lets the deliveries of a process take the slots of limits, or parks them."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import final

from attrs import define, field

from arvo.interpreters.delivery.claims import ClaimLoop, token_of
from arvo.interpreters.delivery.log import loop_time
from arvo.interpreters.limits.port import SlotRequest
from arvo.interpreters.postgres.limits.acquire import SLOTS_MAX, Acquired, acquire
from arvo.interpreters.postgres.session.reconnect import SessionManager


@final
@define(eq=False)
class SlotAcquirer:
    """Acquires slots, with the in-process queues kept in step. *now*: the clock of claims."""

    sessions: SessionManager
    claims: ClaimLoop
    now: Callable[[], datetime]
    # The time of the event loop at which this process claims the next start.
    _wakes_at: float = field(default=0.0, init=False)

    async def acquire(self, requests: Sequence[SlotRequest]) -> list[bool]:
        """Acquire the slots of deliveries; those that get none are forgotten."""
        open_ = [request for request in requests if request.delivery.progress.slots is None]
        for part in _parts(open_):
            await self._acquire(part)
        return [request.delivery.progress.slots is not None for request in requests]

    async def _acquire(self, requests: Sequence[SlotRequest]) -> None:
        session, now = await self.sessions.session(), self.now()
        rows = [
            (token_of(each.delivery).delivery_id, each.slots)
            for each in requests
            # Those of an earlier session were released with it.
            if token_of(each.delivery).worker_id == session.worker_id
        ]
        acquired = Acquired(frozenset(), None)
        if rows:
            acquired = await session.write(
                lambda c: acquire(c, session.dsn, session.worker_id, rows, now)
            )
        for request in requests:
            if token_of(request.delivery).delivery_id in acquired.held:
                request.delivery.progress.slots = request.places
            else:
                self.claims.drop(request.delivery)
        if acquired.seconds is not None:
            self._wake_after(max(0.0, acquired.seconds))

    def _wake_after(self, seconds: float) -> None:
        """Claim when the first start of a full rate counts no more, once for many that ask."""
        time = loop_time()
        if not time < self._wakes_at <= time + seconds:
            self._wakes_at = time + seconds
            self.claims.notify_after(seconds)


def _parts(requests: Sequence[SlotRequest]) -> Iterator[list[SlotRequest]]:
    """Yield the requests in groups with a bounded number of slots."""
    part: list[SlotRequest] = []
    slots = 0
    for request in requests:
        if part and slots + len(request.slots) > SLOTS_MAX:
            yield part
            part, slots = [], 0
        part.append(request)
        slots += len(request.slots)
    if part:
        yield part
