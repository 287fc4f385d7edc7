"""What if: takes a turn of a workflow again, with another event or other code; nothing is sent."""

import asyncio
from typing import Any, Final

from arvo.console.replay.slices import private_system
from arvo.console.replay.walks import Found
from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.violations.violation import Violation
from arvo.engine.history.replay_turn import NotReplayable, calls_between, replay_turn
from arvo.engine.system.system import System

# A turn computes and no more; one that takes longer has no end.
TURN_SECONDS: Final = 10.0


async def take_turn(
    system: System, found: Found, event: Event[Any]
) -> Commit | Violation | NotReplayable:
    """Take the turn of *found* on *event* with the code of *system*, in a thread.

    Its effects are not performed: their results are those that the turn had.
    """
    moment = found.moment
    if found.before is None and moment.revision > 1:
        return NotReplayable("the history does not hold the record before it")
    working = asyncio.to_thread(
        replay_turn,
        private_system(system),
        event,
        found.before,
        now=moment.at,
        calls=calls_between(found.before, moment.record),
        effects={},
    )
    try:
        async with asyncio.timeout(TURN_SECONDS):
            return await working
    except TimeoutError:
        return NotReplayable(f"the turn takes more than {TURN_SECONDS:g} s")
