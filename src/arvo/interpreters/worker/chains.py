"""Chains: takes the chain of a message that a tick has in hand."""

import asyncio
import time
from collections.abc import Callable, Sequence
from itertools import islice, takewhile
from typing import Any, Final, Literal, TypeAlias, final

from attrs import define, frozen

from arvo.core.events.event import Event
from arvo.engine.chain import Chain, Tick
from arvo.engine.step.route import ToCaller, ToHandler
from arvo.interpreters.ports.chains import CommitChain, CommitsChains
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import Delivery, Message
from arvo.interpreters.worker.observed_chain import ObservedChain
from arvo.interpreters.worker.worker import Worker
from arvo.interrupts import is_interrupt

# Messages of one workflow in one tick: a transaction costs little for each of so many, and another
# workflow waits no longer than their turns take.
KEY_MAX: Final = 128

# A request had its answer already, or no request and no listener waits for it.
AnswerEnd: TypeAlias = Literal["answered", "unclaimed"]


@final
@frozen
class Sent:
    """A message that enters now; the future of its sender is True when it was committed."""

    message: Message
    is_taken: "asyncio.Future[bool]"

    def resolve(self, *, is_taken: bool) -> None:
        """Tell the sender whether its message was committed."""
        if not self.is_taken.done():
            self.is_taken.set_result(is_taken)


@final
@frozen
class TakenChain:
    """A chain of a tick, and the replies in it that requests of this process wait for.

    *end*: how the answer of a chain without turns ended, if no request has claimed it.
    """

    chain: CommitChain
    replies: tuple[Event[Any], ...]
    arrival: Delivery | Sent
    observed: ObservedChain | None = None
    end: AnswerEnd | None = None


@final
@define(eq=False)
class ChainTaker:
    """Steps a message, those that wait behind it, and what follows from them.

    *claim_reply*: see `TickLoop`.
    """

    worker: Worker
    backend: CommitsChains
    claim_reply: Callable[[Event[Any]], bool]

    def take(
        self, tick: Tick, arrival: Delivery | Sent, is_over: Callable[[], bool]
    ) -> TakenChain | None:
        """Take the chain of a message; None if it has to be processed by itself.

        The messages that wait behind it for its workflow are part of the chain, until *is_over*.
        """
        message, to = arrival.message, arrival.message.to
        delivery = arrival if isinstance(arrival, Delivery) else None
        if message.outside or (delivery is not None and _is_single(delivery)):
            return None
        if not isinstance(to, ToHandler) or to.address in self.worker.listeners.addresses:
            return None
        if delivery is None and to.key is not None and self.backend.is_busy(to.key, ()):
            return None
        line = [] if delivery is None else self._line_of(delivery)
        followers = (
            (each.message.event, each.message.to)
            for each in takewhile(lambda _: not is_over(), line[1:])
            if isinstance(each.message.to, ToHandler)
        )

        def is_busy(key: str, number: int) -> bool:
            return self.backend.is_busy(key, line[: number + 1])

        observed = self._observe(message, line)
        trace = None if observed is None else observed.trace
        try:
            taken = tick.take(message.event, to, is_busy, followers, trace)
        except BaseException as error:
            if observed is not None:
                observed.discard()
            if is_interrupt(error):
                raise
            # User code that is called outside of a handler's function, or a bug of ours. The task
            # in which it is processed by itself reports it.
            return None
        if taken is None:
            return None
        chain = self._address(taken, message, line[: taken.followers + 1])
        replies = tuple(reply.event for reply in chain.replies)
        return TakenChain(chain, replies, arrival, observed)

    async def take_answers(self, answers: Sequence[Delivery]) -> list[TakenChain]:
        """Take the answers to requests of this process, and those that no process takes: their
        senders wait for no answer. The others have to be processed by themselves.
        """
        ready = [each for each in answers if not _is_single(each)]
        taken = [self._settle(each, None) for each in ready if self.claim_reply(each.message.event)]
        claimed = {id(each.arrival) for each in taken}
        rest = [each for each in ready if id(each) not in claimed]
        try:
            callers = await self.worker.directory.callers() if rest else frozenset()
        except Unavailable:
            return taken
        for each in rest:
            end = self._end_of(each, callers)
            if end is not None:
                taken.append(self._settle(each, end))
        return taken

    def _end_of(self, delivery: Delivery, callers: frozenset[str]) -> AnswerEnd | None:
        """Return how an answer ends; None if a listener takes it. *callers*: those of others."""
        to, worker = delivery.message.to, self.worker
        assert isinstance(to, ToCaller)
        if worker.on_answered(delivery.message.event):
            return "answered"
        has_listener = worker.listeners.find(to) is not None
        is_elsewhere = to.address in callers or worker.directory.remembers(to.address)
        return None if has_listener or is_elsewhere else "unclaimed"

    def _settle(self, delivery: Delivery, end: AnswerEnd | None) -> TakenChain:
        """Make the chain of an answer; without an *end* a request has claimed it."""
        message = delivery.message
        chain = CommitChain(message=message, deliveries=(delivery,), commits=())
        replies = (message.event,) if end is None else ()
        return TakenChain(chain, replies, delivery, self._observe(message, [delivery]), end)

    def _line_of(self, delivery: Delivery) -> list[Delivery]:
        """Return a delivery and those behind it that may be in its chain."""
        if self.worker.limiter.has_limits(delivery):
            # Each takes its own slots.
            return [delivery]
        followers = islice(self.backend.followers(delivery), KEY_MAX - 1)
        return [delivery, *takewhile(lambda each: not _is_single(each), followers)]

    def _observe(self, message: Message, line: Sequence[Delivery]) -> ObservedChain | None:
        observer = self.worker.observer
        if observer is None:
            return None
        return ObservedChain(observer, message, line, time.time_ns())

    def _address(
        self, chain: Chain, message: Message, deliveries: Sequence[Delivery]
    ) -> CommitChain:
        """Address the events that a chain leaves, and find those that are replies for this
        process.
        """
        messages: list[Message] = []
        replies: list[Message] = []
        for event, to in chain.events:
            if isinstance(to, ToCaller) and self.claim_reply(event):
                replies.append(Message(event, to))
                continue
            addressed = self.worker.address(event, to)
            # A chain ends before a turn that emits an event without a destination.
            assert isinstance(addressed, Message)
            messages.append(addressed)
        return CommitChain(
            message=message,
            deliveries=tuple(deliveries),
            commits=chain.commits,
            messages=tuple(messages),
            replies=tuple(replies),
        )


def _is_single(delivery: Delivery) -> bool:
    """Return whether a delivery is processed by itself: a chain would hide what becomes of it."""
    return (
        delivery.attempt > 1
        or delivery.deaths > 0
        or delivery.message.outside
        or bool(delivery.message.unreadable)
        or delivery.message.lacks_data
        or delivery.progress.is_single
        or bool(delivery.progress.data)
    )
