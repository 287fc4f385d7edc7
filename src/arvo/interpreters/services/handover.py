"""Handover: decides how long an event waits for a worker that serves it."""

import random
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, final

from attrs import define, field

from arvo.engine.step.route import ToCaller
from arvo.engine.system.missing import ServiceVersion
from arvo.handlers.effect import Retry
from arvo.interpreters.ports.messages import Delivery, queue_of
from arvo.interpreters.ports.services import WorkerServices, describe_services

# How long an event waits for the first worker that serves it: a rolling deploy may send events of a
# new version before it starts the first worker that has it.
GRACE_SECONDS: Final = 30.0
# The delays of an event that is returned again and again. The longest one is also how long an event
# may still wait when the last old worker has stopped.
DELAYS: Final = Retry(attempts=1, delay=0.05, factor=2.0, jitter=0.5, longest=5.0)
# Events whose returns are counted. One that is forgotten starts again with the shortest delay.
RETURNS_MAX: Final = 10_000
# Versions that no worker serves, for which the grace period runs. Senders choose the versions, so
# beyond that an event gets no grace.
ABSENT_MAX: Final = 1_000
# A version that no event has asked for this long is forgotten: the next one gets the whole grace.
FORGET_SECONDS: Final = 60.0
_DOUBLINGS_MAX: Final = 10

_EventKey: TypeAlias = tuple[str, str, str, str]
# What a process lacks: a handler's version, or the listener of a caller.
Missing: TypeAlias = ServiceVersion | ToCaller


@final
@define(eq=False)
class Handover:
    """Decides the fate of deliveries that need a version or a listener that this process lacks.

    *grace*: seconds that it may be served by no worker before its events become dead letters.
    *time*: seconds that only go forward.
    """

    grace: float
    time: Callable[[], float]
    _returns: "OrderedDict[_EventKey, int]" = field(factory=OrderedDict, init=False)
    # For each version that no worker serves, since when, and when an event asked for it last.
    _absent: "OrderedDict[Missing, tuple[float, float]]" = field(factory=OrderedDict, init=False)

    def decide(
        self,
        delivery: Delivery,
        missing: Missing,
        registered: Sequence[WorkerServices] | None,
    ) -> float | str:
        """Return the seconds after which to deliver it again, or the reason for a dead letter.

        *registered*: those of the live workers, None if the backend has no registry. While one of
        them serves the version, the event waits. While none does, it waits until the grace period
        of the version is over.
        """
        key = _event_key(delivery)
        served = any(_serves(each, missing) for each in registered or ())
        if served:
            self._absent.pop(missing, None)
        elif self._is_overdue(missing):
            self._returns.pop(key, None)
            if not isinstance(missing, ServiceVersion):
                return f"no worker has a listener, for {self.grace:g} s"
            if registered is None:
                return f"no worker that serves {missing} took it within {self.grace:g} s"
            known = describe_services(registered, missing.address)
            return f"no registered worker serves {missing} ({known})"
        return self._next_delay(key)

    def delay(self, delivery: Delivery) -> float:
        """Return the seconds after which to deliver it again, where the registry is unavailable."""
        return self._next_delay(_event_key(delivery))

    def _next_delay(self, key: _EventKey) -> float:
        """Return a delay that is longer each time an event is returned."""
        number = self._returns.pop(key, 0) + 1
        self._returns[key] = number
        if len(self._returns) > RETURNS_MAX:
            self._returns.popitem(last=False)
        spread = random.random()  # noqa: S311 - workers should not claim in step, not a secret
        return DELAYS.wait_after(min(number, _DOUBLINGS_MAX), spread)

    def _is_overdue(self, missing: Missing) -> bool:
        """Return whether no worker has served a version for the grace period."""
        now = self.time()
        since, asked = self._absent.pop(missing, (now, now))
        if now - asked > FORGET_SECONDS:
            since = now
        while self._absent and now - next(iter(self._absent.values()))[1] > FORGET_SECONDS:
            self._absent.popitem(last=False)
        if len(self._absent) >= ABSENT_MAX:
            return True
        # At the end: the first entries are those that events asked for least recently.
        self._absent[missing] = since, now
        return now - since >= self.grace


def _serves(services: WorkerServices, missing: Missing) -> bool:
    if isinstance(missing, ServiceVersion):
        return services.serves(missing.address, missing.version)
    return missing.address in services.callers


def _event_key(delivery: Delivery) -> _EventKey:
    event = delivery.message.event
    return queue_of(delivery.message.to), event.source, event.id, event.subject
