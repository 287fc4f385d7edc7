"""Backend: the conformance tests find every wrong backend, memory and broker."""

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Any
from unittest import SkipTest

import pytest

from arvo.interpreters.delivery.retention import Retention
from arvo.interpreters.memory.backend import MemoryBackend
from arvo.interpreters.sqlite import SqliteBackend
from arvo.interpreters.sqlite.reports import statements as sqlite_reports
from arvo.interpreters.sqlite.statements.workers import deregister
from arvo.testing import (
    BackendConformance,
    BrokerConformance,
    MachineMemoryConformance,
    OrderedBrokerConformance,
)
from arvo.testing.conformance.kit import CALLS_REPORTED_MAX
from arvo.testing.conformance.kit.kit import Kit
from arvo.testing.conformance.kit.linearizability import (
    Read,
    Refusal,
    Span,
    Swap,
    find_linearization,
)
from arvo.testing.conformance.kit.samples import subject
from tests.testing.conformance import (
    wrong,
    wrong_archives,
    wrong_chains,
    wrong_limits,
    wrong_order,
    wrong_reports,
)

# A correct backend in memory needs no time, so the kit need not wait long for a wrong one.
TIMEOUT_SECONDS = 0.4
ATTEMPTS = 10
PARKED_IS_WOKEN = "test_a_parked_delivery_is_delivered_when_a_place_is_free"


class OfBackend(BackendConformance):
    timeout = TIMEOUT_SECONDS
    queue_max = 200
    make: Callable[[int], Any]

    async def backend(self) -> Any:
        return type(self).make(self.queue_max)


class OfArchive(OfBackend):
    async def backend(self) -> Any:
        return MemoryBackend()

    async def archiving_backend(self, retention: Retention) -> Any:
        make: Any = type(self).make
        return make(retention)


class OfMemory(MachineMemoryConformance):
    timeout = TIMEOUT_SECONDS
    make: Callable[[], Any]

    async def memory(self) -> Any:
        return type(self).make()


class OfBroker(BrokerConformance):
    timeout = TIMEOUT_SECONDS
    make: Callable[[], Any]

    async def broker(self) -> Any:
        return type(self).make()


class OfOrderedBroker(OrderedBrokerConformance):
    timeout = TIMEOUT_SECONDS
    make: Callable[[], Any]

    async def broker(self) -> Any:
        return type(self).make()


def failures(kit: type[Any], *only: str) -> dict[str, Exception]:
    """Run the tests of a kit, all or *only* some, and return the errors by test name."""
    failed: dict[str, Exception] = {}
    # A test that is named here must apply.
    allowed = () if only else (SkipTest,)
    for name in only or [name for name in dir(kit) if name.startswith("test_")]:
        try:
            getattr(kit(), name)()
        except allowed:
            continue
        except Exception as error:  # noqa: BLE001 - a wrong backend may raise anything
            failed[name] = error
    return failed


