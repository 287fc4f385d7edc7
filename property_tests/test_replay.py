"""Laws of replays: a history replayed by the system that made it agrees, up to any point."""

from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from arvo import System, Trace, replay, run
from property_tests.test_family import lives
from property_tests.test_timers import SCRIPTS, Script, scripted
from tests.family import family
from tests.histories import histories_of
from tests.shop import NOW, placing


def agrees(system: System, trace: Trace, until: int) -> None:
    """Replay each workflow of a run, whole and up to a point."""
    records = [commit.record for commit in trace.commits if commit.record is not None]
    known = {(record.subject, record.revision): record for record in records}
    for subject, history in histories_of(trace).items():
        whole = replay(system, history, record=trace.records[subject])
        part = replay(system, history, until=until)

        assert whole.agrees, str(whole)
        assert whole.record == trace.records[subject]
        assert part.agrees, str(part)
        assert part.record == known[subject, min(until, history[-1].revision)]


@given(SCRIPTS, st.integers(1, 10))
def test_a_workflow_with_timers_is_replayed_to_the_same(script: Script, until: int) -> None:
    """I3, I7: timers are set for the same times, and cleared by the same turns."""
    system = scripted(script)
    trace = run(system, placing(), now=NOW, steps_max=30)

    note(f"turns: {min(len(trace.commits), 5)}")
    agrees(system, trace, until)


@given(lives(), st.integers(1, 5))
def test_a_family_of_workflows_is_replayed_to_the_same(trace: Trace, until: int) -> None:
    """Children, failures, undos and cancellations are what a turn comes to as well."""
    note(f"workflows: {min(len(trace.records), 5)}")
    agrees(family, trace, until)
