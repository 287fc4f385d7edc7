"""Events: the events that a chart receives, and the types of those it raises itself."""

from typing import Any

from attrs import frozen

INIT_TYPE = "xstate.init"
DONE_PREFIX = "xstate.done.state."
AFTER_PREFIX = "xstate.after."
ACTOR_ERROR_PREFIX = "xstate.error.actor"


@frozen
class Event:
    """An event: a type and its data.

    A chart accepts any object with a ``type``, and any instance of a class that is a key of
    ``on``. This class serves callers that have no event class of their own.
    """

    type: str
    data: object = None


@frozen
class Init:
    """The start of a chart: entry actions and ``always`` guards see it before any other event."""

    input: object = None
    type: str = INIT_TYPE

    @property
    def data(self) -> Any:
        """The data of *input* if that is an event: one action then serves the start and later."""
        return getattr(self.input, "data", None)


@frozen
class Done:
    """A compound or parallel state is finished. *output* is the output of its final state."""

    type: str
    output: object = None


def done_type(state_id: str) -> str:
    """Return the type of the event that reports *state_id* as finished."""
    return DONE_PREFIX + state_id


def after_type(delay: str, state_id: str) -> str:
    """Return the event type, and timer id, of the *delay* that starts on entry to *state_id*."""
    return f"{AFTER_PREFIX}{delay}.{state_id}"
