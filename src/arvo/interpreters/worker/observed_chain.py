"""Observed chain: the observations of the turns of one chain, until it is committed."""

import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, final

from attrs import define, field

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.trace_context import TraceContext
from arvo.engine.step.route import ToCaller
from arvo.interpreters.ports.chains import message_of_turn
from arvo.interpreters.ports.messages import Delivery, Message
from arvo.interpreters.ports.observation import Observation, Settled
from arvo.interpreters.ports.observer import Observer

_NANOSECONDS: Final = 1_000_000_000


@final
@define(eq=False)
class ObservedChain:
    """The turns that follow from *message*, which enters now or is that of the first of *line*.

    *line*: a delivery and those behind it, which have the first turns of the chain, or some of
    them. *began*: when the tick took the message in hand, in nanoseconds since 1970.
    """

    observer: Observer
    message: Message
    line: Sequence[Delivery]
    began: int
    _turns: list[Observation] = field(factory=list, init=False)

    def trace(self, commit: Commit) -> TraceContext | None:
        """Begin the observation of a turn that was just taken, and return its trace."""
        message, delivery = self._consumed(commit)
        observation = self.observer.received(message, delivery, self.began)
        if delivery is not None and not self._turns:
            delivery.progress.observation = observation
        self._turns.append(observation)
        # The turns of a chain follow each other.
        began, self.began = self.began, time.time_ns()
        observation.stepped((self.began - began) / _NANOSECONDS)
        return observation.trace

    def recording(self, place: int) -> AbstractContextManager[None]:
        """Return the context in which the outcome of a turn is logged."""
        return self._turns[place].doing("process")

    def settle(
        self, commits: Sequence[Commit], replies: Iterable[Event[Any]], end: Settled | None
    ) -> None:
        """End the observations: the chain is committed, and requests here wait for *replies*.

        *end*: how the answer that is the chain's message ended, if it is one.
        """
        for first in self.line[:1]:
            first.progress.observation = None
        for observation, commit in zip(self._turns, commits, strict=True):
            observation.settled(commit.outcome, commit=commit)
        for event in replies:
            message = Message(event, ToCaller(event.to or event.source))
            # One that no turn emits is a delivery itself.
            delivery = self.line[0] if self.line and not commits else None
            self.observer.received(message, delivery, self.began).settled("answered")
        if end is not None:
            self.observer.received(self.message, self.line[0], self.began).settled(end)

    def discard(self) -> None:
        """End the observations of a chain that is not committed.

        That of the first delivery goes on: it is processed by itself. Those behind it wait.
        """
        for observation in self._turns[1 if self.line else 0 :]:
            observation.settled("discarded")

    def _consumed(self, commit: Commit) -> tuple[Message, Delivery | None]:
        """Return the message that the next turn consumes, and its delivery if it has one."""
        place = len(self._turns)
        if not place:
            return self.message, self.line[0] if self.line else None
        if place < len(self.line):
            message, event = self.line[place].message, self.line[place].message.event
            # That of a commit has the payload of its contract.
            if (event.id, event.source) == (commit.event.id, commit.event.source):
                return message, self.line[place]
        return message_of_turn(commit), None
