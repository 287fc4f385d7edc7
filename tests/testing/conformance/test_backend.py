"""Conformance: backends, memories and brokers that are wrong on purpose are found."""

from collections.abc import Callable
from typing import Any

import pytest

from arvo.interpreters.memory.backend import MemoryBackend
from arvo.testing import BackendConformance, BrokerConformance, MachineMemoryConformance
from arvo.testing.conformance.kit import CALLS_TOLD_MAX
from arvo.testing.conformance.linearizability import Read, Refusal, Span, Swap, linear_order
from arvo.testing.conformance.samples import subject
from tests.testing.conformance import wrong

# For things that never come: a right backend in memory needs no time at all.
PATIENCE_SECONDS = 0.4


class OfBackend(BackendConformance):
    patience = PATIENCE_SECONDS
    queue_max = 200
    make: Callable[[int], Any]

    async def backend(self) -> Any:
        return type(self).make(self.queue_max)


class OfMemory(MachineMemoryConformance):
    patience = PATIENCE_SECONDS
    make: Callable[[], Any]

    async def memory(self) -> Any:
        return type(self).make()


class OfBroker(BrokerConformance):
    patience = PATIENCE_SECONDS
    make: Callable[[], Any]

    async def broker(self) -> Any:
        return type(self).make()


def failures(kit: type[Any], *only: str) -> dict[str, Exception]:
    """Run the tests of a kit, all or *only* some, and give those that fail."""
    failed: dict[str, Exception] = {}
    for name in only or [each for each in dir(kit) if each.startswith("test_")]:
        try:
            getattr(kit(), name)()
        except Exception as error:  # noqa: BLE001 - a wrong backend may raise anything
            failed[name] = error
    return failed