@pytest.mark.parametrize(
    ("make", "test"),
    [
        (wrong_reports.ReportsWithoutBound, "test_a_slow_reader_loses_the_oldest_reports"),
        (wrong_reports.ReportsToAll, "test_reports_reach_each_reader_of_their_workflow"),
        (wrong_reports.ReportsToOneReader, "test_reports_reach_each_reader_of_their_workflow"),
        (wrong_reports.ReportsTwice, "test_reports_reach_each_reader_of_their_workflow"),
        (wrong_reports.ReportsNewestFirst, "test_reports_reach_each_reader_of_their_workflow"),
        (wrong_reports.ReportsFromBefore, "test_a_reader_gets_nothing_from_before"),
        (wrong.LosesUpdates, "test_a_commit_on_an_outdated_record_changes_nothing"),
        (wrong.ForgetsOtherRuns, "test_a_workflow_id_that_another_run_has_is_taken"),
        (
            wrong.ForgetsOtherRuns,
            "test_a_workflow_id_is_free_where_its_policy_allows_the_next_run",
        ),
        (
            wrong.ForgetsOtherRuns,
            "test_of_concurrent_begins_with_one_workflow_id_one_is_applied",
        ),
        (
            wrong.ForgetsOtherRuns,
            "test_of_two_chains_that_begin_one_workflow_id_one_is_applied",
        ),
        (
            wrong_chains.BeginsOneIdTwice,
            "test_a_chain_that_begins_one_workflow_id_twice_is_refused",
        ),
        (wrong.PublishesFirst, "test_a_commit_on_an_outdated_record_changes_nothing"),
        (wrong.ComparesBeforeItSets, "test_concurrent_commits_are_linearizable"),
        (wrong.ForgetsConsumedEvents, "test_an_event_is_consumed_once"),
        (
            wrong.ComparesEventsByIdOnly,
            "test_events_with_the_same_id_are_distinguished_by_source_and_subject",
        ),
        (wrong.DropsOtherEventsByKnownIds, "test_another_event_with_a_known_id_is_refused"),
        (wrong.DropsOtherEventsByKnownIds, "test_another_request_with_a_known_id_is_refused"),
        (wrong.ComparesTraces, "test_an_event_that_is_sent_again_may_have_another_trace"),
        (wrong.DropsCheckpoints, "test_a_checkpoint_is_delivered_with_the_next_attempt"),
        (
            wrong.CommitsPastCancellations,
            "test_a_turn_that_was_decided_before_a_cancellation_is_refused",
        ),
        (
            wrong.FindsNoCancellations,
            "test_a_turn_that_was_decided_before_a_cancellation_is_refused",
        ),
        (wrong.ForgetsDeferredCancellations, "test_a_deferred_cancellation_is_pending"),
        (
            wrong.CancelsByConsumedEvents,
            "test_a_cancellation_that_was_consumed_before_is_not_pending",
        ),
        (wrong.DropsDeadLettersOfCommits, "test_a_commit_is_applied_completely"),
        (wrong.ReportsConflictsAsCommitted, "test_a_commit_on_an_outdated_record_changes_nothing"),
        (wrong.NeverAcknowledges, "test_outbound_events_and_replies_have_their_own_queues"),
        (
            wrong.ReplacesWithoutComparing,
            "test_a_commit_decided_before_a_record_was_replaced_conflicts",
        ),
        (
            wrong.ReplacesWithoutRedelivering,
            "test_replacing_a_record_redelivers_events_and_sets_timers",
        ),
        (wrong.IgnoresKeys, "test_events_of_one_key_are_delivered_one_at_a_time_in_order"),
        (wrong.LastInFirstOut, "test_events_of_one_key_are_delivered_one_at_a_time_in_order"),
        (wrong.RedeliversAtOnce, "test_a_nacked_delivery_is_redelivered_after_its_delay"),
        (wrong.DoesNotCountAttempts, "test_a_nacked_delivery_is_redelivered_after_its_delay"),
        (
            wrong.ReleasesKeysOnNack,
            "test_an_event_behind_a_nacked_one_waits_and_a_strangers_does_not",
        ),
        (wrong.RedeliversLast, "test_a_nacked_event_is_delivered_again_before_those_behind_it"),
        (wrong.HoldsKeysOfDeferredEvents, "test_a_deferred_event_lets_the_others_of_its_key_pass"),
        (wrong.HoldsKeysOfDeferredEvents, "test_a_timer_that_is_not_due_holds_back_nothing"),
        (wrong.HoldsKeysOfDeadLetters, "test_a_dead_letter_lets_the_next_event_pass"),
        (wrong.CountsReleases, "test_a_released_delivery_comes_again_as_the_same_attempt"),
        (wrong.LosesCancelledDeliveries, "test_a_cancelled_receive_takes_no_delivery"),
        (wrong.AcceptsWithoutLimit, "test_a_full_queue_blocks_senders"),
        (wrong.IdlesTooEarly, "test_depth_counts_events_until_they_are_settled"),
        (wrong.ReportsNoDepth, "test_depth_counts_events_until_they_are_settled"),
        (wrong_chains.AppliesHalfChains, "test_a_chain_on_an_outdated_record_changes_nothing"),
        (wrong_chains.AppliesAllOrNone, "test_a_chain_on_an_outdated_record_changes_nothing"),
        (wrong_chains.ForgetsTheEventsOfChains, "test_a_chain_is_applied_completely"),
        (wrong_chains.ForgetsTheEventsOfChains, "test_a_message_that_enters_is_consumed_once"),
        (wrong_chains.DropsTheMessagesOfChains, "test_a_chain_is_applied_completely"),
        (wrong_chains.StoresWhatWasConsumed, "test_a_chain_is_applied_completely"),
        (
            wrong_chains.ChainsPassWaitingMessages,
            "test_no_turn_is_taken_before_a_message_that_waits",
        ),
        (
            wrong_chains.ChainsPassWaitingMessages,
            "test_no_turn_is_taken_before_a_message_of_the_same_workflow",
        ),
        (wrong_chains.ChainsPassCancellations, "test_a_chain_yields_to_a_cancellation"),
        (wrong_chains.DeferredMessagesStopChains, "test_a_deferred_message_holds_back_no_chain"),
        (wrong_chains.WakesNoSubscriber, "test_a_subscriber_is_woken_by_a_message"),
        (wrong_chains.PollsBeyondTheLimit, "test_poll_takes_no_more_than_its_limits"),
        (wrong_chains.PollsTwoOfOneKey, "test_poll_takes_what_is_ready_one_of_each_key"),
        (wrong_chains.FollowersInReverse, "test_followers_come_in_their_order_and_are_not_taken"),
        (wrong_chains.HasNoFollowers, "test_followers_come_in_their_order_and_are_not_taken"),
        (wrong_chains.FollowersOfAnyKey, "test_followers_come_in_their_order_and_are_not_taken"),
        (wrong_chains.TakesFollowers, "test_followers_come_in_their_order_and_are_not_taken"),
        (wrong_chains.DeliversFollowersAgain, "test_a_chain_consumes_its_followers"),
        (wrong_chains.ForgetsTheTurnsOfFollowers, "test_a_chain_consumes_its_followers"),
        (
            wrong_chains.LosesRefusedFollowers,
            "test_a_chain_with_a_refused_follower_changes_nothing",
        ),
        (
            wrong_chains.ChainsPassFollowers,
            "test_a_chain_passes_no_message_behind_its_followers",
        ),
        (
            wrong_chains.ChainsWithFollowersPassCancellations,
            "test_a_chain_with_followers_yields_to_a_cancellation",
        ),
        (wrong_chains.LoadsEmptyRecords, "test_many_records_are_loaded_at_once"),
        (wrong_limits.ParksNone, "test_a_slot_has_no_more_holders_than_places"),
        (wrong_limits.HoldsTwice, "test_a_delivery_that_holds_its_slots_holds_them_once"),
        (wrong_limits.NeverWakes, PARKED_IS_WOKEN),
        (wrong_limits.KeepsSlotsOfCommits, PARKED_IS_WOKEN),
        (wrong_limits.KeepsSlotsOfDeadLetters, PARKED_IS_WOKEN),
        (wrong_limits.KeepsSlotsOfNacks, PARKED_IS_WOKEN),
        (wrong_limits.KeepsSlotsOfChains, "test_a_chain_frees_the_slots_of_its_delivery"),
        (wrong_limits.WakesTheLastFirst, "test_the_first_that_was_accepted_is_woken_first"),
        (
            wrong_limits.WakesOnlyOnRelease,
            "test_one_that_finds_its_other_slot_full_lets_the_next_one_go",
        ),
        (
            wrong_limits.ParkedFreesItsKey,
            "test_a_parked_delivery_holds_back_the_others_of_its_key",
        ),
        (wrong_limits.ForgetsStarts, "test_a_start_counts_when_its_delivery_is_settled"),
        (
            wrong_limits.NeverStartsAgain,
            "test_deliveries_above_a_rate_come_one_after_the_other",
        ),
        (wrong_limits.IgnoresGroups, "test_groups_of_one_priority_come_in_turn"),
        (wrong_limits.IgnoresFairnessKeys, "test_groups_of_one_priority_come_in_turn"),
        (wrong_limits.IgnoresPriorities, "test_a_higher_priority_has_a_larger_share"),
        (wrong_limits.StarvesLowPriorities, "test_a_higher_priority_has_a_larger_share"),
        (
            wrong_limits.HonoursThePast,
            "test_a_group_that_comes_later_has_no_claim_to_the_past",
        ),
        (wrong_limits.LetsNewcomersPass, "test_none_that_comes_passes_those_that_wait"),
        (
            wrong_limits.ParkedFreesItsKey,
            "test_a_priority_does_not_break_the_order_of_a_key",
        ),
        (wrong.FiresEarly, "test_a_timer_fires_once_and_not_early"),
        (wrong.FiresTwice, "test_a_timer_fires_once_and_not_early"),
        (wrong.LosesDeadLetters, "test_a_dead_letter_preserves_all_its_fields"),
        (wrong.DeadLettersWithoutSettling, "test_a_dead_letter_preserves_all_its_fields"),
        (wrong.RedrivesRepeatedly, "test_a_dead_letter_is_redriven_or_deleted_once"),
        (wrong.ListsAllDeadLetters, "test_dead_letters_are_listed_in_pages_and_by_subject"),
        (wrong.ListsActsOldestFirst, "test_acts_of_operators_are_listed_newest_first"),
        (wrong.ListsAllActs, "test_acts_of_operators_are_listed_newest_first"),
        (wrong.CountsVersionsOfEndedWorkflows, "test_workflows_are_counted_by_version"),
        (wrong.ListsLastTimersFirst, "test_timers_are_listed_by_their_due_time"),
        (wrong.GroupsByReason, "test_dead_letters_are_selected_and_counted_in_groups"),
        (
            wrong.ListsDeadLettersOfAllCauses,
            "test_dead_letters_are_selected_and_counted_in_groups",
        ),
        (
            wrong.RestartsAtDeletedDeadLetters,
            "test_dead_letters_are_listed_in_pages_and_by_subject",
        ),
        (wrong.ReplacesUnicode, "test_unusual_values_round_trip"),
        (wrong.AcceptsAnySize, "test_a_larger_event_is_refused"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_wrong_backend_is_found(make: Any, test: str) -> None:
    """By the test that is named after its fault, with a report of a few calls."""
    failed = failures(type("Kit", (OfBackend,), {"make": make}), test)

    assert list(failed) == [test]
    report = failed[test].__notes__[-1].splitlines()
    assert report[0] == "calls before the failure:"
    assert 1 <= len(report[1:]) <= CALLS_REPORTED_MAX


ARCHIVED = "test_a_finished_workflow_is_archived_before_it_is_removed"
UNWRITTEN = "test_a_workflow_stays_while_the_archive_cannot_be_written"


@pytest.mark.parametrize(
    ("make", "tests"),
    [
        (wrong_archives.Archiving, set()),
        (wrong_archives.ArchivesNothing, {ARCHIVED, UNWRITTEN}),
        (wrong_archives.RemovesWhatItCannotArchive, {UNWRITTEN}),
        (wrong_archives.ArchivesAfterwards, {ARCHIVED, UNWRITTEN}),
        (wrong_archives.ArchivesFailedWorkflows, {ARCHIVED}),
        (wrong_archives.ArchivesWithoutHistory, {ARCHIVED}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_wrong_archive_is_found(make: Any, tests: set[str]) -> None:
    """A workflow that was removed without it is gone for good."""
    kit = type("Kit", (OfArchive,), {"make": make, "timeout": 30.0})

    assert failures(kit, ARCHIVED, UNWRITTEN).keys() == tests


def test_a_wrong_registry_is_found() -> None:
    """An old worker would find no new one there."""
    test = "test_registered_services_are_listed_until_they_are_deregistered"
    assert list(failures(type("Kit", (OfBackend,), {"make": wrong.ForgetsServices}), test)) == [
        test
    ]


@pytest.mark.parametrize(
    ("make", "test"),
    [
        (wrong.WritesWithoutComparing, "test_a_write_on_another_revision_conflicts"),
        (wrong.ComparesBeforeItWrites, "test_concurrent_writes_are_linearizable"),
        (wrong.TruncatesSubjects, "test_unusual_subjects_are_distinct"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_wrong_memory_is_found(make: Any, test: str) -> None:
    """An atomic compare-and-set is the only promise of a machine memory."""
    assert test in failures(type("Kit", (OfMemory,), {"make": make}), test)


@pytest.mark.parametrize(
    ("make", "test"),
    [
        (wrong.AcknowledgesStaleDeliveries, "test_a_stale_delivery_settles_nothing"),
        (wrong.NeverRedelivers, "test_an_unsettled_message_is_redelivered"),
        (wrong.ReversesMessages, "test_published_messages_are_delivered_in_order"),
        (wrong.DeliversTwice, "test_two_consumers_share_messages_without_duplicates"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_wrong_broker_is_found(make: Any, test: str) -> None:
    """A broker delivers at least once, and to one consumer at a time."""
    assert test in failures(type("Kit", (OfBroker,), {"make": make}), test)


@pytest.mark.parametrize(
    ("make", "test"),
    [
        (wrong_order.ForgetsKeys, "test_the_next_message_of_a_key_waits_until_one_is_acked"),
        (wrong_order.ReleasesKeysOnNack, "test_a_nacked_message_holds_back_its_key_and_no_other"),
        (wrong_order.HoldsKeysOnDefer, "test_a_deferred_message_lets_those_of_its_key_pass"),
        (wrong_order.HoldsKeysOfDeadLetters, "test_a_dead_letter_lets_the_next_message_pass"),
        (wrong_order.SeesNoOthers, "test_the_others_of_a_key_are_seen"),
        (wrong_order.HasOneKey, "test_many_messages_of_a_busy_key_hold_back_no_other"),
        (wrong_order.TimersWait, "test_a_timer_neither_waits_nor_holds_back"),
        (wrong.NeverRedelivers, "test_a_message_of_an_ended_iteration_comes_first_again"),
        (wrong.ReversesMessages, "test_many_consumers_settle_each_key_in_order"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_broker_without_order_is_found(make: Any, test: str) -> None:
    """A workflow would see its events in another order, or wait for ever."""
    assert test in failures(type("Kit", (OfOrderedBroker,), {"make": make}), test)


def test_a_correct_backend_passes_with_the_same_timeout() -> None:
    """Otherwise the short timeout would be the reason for the failures above."""
    kit = type("Kit", (OfBackend,), {"make": lambda queue_max: MemoryBackend(queue_max=queue_max)})

    # A machine that stalls uses up the short timeout, but not in each attempt.
    failed = failures(kit)
    for _ in range(ATTEMPTS):
        failed = failures(kit, *failed) if failed else {}

    assert failed == {}


def test_a_failure_reports_the_calls_before_it() -> None:
    """With the results of the calls; events are shown by their ids."""
    kit = type("Kit", (OfBackend,), {"make": wrong.DropsDeadLettersOfCommits})

    with pytest.raises(AssertionError) as failed:
        kit().test_a_commit_is_applied_completely()

    encoded = repr(subject())
    shown = f"{encoded[:60]} … {encoded[-18:]}"
    assert failed.value.__notes__ == [
        "calls before the failure:\n"
        "  send(event 'begin' to ToHandler) → None\n"
        "  receive('arvo.orc.kit.workflow') → delivery 1 of event 'begin'\n"
        "  commit(delivery 1 of event 'begin', commit on revision 0 of record at revision 1,"
        " [event 'ask' to ToHandler], [dead letter 'lost']) → Committed()\n"
        "  load(" + shown + ") → record at revision 1\n"
        "  receive('com.kit.service') → delivery 1 of event 'ask'\n"
        "  dead_letters() → []"
    ]


@pytest.mark.parametrize(
    ("history", "possible"),
    [
        ([], True),
        ([Span(Read(0), 1, 2), Span(Swap(0, 1), 3, 4), Span(Read(1), 5, 6)], True),
        # Reads a revision that was overwritten before the read was invoked.
        ([Span(Swap(0, 1), 1, 2), Span(Read(0), 3, 4)], False),
        # The same, but concurrent: the read may have come first.
        ([Span(Swap(0, 1), 1, 4), Span(Read(0), 2, 3)], True),
        # Two compare-and-sets from the same revision both succeed.
        ([Span(Swap(0, 1), 1, 4), Span(Swap(0, 1), 2, 3)], False),
        ([Span(Swap(0, 1), 1, 4), Span(Refusal(0, 1), 2, 3)], True),
        # Refused because of a write that was invoked later.
        ([Span(Refusal(0, 1), 1, 2), Span(Swap(0, 1), 3, 4)], False),
        # Refused although the expected revision is the current one.
        ([Span(Refusal(0, 0), 1, 2)], False),
    ],
)
def test_a_history_is_linearizable_if_one_register_allows_it(
    history: list[Span], possible: bool
) -> None:
    """This is the meaning of "in some serial order"."""
    assert (find_linearization(history) is not None) is possible


class Uncounted(BackendConformance):
    """A backend that releases the deliveries of a dead worker like those of one that stops."""

    timeout = TIMEOUT_SECONDS * 10
    is_durable = True

    async def backend(self) -> Any:
        return SqliteBackend(str(self.tmp_path / "arvo.db"))

    async def expire_lease(self, backend: Any) -> None:
        with closing(sqlite3.connect(self.tmp_path / "arvo.db")) as file, file:
            deregister(file, backend.worker_id)


def test_a_backend_that_counts_no_deaths_is_found() -> None:
    """An event that ends each of its workers would do so for ever."""
    names = ("test_the_deaths_of_workers_are_counted", "test_a_worker_that_stops_has_not_died")

    assert failures(Uncounted, *names).keys() == set(names)


def test_a_backend_that_takes_reports_of_a_stale_worker_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They would mix with those of the worker that performs the effect anew."""
    everything = "insert into report (subject, at, content) select ?1, ?2, ?3 where ?4 or ?5 <> ''"
    name = "test_a_worker_that_lost_its_delivery_reports_nothing"
    assert not failures(Uncounted, name)

    monkeypatch.setattr(sqlite_reports, "_ADD", everything)

    assert failures(Uncounted, name).keys() == {name}


def test_a_test_that_does_not_apply_is_reported() -> None:
    """A durable backend whose author forgets to set a flag must not pass with half of the tests."""
    make = {"make": lambda queue_max: MemoryBackend(queue_max=queue_max)}
    kit: Any = type("Kit", (OfBackend,), make)

    with pytest.raises(SkipTest, match="is_durable is False: set it to True"):
        kit().test_a_sent_event_survives_a_restart()

    report = kit.run_all()
    assert "test_an_event_is_consumed_once" in report.passed
    assert "test_a_commit_of_a_stale_worker_is_fenced" in report.skipped
    tests = {name for name in dir(kit) if name.startswith("test_")}
    assert {*report.passed, *report.skipped} == tests


@pytest.mark.parametrize(
    "kit",
    [BackendConformance, BrokerConformance, MachineMemoryConformance, OrderedBrokerConformance],
)
def test_no_part_of_a_kit_replaces_a_method_of_another_part(kit: type[Kit]) -> None:
    """The tests of the other part would call it, and mean their own."""
    parts = [each for each in kit.__mro__ if issubclass(each, Kit) and each is not Kit]
    names = Counter(
        name
        for part in parts
        for name in vars(part)
        if not name.startswith("__") and name not in vars(Kit)
    )

    assert [name for name, number in names.items() if number > 1] == []


def test_a_kit_without_a_test_that_applies_fails() -> None:
    """It would prove nothing."""

    class Empty(OfMemory):
        make = MemoryBackend

    for name in [name for name in dir(Empty) if name.startswith("test_")]:
        setattr(Empty, name, MachineMemoryConformance.test_a_written_record_survives_a_restart)

    with pytest.raises(AssertionError, match="Empty has no test that applies"):
        Empty.run_all()
