"""Tick loop: takes all that is ready, steps it at once, and commits it in one transaction."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, cast, final

from attrs import define, field

from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.core.violations.violation import ExecutionViolation
from arvo.engine.chain import Tick
from arvo.engine.step.route import ToCaller, ToHandler
from arvo.interpreters.delivery.clock import whole_millisecond
from arvo.interpreters.ports.backend import AppliesBackpressure
from arvo.interpreters.ports.chains import CommitsChains
from arvo.interpreters.ports.errors import BlobMissing, BlobUnavailable, Unavailable
from arvo.interpreters.ports.messages import (
    REPLY_QUEUE,
    Delivery,
    Message,
    is_cancellation,
    key_of,
    queue_of,
)
from arvo.interpreters.ports.size import check_sizes
from arvo.interpreters.worker.chains import ChainTaker, Sent, TakenChain
from arvo.interpreters.worker.single_tasks import SingleTasks
from arvo.interpreters.worker.worker import Worker

# Deliveries in one tick: more save nothing, and delay the first of them.
TICK_MAX: Final = 1_024
# How long a tick steps before it commits what it has.
TICK_SECONDS: Final = 0.02
# A tick tries twice the deliveries for which the last one had time, or twice as many as that. It
# reads the records of all that it tries, so those of more would be read again in the next tick.
PORTION_FACTOR: Final = 2
PORTION_MIN: Final = 16


@final
@define(eq=False)
class TickLoop:
    """The loop of a *worker* on a backend that commits chains (see `CommitsChains`).

    What only computes is stepped in a tick. What waits, for an effect or for another attempt, is
    processed in a task of its own (*singles*).

    *claim_reply*: whether a request of this process waits for an event. If one does, the event is
    not stored; *on_reply* is called with it after the commit, *on_unanswered* if that failed.
    """

    worker: Worker
    backend: CommitsChains
    singles: SingleTasks
    claim_reply: Callable[[Event[Any]], bool]
    on_reply: Callable[[Event[Any]], None]
    on_unanswered: Callable[[Event[Any]], None]
    _sent: list[Sent] = field(factory=list, init=False)
    # Deliveries for which no tick had time yet, and how many of them the next one tries.
    _left: list[Delivery] = field(factory=list, init=False)
    _portion: int = field(default=TICK_MAX, init=False)
    _ready: asyncio.Event = field(factory=asyncio.Event, init=False)
    _is_ended: bool = field(default=False, init=False)
    _failure: Exception | None = field(default=None, init=False)
    _bounded: AppliesBackpressure | None = field(init=False)
    _chains: ChainTaker = field(init=False)
    _is_apart: bool = field(init=False)
    # Held during a tick.
    _ticking: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        # Checked once: `isinstance` with a protocol is slow.
        bounded = isinstance(self.backend, AppliesBackpressure)
        self._bounded = cast("AppliesBackpressure", self.backend) if bounded else None
        self._chains = ChainTaker(self.worker, self.backend, self.claim_reply)
        self._is_apart = self.backend.commits_apart

    async def run(self) -> None:
        """Take one tick after the other until `end`; wait while nothing is ready."""
        task, on_ready = asyncio.current_task(), self._ready.set
        assert task is not None
        self.singles.on_room = on_ready
        self.backend.subscribe(self.singles.room, on_ready)
        try:
            while not self._is_ended:
                if self._failure is not None:
                    raise self._failure
                self._ready.clear()
                async with self._ticking:
                    is_idle = not await self._tick()
                if is_idle:
                    self.worker.idle.add(task)
                    await self._ready.wait()
                    self.worker.idle.discard(task)
                else:
                    # In memory no tick waits for anything: events that make events without end
                    # would keep every other task of the process from running.
                    await asyncio.sleep(0)
        finally:
            self._is_ended = True
            self.backend.unsubscribe(on_ready)
            self._refuse_sent(self._sent)

    def fail(self, error: Exception) -> None:
        """End the loop with the error of a task that processed a delivery by itself."""
        self._failure = error
        self._ready.set()

    async def send(self, message: Message) -> bool:
        """Commit the turns of a message that enters; False if it has to be sent by itself."""
        if self._is_ended or self._is_apart or not self.singles.room.get(queue_of(message.to)):
            return False
        if is_cancellation(message):
            # It interrupts the turn in progress, whose commit looks for it among the messages.
            return False
        if queue_of(message.to) in self.worker.limiter.addresses:
            return False
        if self._bounded is not None:
            await self._bounded.wait_for_room()
        check_sizes([message], self.worker.system.data_bytes_max)
        sent = Sent(message, asyncio.get_running_loop().create_future())
        self._sent.append(sent)
        self._ready.set()
        return await sent.is_taken

    async def stop(self, queues: Collection[str], deadline: float) -> None:
        """Take no more deliveries of *queues*, and finish those in progress.

        *deadline*: the time of the loop's clock at which they are cancelled. Without the replies no
        further tick is taken.
        """
        self.singles.close(queues)
        if REPLY_QUEUE in queues:
            self._is_ended = True
            self._ready.set()
        # The tick in progress may start more of them.
        async with self._ticking:
            pass
        await self.singles.join(queues, deadline)

    async def _tick(self) -> bool:
        """Process all that is ready; False if nothing is."""
        sent, self._sent = self._sent, []
        waiting = self._left
        try:
            await self.worker.register()
            if not waiting:
                # Else there is no time for more.
                waiting = list(await self.backend.poll(self.singles.room, TICK_MAX))
            deliveries, self._left = waiting[: self._portion], waiting[self._portion :]
            records = await self._load(deliveries)
            if not deliveries and not sent:
                return False
            answers = [each for each in deliveries if isinstance(each.message.to, ToCaller)]
            others = [each for each in deliveries if not isinstance(each.message.to, ToCaller)]
            taken = await self._acquire(self._take([*others, *sent], records))
            taken += await self._take_answers(answers)
            self.singles.grow({queue_of(each.message.to) for each in deliveries})
            await self._commit_all(taken)
        except Unavailable as error:
            # Of `commit_chains` it is handled there.
            self._left = waiting
            self._refuse_sent(sent)
            await self.worker.pause(error)
        except BaseException:
            # The loop ends, and no sender may wait for a tick that does not come.
            self._refuse_sent(sent)
            raise
        return True

    async def _load(self, deliveries: Sequence[Delivery]) -> dict[str, Record]:
        """Read the records for the turns of *deliveries* that the cache lacks."""
        missing = [
            to.key
            for to, event in ((each.message.to, each.message.event) for each in deliveries)
            if isinstance(to, ToHandler) and to.key is not None
            # A workflow that begins has no record, or the commit finds it.
            if event.type != to.address and self.worker.records.get(to.key) is None
        ]
        try:
            return dict(await self.backend.load_all(missing)) if missing else {}
        except (BlobUnavailable, BlobMissing):
            # Of one of them. Without a record each is processed by itself.
            return {}

    def _take(
        self, arrivals: Sequence[Delivery | Sent], loaded: dict[str, Record]
    ) -> list[TakenChain]:
        """Step what there is time for, and start a task for what has to be processed by itself."""
        loop = asyncio.get_running_loop()
        deadline, cache = loop.time() + TICK_SECONDS, self.worker.records
        keys = {key_of(each.message.to) for each in arrivals}
        tick = Tick(
            system=self.worker.system,
            find_record=lambda key: loaded.get(key) or cache.get(key),
            now=whole_millisecond(self.worker.now()),
            keys=frozenset(key for key in keys if key is not None),
            step=self.worker.step,
            listened=self.worker.listeners.addresses,
            limited=self.worker.limiter.addresses,
        )
        taken: list[TakenChain] = []

        def is_over() -> bool:
            return loop.time() > deadline

        portion = self._portion
        for place, arrival in enumerate(arrivals):
            if is_over() and taken:
                portion = max(PORTION_MIN, place)
                self._put_back(arrivals[place:])
                break
            chain = self._chains.take(tick, arrival, is_over)
            if chain is None:
                self._process_alone(arrival)
            else:
                taken.append(chain)
        self._portion = min(TICK_MAX, PORTION_FACTOR * portion)
        return taken

    async def _acquire(self, taken: list[TakenChain]) -> list[TakenChain]:
        """Leave out the chains that find a limit full: their messages are parked.

        Not before the turns are taken, as they do nothing until they are committed: a delivery
        that turns out to need a task of its own takes its slots when that task begins.
        """
        limiter = self.worker.limiter
        if not limiter.addresses:
            return taken
        limited = {
            id(each): each.arrival
            for each in taken
            if isinstance(each.arrival, Delivery) and limiter.has_limits(each.arrival)
        }
        try:
            results = await limiter.acquire(list(limited.values()))
        except Unavailable:
            results = [ExecutionViolation("the slots are unknown")] * len(limited)
        held = dict(zip(limited, results, strict=True))
        ready: list[TakenChain] = []
        for each in taken:
            match held.get(id(each), True):
                case True:
                    ready.append(each)
                case False:
                    self.worker.stats.released += 1
                    self._discard(each)
                case ExecutionViolation():
                    self._refuse(each)
        return ready

    async def _take_answers(self, answers: Sequence[Delivery]) -> list[TakenChain]:
        """Take the answers whose end is known here, and start a task for each other one."""
        taken = await self._chains.take_answers(answers)
        settled = {id(each.arrival) for each in taken}
        for delivery in answers:
            if id(delivery) not in settled:
                self._process_alone(delivery)
        return taken

    async def _commit_all(self, taken: Sequence[TakenChain]) -> None:
        if not self._is_apart:
            await self._commit(taken)
            return
        for each in taken:
            assert isinstance(each.arrival, Delivery)
            self.singles.start_commit(each.arrival, self._commit([each]))

    async def _commit(self, taken: Sequence[TakenChain]) -> None:
        """Commit the chains of a tick, and process what was refused by itself."""
        if not taken:
            return
        for each in taken:
            for subject in each.chain.expected:
                self.worker.records.discard(subject)
        try:
            with self._committing():
                applied = await self.backend.commit_chains([each.chain for each in taken])
        except BaseException as error:
            if not isinstance(error, Unavailable):
                self._abandon(taken)
                raise
            for each in taken:
                self._refuse(each)
            return
        for each, is_applied in zip(taken, applied, strict=True):
            if is_applied:
                self._record(each)
            else:
                self._refuse(each)

    def _committing(self) -> AbstractContextManager[None]:
        observer = self.worker.observer
        return nullcontext() if observer is None else observer.committing()

    def _record(self, taken: TakenChain) -> None:
        for place, commit in enumerate(taken.chain.commits):
            observed = taken.observed
            # For the log alone, which most turns do not write to.
            is_silent = commit.outcome == "handled" and not commit.logs
            with nullcontext() if observed is None or is_silent else observed.recording(place):
                self.worker.record_commit(commit)
        for event in taken.replies:
            self.on_reply(event)
        self.worker.stats.answered += len(taken.replies) + (taken.end == "answered")
        self.worker.stats.unclaimed += taken.end == "unclaimed"
        if taken.observed is not None:
            taken.observed.settle(taken.chain.commits, taken.replies, taken.end)
        if isinstance(taken.arrival, Sent):
            taken.arrival.resolve(is_taken=True)

    def _refuse(self, taken: TakenChain) -> None:
        self._discard(taken)
        for delivery in taken.chain.deliveries:
            # Not in the next chain either: it would be refused for each of them once more.
            delivery.progress.is_single = True
        self._process_alone(taken.arrival)

    def _abandon(self, taken: Sequence[TakenChain]) -> None:
        """Leave what this worker commits no more: it is stopped, or broken."""
        for each in taken:
            self._discard(each)
            if isinstance(each.arrival, Sent):
                each.arrival.resolve(is_taken=False)

    def _discard(self, taken: TakenChain) -> None:
        for event in taken.replies:
            self.on_unanswered(event)
        if taken.observed is not None:
            taken.observed.discard()

    def _process_alone(self, arrival: Delivery | Sent) -> None:
        if isinstance(arrival, Sent):
            arrival.resolve(is_taken=False)
        else:
            self.singles.start(arrival)

    def _refuse_sent(self, sent: Sequence[Sent]) -> None:
        for each in sent:
            each.resolve(is_taken=False)

    def _put_back(self, arrivals: Sequence[Delivery | Sent]) -> None:
        """Keep what a tick had no time for, for the next one."""
        self._left[:0] = [each for each in arrivals if isinstance(each, Delivery)]
        self._sent[:0] = [each for each in arrivals if isinstance(each, Sent)]
