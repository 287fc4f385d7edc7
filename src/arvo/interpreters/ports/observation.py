"""Observation: one attempt at a message, as an observer of the worker sees it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, Final, Literal, Protocol, TypeAlias

from arvo.core.commit import Commit, Outcome
from arvo.core.events.event import Event
from arvo.core.trace_context import TraceContext
from arvo.core.violations.violation import Violation
from arvo.handlers.effect import Perform, Performed

# How a delivery ended. Those that a commit does not have, `Stats` explains. `discarded`: a turn of
# a chain that was not committed; its message is delivered by itself.
Settled: TypeAlias = (
    Outcome
    | Literal[
        "retried",
        "dead_lettered",
        "released",
        "sent_out",
        "answered",
        "unclaimed",
        "fenced",
        "discarded",
    ]
)


# The last four settle a message.
Activity: TypeAlias = Literal[
    "process", "acquire", "load", "listen", "commit", "ack", "nack", "dead_letter"
]


class EffectObservation(Protocol):
    """One effect of a turn, while it is performed."""

    def retried(self, attempt: int, wait: float, error: BaseException) -> None:
        """Attempt number *attempt* raised *error*; the next one begins in *wait* seconds."""
        ...

    def performed(self, done: Performed) -> None:
        """The effect has ended, with a result or an exception."""
        ...


class Observation(Protocol):
    """One attempt at a message: from the moment in which a worker takes it in hand, until its
    outcome is durable. No method may raise.
    """

    @property
    def trace(self) -> TraceContext | None:
        """The trace that the events of the attempt's turn carry; None: that of its cause."""
        ...

    def doing(self, activity: Activity) -> AbstractContextManager[None]:
        """Enter this context while the message is processed, its outcome is logged, the backend is
        called for it, or its listener is.
        """
        ...

    def performing(self, effect: Perform[Any]) -> AbstractContextManager[EffectObservation]:
        """Enter this context in the task that performs *effect*."""
        ...

    def stepped(self, seconds: float) -> None:
        """The handler was called, for *seconds*; a turn with effects calls it several times."""
        ...

    def forwarded(self, events: Sequence[Event[Any]]) -> None:
        """The turn was committed before, and its *events* are sent again: a crash or an outage came
        in between.
        """
        ...

    def conflicted(self, revision: int) -> None:
        """The commit met a newer record, of that *revision*; the step is taken again."""
        ...

    def settled(
        self,
        outcome: Settled,
        *,
        commit: Commit | None = None,
        violation: Violation | None = None,
        reason: str | None = None,
    ) -> None:
        """The attempt is over, and this is durable.

        *commit*: what was applied. *violation*, *reason*: why the message was returned or became a
        dead letter.
        """
        ...


# The effect that the current task performs, where it is observed.
EFFECT: Final[ContextVar[EffectObservation | None]] = ContextVar("arvo_effect", default=None)
