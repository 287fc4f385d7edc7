"""Laws of replay: a history agrees with the system that made it, up to any turn."""

import pytest
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from arvo import System, Trace, replay, run
from property_tests.test_family import family_runs
from property_tests.test_timers import SCRIPTS, Script, scripted
from tests.family import family
from tests.histories import histories_of
from tests.shop import NOW, order_request


def agrees(system: System, trace: Trace, until: int) -> None:
    """Replay each workflow of a run, completely and up to a revision."""
    records = [commit.record for commit in trace.commits if commit.record is not None]
    known = {(record.subject, record.revision): record for record in records}
    for subject, history in histories_of(trace).items():
        whole = replay(system, history, record=trace.records[subject])
        part = replay(system, history, until=until)

        assert whole.agrees, str(whole)
        assert whole.record == trace.records[subject]
        assert part.agrees, str(part)
        assert part.record == known[subject, min(until, history[-1].revision)]


@pytest.mark.promise("I3", "I7")
@given(SCRIPTS, st.integers(1, 10))
def test_a_workflow_with_timers_agrees_with_its_replay(script: Script, until: int) -> None:
    """I3, I7: the same turns set timers for the same times and clear them."""
    system = scripted(script)
    trace = run(system, order_request(), now=NOW, steps_max=30)

    note(f"turns: {min(len(trace.commits), 5)}")
    agrees(system, trace, until)


@given(family_runs(), st.integers(1, 5))
def test_a_family_of_workflows_agrees_with_its_replay(trace: Trace, until: int) -> None:
    """A turn may also start children, fail, compensate and be cancelled."""
    note(f"workflows: {min(len(trace.records), 5)}")
    agrees(family, trace, until)
