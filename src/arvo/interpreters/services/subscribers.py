"""Subscribers: decides how long the outcomes for a subscription wait for its listener."""

from collections.abc import Callable
from typing import Final, final

from attrs import define, field

from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.services.directory import ServiceDirectory

# A process with a listener that does not come back for an hour needs an operator. Until then its
# outcomes wait in their queue, which holds no more than those of an hour, and those that come more
# than an hour apart.
LISTENER_ABSENT_SECONDS_MAX: Final = 3_600.0
# How long a look at the registry counts: each end of a workflow would read it.
SEEN_SECONDS: Final = 10.0


@final
@define(eq=False)
class Subscribers:
    """The subscriptions of a system, and when this worker last saw a process that listens to them.

    *absent_max*: for how many seconds none may be seen before outcomes become dead letters.
    *clock*: seconds that only go forward.
    """

    directory: ServiceDirectory
    absent_max: float
    clock: Callable[[], float]
    # When a listener was seen last; when it was missed first and last, without being seen between.
    _present: dict[str, float] = field(factory=dict, init=False)
    _absent: dict[str, tuple[float, float]] = field(factory=dict, init=False)

    async def absence(self, name: str) -> str | None:
        """Return why an outcome cannot wait for the listener of a subscription; None if it can."""
        now = self.clock()
        if name in self.directory.listeners.addresses:
            return None
        if now - self._present.get(name, float("-inf")) < SEEN_SECONDS:
            return None
        try:
            is_listened = await self._is_listened(name)
        except Unavailable:
            # Unknown: the outcome must not become a dead letter.
            is_listened = True
        if is_listened:
            self._present[name] = now
            self._absent.pop(name, None)
            return None
        first, last = self._absent.get(name, (now, now))
        # It may have been there in such a long time: two restarts of its process are no absence.
        first = now if now - last >= self.absent_max else first
        self._absent[name] = first, now
        if now - first < self.absent_max:
            return None
        text = f"no process has a listener of the subscription {name!r}"
        return f"{text}, for {self.absent_max:g} s (see on_workflow_complete)"

    async def _is_listened(self, name: str) -> bool:
        """Return whether a live worker has the listener, or the backend has no registry."""
        if await self.directory.registered() is None:
            return True
        return name in await self.directory.callers()