@pytest.mark.parametrize(
    ("make", "test"),
    [
        (wrong.LosesUpdates, "test_a_commit_on_an_old_record_changes_nothing"),
        (wrong.PublishesFirst, "test_a_commit_on_an_old_record_changes_nothing"),
        (wrong.ChecksAndSetsApart, "test_of_many_who_commit_at_once_each_finds_its_turn"),
        (wrong.ForgetsWhatWasConsumed, "test_an_event_is_consumed_once"),
        (wrong.KnowsEventsByIdAlone, "test_whose_event_it_is_tells_it_from_others_of_its_id"),
        (wrong.AppliesHalf, "test_a_commit_is_applied_whole"),
        (wrong.CallsConflictsCommitted, "test_a_commit_on_an_old_record_changes_nothing"),
        (wrong.NeverSettles, "test_what_leaves_has_lanes_of_its_own"),
        (wrong.AmendsBlindly, "test_a_step_that_was_decided_before_an_amendment_is_refused"),
        (wrong.AmendsByHalf, "test_an_amendment_sets_a_workflow_going_again"),
        (wrong.IgnoresKeys, "test_events_of_a_key_come_one_at_a_time_in_order"),
        (wrong.LastInFirstOut, "test_events_of_a_key_come_one_at_a_time_in_order"),
        (wrong.ComesAgainAtOnce, "test_a_delivery_comes_again_after_its_delay"),
        (wrong.DoesNotCountAttempts, "test_a_delivery_comes_again_after_its_delay"),
        (wrong.SwallowsWhoWaited, "test_whoever_waits_and_goes_takes_nothing_along"),
        (wrong.TakesWithoutEnd, "test_a_full_queue_makes_senders_wait"),
        (wrong.RestsTooSoon, "test_depth_says_what_is_under_way"),
        (wrong.CountsWrong, "test_depth_says_what_is_under_way"),
        (wrong.FiresEarly, "test_a_timer_comes_when_it_is_due_and_once"),
        (wrong.FiresTwice, "test_a_timer_comes_when_it_is_due_and_once"),
        (wrong.LosesLetters, "test_a_dead_letter_keeps_everything"),
        (wrong.BuriesWithoutSettling, "test_a_dead_letter_keeps_everything"),
        (wrong.UnburiesAgainAndAgain, "test_a_dead_letter_is_sent_again_or_dropped"),
        (wrong.MangledText, "test_odd_values_come_back_as_they_were"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_wrong_backend_is_found(make: Any, test: str) -> None:
    """By the test that is named for its fault, in a story of a few calls."""
    failed = failures(type("Kit", (OfBackend,), {"make": make}), test)

    assert list(failed) == [test]
    told = failed[test].__notes__[-1].splitlines()
    assert told[0] == "calls until then:"
    assert 1 <= len(told[1:]) <= CALLS_TOLD_MAX


@pytest.mark.parametrize(
    ("make", "test"),
    [
        (wrong.WritesBlindly, "test_who_expects_another_version_changes_nothing"),
        (wrong.WritesLate, "test_of_many_who_write_at_once_one_wins"),
        (wrong.CutsNames, "test_subjects_do_not_meet"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_wrong_memory_is_found(make: Any, test: str) -> None:
    """Compare and set is all that it must have, and it must have it."""
    assert test in failures(type("Kit", (OfMemory,), {"make": make}), test)


@pytest.mark.parametrize(
    ("make", "test"),
    [
        (wrong.SettlesForAnybody, "test_who_lost_a_message_settles_nothing"),
        (wrong.SettlesAtOnce, "test_what_is_left_comes_again"),
        (wrong.Unordered, "test_what_was_published_is_handed_out"),
        (wrong.SharesWhatIsTaken, "test_of_two_who_take_each_has_its_own"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_wrong_broker_is_found(make: Any, test: str) -> None:
    """At least once, and to one at a time."""
    assert test in failures(type("Kit", (OfBroker,), {"make": make}), test)


def test_the_right_backend_passes_as_impatiently() -> None:
    """Or what was found above would be the haste."""
    kit = type("Kit", (OfBackend,), {"make": lambda queue_max: MemoryBackend(queue_max=queue_max)})

    assert failures(kit) == {}


def test_a_failure_tells_the_calls_that_led_there() -> None:
    """An author reads what was called and what came back, by the ids of events."""
    kit = type("Kit", (OfBackend,), {"make": wrong.AppliesHalf})

    with pytest.raises(AssertionError) as failed:
        kit().test_a_commit_is_applied_whole()

    said = repr(subject())
    subject_said = f"{said[:60]} … {said[-18:]}"
    assert failed.value.__notes__ == [
        "calls until then:\n"
        "  send(event 'begin' to Inside) → None\n"
        "  receive('arvo.orc.kit.workflow') → delivery 1 of event 'begin'\n"
        "  commit(delivery 1 of event 'begin', commit on revision 0 of record at revision 1,"
        " [event 'ask' to Inside], [letter 'lost']) → Committed()\n"
        "  load(" + subject_said + ") → record at revision 1\n"
        "  receive('com.kit.service') → delivery 1 of event 'ask'\n"
        "  dead_letters() → []"
    ]


@pytest.mark.parametrize(
    ("history", "possible"),
    [
        ([], True),
        ([Span(Read(0), 1, 2), Span(Swap(0, 1), 3, 4), Span(Read(1), 5, 6)], True),
        # Reads what was overwritten before it was asked.
        ([Span(Swap(0, 1), 1, 2), Span(Read(0), 3, 4)], False),
        # The same, but at once: it may have come first.
        ([Span(Swap(0, 1), 1, 4), Span(Read(0), 2, 3)], True),
        # Two who both won.
        ([Span(Swap(0, 1), 1, 4), Span(Swap(0, 1), 2, 3)], False),
        ([Span(Swap(0, 1), 1, 4), Span(Refusal(0, 1), 2, 3)], True),
        # Refused by a write that came after.
        ([Span(Refusal(0, 1), 1, 2), Span(Swap(0, 1), 3, 4)], False),
        # Refused although it expected what was held.
        ([Span(Refusal(0, 0), 1, 2)], False),
    ],
)
def test_a_history_is_linear_if_one_register_could_have_answered_it(
    history: list[Span], possible: bool
) -> None:
    """What "in some serial order" means."""
    assert (linear_order(history) is not None) is possible
