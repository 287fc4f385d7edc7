"""Events: what a chart hears."""

from typing import Any

from attrs import frozen

INIT_TYPE = "xstate.init"
DONE_PREFIX = "xstate.done.state."
AFTER_PREFIX = "xstate.after."
ACTOR_ERROR_PREFIX = "xstate.error.actor"


@frozen
class Event:
    """Something that happened: a type, and whatever data came with it.

    A chart takes any object with a ``type``, or an instance of a class that is a key in ``on``;
    this one is for those who have no event class of their own.
    """

    type: str
    data: object = None


@frozen
class Init:
    """The start of a chart: what entry actions and ``always`` guards see before any event."""

    input: object = None
    type: str = INIT_TYPE

    @property
    def data(self) -> Any:
        """The data of an *input* that is an event itself: one action serves the start and later."""
        return getattr(self.input, "data", None)


@frozen
class Done:
    """A compound or parallel state is finished; *output* is its final state's."""

    type: str
    output: object = None


def done_type(state_id: str) -> str:
    """Name the event that says *state_id* is finished."""
    return DONE_PREFIX + state_id


def after_type(delay: str, state_id: str) -> str:
    """Name the event, and the timer, of the *delay* that starts when *state_id* is entered."""
    return f"{AFTER_PREFIX}{delay}.{state_id}"
