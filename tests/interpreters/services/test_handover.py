"""Handover: an event waits for a worker that serves its version, and not for ever."""

from typing import Final

from attrs import define

from arvo.engine.step.route import ToHandler
from arvo.engine.system.missing import ServiceVersion
from arvo.interpreters.ports.messages import Delivery, Message
from arvo.interpreters.ports.services import WorkerServices
from arvo.interpreters.services.handover import (
    ABSENT_MAX,
    DELAYS,
    FORGET_SECONDS,
    GRACE_SECONDS,
    RETURNS_MAX,
    Handover,
)
from tests.interpreters.rolling import charge_event

ADDRESS: Final = "com.pay.charge"
MISSING: Final = ServiceVersion(ADDRESS, "2.0.0")
OLD: Final = WorkerServices("old", {ADDRESS: ("1.0.0",)})
NEW: Final = WorkerServices("new", {ADDRESS: ("1.0.0", "2.0.0")})


@define
class Clock:
    """Seconds that a test sets."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


def delivery(number: int = 1) -> Delivery:
    return Delivery(Message(charge_event(number), ToHandler(ADDRESS, None)), 1)


def test_an_event_waits_as_long_as_a_live_worker_serves_it() -> None:
    """With delays that grow, and stay bounded."""
    clock = Clock()
    handover = Handover(GRACE_SECONDS, clock)

    delays = []
    for _ in range(100):
        delay = handover.decide(delivery(), MISSING, [OLD, NEW])
        assert isinstance(delay, float)
        delays.append(delay)
        clock.seconds += 10 * GRACE_SECONDS

    assert delays[0] <= DELAYS.delay
    assert all(0 < delay <= DELAYS.longest for delay in delays)
    assert min(delays[10:]) >= DELAYS.longest * (1 - DELAYS.jitter)


def test_an_event_that_no_worker_serves_is_a_dead_letter_after_the_grace_period() -> None:
    """The reason names what is missing, and what is there."""
    clock = Clock()
    handover = Handover(GRACE_SECONDS, clock)
    assert isinstance(handover.decide(delivery(), MISSING, [OLD]), float)

    clock.seconds = GRACE_SECONDS - 0.1
    assert isinstance(handover.decide(delivery(), MISSING, [OLD]), float)
    clock.seconds = GRACE_SECONDS

    assert handover.decide(delivery(), MISSING, [OLD]) == (
        "no registered worker serves com.pay.charge 2.0.0 (registered: com.pay.charge 1.0.0)"
    )
    assert handover.decide(delivery(2), MISSING, []) == (
        "no registered worker serves com.pay.charge 2.0.0 (registered: no worker)"
    )


def test_a_worker_that_appears_ends_the_grace_period() -> None:
    """When it dies later, its events get the whole grace period again."""
    clock = Clock()
    handover = Handover(GRACE_SECONDS, clock)
    for seconds, registered in ((0.0, [OLD]), (20.0, [OLD, NEW]), (40.0, [OLD])):
        clock.seconds = seconds
        assert isinstance(handover.decide(delivery(), MISSING, registered), float)

    clock.seconds = 40.0 + GRACE_SECONDS
    assert isinstance(handover.decide(delivery(), MISSING, [OLD]), str)


def test_an_event_long_after_the_last_one_gets_a_grace_period_of_its_own() -> None:
    """A stray event at night must not take it from the deploy in the morning."""
    clock = Clock()
    handover = Handover(GRACE_SECONDS, clock)
    handover.decide(delivery(), MISSING, [OLD])

    clock.seconds = FORGET_SECONDS + 1

    assert isinstance(handover.decide(delivery(2), MISSING, [OLD]), float)


def test_without_a_registry_an_event_waits_for_the_grace_period() -> None:
    """Another worker may take it, although this one cannot see which are there."""
    clock = Clock()
    handover = Handover(GRACE_SECONDS, clock)
    assert isinstance(handover.decide(delivery(), MISSING, None), float)

    clock.seconds = GRACE_SECONDS

    expected = "no worker that serves com.pay.charge 2.0.0 took it within 30 s"
    assert handover.decide(delivery(), MISSING, None) == expected


def test_without_a_grace_period_an_event_that_no_worker_serves_is_a_dead_letter_at_once() -> None:
    """As on `memory:`."""
    assert isinstance(Handover(0.0, Clock()).decide(delivery(), MISSING, [OLD]), str)


def test_made_up_versions_do_not_fill_the_memory() -> None:
    """Senders choose the versions; those that do not fit get no grace period."""
    clock = Clock()
    handover = Handover(GRACE_SECONDS, clock)
    versions = [ServiceVersion(ADDRESS, f"{n}.1.0") for n in range(ABSENT_MAX + 1)]

    decided = [handover.decide(delivery(), version, [OLD]) for version in versions]

    assert all(isinstance(each, float) for each in decided[:-1])
    assert isinstance(decided[-1], str)
    clock.seconds = FORGET_SECONDS + 1
    assert isinstance(handover.decide(delivery(), versions[-1], [OLD]), float)


def test_counts_of_returned_events_are_bounded() -> None:
    """The event that was returned least recently starts again with the shortest delay."""
    handover = Handover(GRACE_SECONDS, Clock())
    for _ in range(20):
        handover.decide(delivery(0), MISSING, [NEW])
    for number in range(1, RETURNS_MAX + 1):
        handover.decide(delivery(number), MISSING, [NEW])

    delay = handover.decide(delivery(0), MISSING, [NEW])

    assert isinstance(delay, float)
    assert delay <= DELAYS.delay
