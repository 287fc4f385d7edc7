"""Laws of pairs: whatever a store and a broker may do, the end is the same."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, TypeAlias, get_args

from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from arvo import Event, Record, System
from tests.interpreters.paired.test_outbox import patient
from tests.interpreters.runtime.crashes import Fate, Kind, World, sent
from tests.shop import payments, placing, shipping, workflow

Chance: TypeAlias = tuple[int, int | None]
SYSTEM = System([payments, shipping, workflow(patient)])
# So little that no workflow is kept from its end by the timer that should never fire.
MINUTES = st.integers(0, 3)
CHANCES: st.SearchStrategy[list[Chance]] = st.lists(
    st.tuples(MINUTES, st.none() | MINUTES), max_size=25
)
# Lives that end early, or see an outage; the last one is lived in peace.
FATES = st.lists(
    st.builds(Fate, st.integers(0, 40), st.sampled_from(get_args(Kind)), st.integers(1, 8)),
    max_size=4,
)


def told(record: Record | None) -> tuple[Any, ...]:
    """Say all of a record but the times of events."""
    assert record is not None
    awaited = [
        (id_, [reply.id for reply in replies]) for id_, replies in record.pending_requests.items()
    ]
    return record.status, record.revision, record.state, awaited, record.produced, record.timers


async def ended(
    events: Sequence[Event[Any]], fates: Sequence[Fate], chances: Sequence[Chance]
) -> dict[str, Any]:
    """Live one life after the other, and say how all ended."""
    world = World(chances=deque(chances))
    calm = world.backend(Fate())
    async with asyncio.timeout(30):
        await sent(calm, SYSTEM, events)
        for fate in (*fates, Fate()):
            await world.live(SYSTEM, fate)
            note(f"crashed: {fate.crashed.is_set()}")
    dead_letters = {dead_letter.event.id for dead_letter in await calm.dead_letters()}
    ids = {event.id: event.subject for event in events}
    return {
        "records": {id_: told(await calm.load(subject)) for id_, subject in ids.items()},
        "seen": world.seen,
        "letters": dead_letters,
        "depth": await calm.depth(),
    }


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8), FATES, CHANCES)
def test_duplicates_delays_outages_and_crashes_leave_no_trace(
    numbers: list[int], fates: list[Fate], chances: list[Chance]
) -> None:
    """I1, I2: nothing is lost, nothing is consumed twice, and ids seen outside are the same."""
    events = [placing(f"i{number}") for number in numbers]

    peace = asyncio.run(ended(events, [], []))
    storm = asyncio.run(ended(events, fates, chances))

    assert storm == peace
