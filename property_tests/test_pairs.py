"""Laws of pairs: faults of the store, the index and the broker do not change the outcome."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, TypeAlias, get_args

import pytest
from hypothesis import event as label
from hypothesis import given
from hypothesis import strategies as st

from arvo import Event, Record, System
from tests.interpreters.crashes import CallFault, FaultKind, Surroundings, send_all
from tests.interpreters.paired.test_outbox import patient
from tests.shop import make_workflow, order_request, payments, shipping

# The minutes by which a message is delayed, and by which a duplicate of it is, None for none.
DeliveryFault: TypeAlias = tuple[int, int | None]
SYSTEM = System([payments, shipping, make_workflow(patient)])
# Short delays: the workflow's own timer, which should never fire, must not end it.
MINUTES = st.integers(0, 3)
DELIVERY_FAULTS: st.SearchStrategy[list[DeliveryFault]] = st.lists(
    st.tuples(MINUTES, st.none() | MINUTES), max_size=25
)
# Processes that crash early, or run through an outage. A last process runs without a fault.
CALL_FAULTS = st.lists(
    st.builds(
        CallFault, st.integers(0, 40), st.sampled_from(get_args(FaultKind)), st.integers(1, 8)
    ),
    max_size=4,
)


def without_times(record: Record | None) -> tuple[Any, ...]:
    """Return all of a record except the times of events."""
    assert record is not None
    replies = [
        (id_, [reply.id for reply in record.replies.to(id_)]) for id_ in record.pending_requests
    ]
    return record.status, record.revision, record.state, replies, record.produced, record.timers


async def run_processes(
    events: Sequence[Event[Any]],
    call_faults: Sequence[CallFault],
    delivery_faults: Sequence[DeliveryFault],
) -> dict[str, Any]:
    """Run one process after the other, and return what remains at the end."""
    surroundings = Surroundings(delivery_faults=deque(delivery_faults))
    observer = surroundings.open_backend(CallFault())
    async with asyncio.timeout(30):
        await send_all(observer, SYSTEM, events)
        for fault in (*call_faults, CallFault()):
            await surroundings.run_process(SYSTEM, fault)
            label(f"crashed: {fault.crashed.is_set()}")
    await surroundings.check_index()
    subjects = {event.id: event.subject for event in events}
    return {
        "records": {
            id_: without_times(await observer.load(subject)) for id_, subject in subjects.items()
        },
        "outbound": surroundings.outbound,
        "dead_letters": {dead.event.id for dead in await observer.dead_letters()},
        "depth": await observer.depth(),
    }


@pytest.mark.promise("I1", "I2")
@given(st.lists(st.integers(0, 3), min_size=1, max_size=8), CALL_FAULTS, DELIVERY_FAULTS)
def test_duplicates_delays_outages_and_crashes_do_not_change_the_outcome(
    numbers: list[int], call_faults: list[CallFault], delivery_faults: list[DeliveryFault]
) -> None:
    """No event is lost, none is consumed twice, outbound events keep their ids, and at the end the
    index has each record and each turn once.
    """
    events = [order_request(f"i{number}") for number in numbers]

    undisturbed = asyncio.run(run_processes(events, [], []))
    disturbed = asyncio.run(run_processes(events, call_faults, delivery_faults))

    assert disturbed == undisturbed
