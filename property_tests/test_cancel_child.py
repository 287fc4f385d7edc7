"""Cancel child: of any children, those that are named and have not replied end, and no others."""

from hypothesis import given
from hypothesis import strategies as st

from tests.jobs import run_jobs, statuses

NAMES = st.sampled_from(["a", "b", "c", "quick-1", "quick-2"])


@given(names=st.lists(NAMES, unique=True, max_size=5), stopped=st.lists(NAMES, max_size=8))
def test_a_child_is_cancelled_once_if_it_is_named_and_open(
    names: list[str], stopped: list[str]
) -> None:
    trace = run_jobs(names, stopped)

    def expected(name: str) -> str:
        if name.startswith("quick"):
            return "done"
        return "cancelled" if name in stopped else "active"

    [parent] = [record for record in trace.records.values() if record.parent is None]
    assert statuses(trace) == {name: expected(name) for name in names}
    assert len(parent.open_children) == [*statuses(trace).values()].count("active")
    cancellations = [event for event in trace.events if event.type.endswith(".cancel")]
    assert len({event.subject for event in cancellations}) == len(cancellations)
    assert (trace.violations, trace.unroutable) == ((), ())
