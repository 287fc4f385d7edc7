"""Laws of histories: an event reads the same from memory and from bytes."""

from attrs import evolve
from hypothesis import event as note
from hypothesis import given

from arvo import Event, System, Trace, run
from arvo.core.history import HistoryEntry
from arvo.engine.history.typed import typed_entry
from property_tests.test_family import family_runs
from property_tests.test_timers import SCRIPTS, Script, scripted
from tests.family import family
from tests.histories import histories_of
from tests.shop import NOW, order_request


def stored(entry: HistoryEntry) -> HistoryEntry:
    """Return an entry as a database returns it."""
    return entry if entry.event is None else evolve(entry, event=Event.parse(entry.event.to_json()))


def reads_the_same(system: System, trace: Trace) -> None:
    """Read each history of a run with the system, with its workflows alone, and with nothing."""
    for reader in (system, System(system.handlers[-1:]), System([])):
        for history in histories_of(trace).values():
            for entry in history:
                here, there = typed_entry(reader, entry), typed_entry(reader, stored(entry))
                assert here.event is not None
                assert there.event is not None
                assert here == there == entry
                assert type(here.event.data) is type(there.event.data)
                assert here.event.data == there.event.data


@given(SCRIPTS)
def test_the_history_of_timers_reads_the_same_from_everywhere(script: Script) -> None:
    """A tool that is written against the memory backend works on a database."""
    trace = run(scripted(script), order_request(), now=NOW, steps_max=30)

    note(f"turns: {min(len(trace.commits), 5)}")
    reads_the_same(scripted(script), trace)


@given(family_runs())
def test_the_history_of_a_family_reads_the_same_from_everywhere(trace: Trace) -> None:
    """Children, failures and cancellations too."""
    note(f"workflows: {min(len(trace.records), 5)}")
    reads_the_same(family, trace)
