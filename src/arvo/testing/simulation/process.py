"""Process: a simulated worker process, and the only way by which it reaches the store."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, TypeVar, final

from attrs import define, evolve, field

from arvo.core.commit import Commit
from arvo.core.record import Record
from arvo.handlers.effect import Perform, Performed
from arvo.interpreters.ports.backend import CommitResult, DeadLetter, Delivery, Message, Unavailable
from arvo.interpreters.runtime.effects import perform
from arvo.testing.simulation.faults import Crash, Drop, LostAnswer, Pause
from arvo.testing.simulation.network import Net
from arvo.testing.simulation.plan import LATENCY_SECONDS_MAX
from arvo.testing.simulation.trace import Decided

T = TypeVar("T")


@final
@define(eq=False)
class Process:
    """One process: it may die, stand still, be cut off from the store, and have a wrong clock.

    To its worker it is the backend: it has the operations that a worker calls. Each takes its time,
    reaches the store in one moment, and its answer takes time again.
    """

    name: str
    net: Net
    true_now: Callable[[], datetime]
    offset: timedelta = timedelta(0)
    died: Callable[["Process", float], None] = field(default=lambda _process, _seconds: None)
    tasks: list[asyncio.Task[None]] = field(factory=list, init=False)
    dead: bool = field(default=False, init=False)
    _chances: Random = field(init=False)
    _resumes: float = field(default=0.0, init=False)
    _cut: float = field(default=0.0, init=False)
    _decided: dict[asyncio.Task[Any] | None, Decided] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._chances = self.net.plan.chances(self.name)

    def now(self) -> datetime:
        """Tell the time by the clock of this process; what is decided is decided then."""
        now = self.true_now() + self.offset
        task = asyncio.current_task()
        self._decided[task] = evolve(self._decided.get(task, Decided(now)), now=now)
        return now

    async def perform(self, effect: Perform[Any]) -> Performed:
        """Answer an effect from the table, with its retries and its timeout, in virtual time."""
        function = self.net.effects.get(effect.function)
        if function is None:
            self.net.lacks = effect
            await _for_ever()
            raise AssertionError("for ever is over")
        table = function

        def called(*args: Any) -> Any:
            self.net.watch.world.performed.append(effect)
            return table(*args)

        await asyncio.sleep(self._latency())
        performed = evolve(await perform(evolve(effect, function=called)), effect=effect)
        task = asyncio.current_task()
        decided = self._decided[task]
        self._decided[task] = evolve(decided, performed=(*decided.performed, performed))
        return performed

    def stand_still(self, seconds: float) -> None:
        """Do nothing for a while; beyond the lease, others take it for dead."""
        self._resumes = max(self._resumes, _time() + seconds)
        self._expire_within(seconds)

    def cut_off(self, seconds: float) -> None:
        """Do not reach the store for a while."""
        self._cut = max(self._cut, _time() + seconds)
        self._expire_within(seconds)

    def die(self, seconds: float) -> None:
        """End at once, as when the power goes: nothing is given back. Another one follows."""
        self.dead = True
        for task in self.tasks:
            task.cancel()
        asyncio.get_running_loop().call_later(self.net.lease, self.net.store.give_back, self.name)
        self.died(self, seconds)

    async def receive(self, queue: str) -> Delivery:
        """Hand out the next delivery of a lane."""
        store, watch = self.net.store, self.net.watch
        while True:
            await self._reach()
            delivery = store.take(queue, self.name)
            if delivery is None:
                await self.net.wait(queue)
                continue
            dropped = [each for each in self.net.plan.next("delivery") if isinstance(each, Drop)]
            notes = store.entry(delivery).notes
            watch.handed(delivery, self.name, notes, arrived=not dropped)
            notes.clear()
            if not dropped:
                self._decided.pop(asyncio.current_task(), None)
                return delivery
            watch.note(delivery, str(dropped[0]))
            asyncio.get_running_loop().call_later(
                self.net.lease, store.give_back, self.name, delivery
            )

    async def load(self, subject: str) -> Record | None:
        """Give what is remembered of a workflow."""
        await self._reach()
        record = self.net.store.load(subject)
        self.net.watch.loaded(subject, record)
        await self._back()
        # What was decided before is decided anew on this.
        self._decided.pop(asyncio.current_task(), None)
        return record

    async def commit(
        self,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        """Apply a commit, or hear why not."""
        dead_letters = [self._named(dead_letter) for dead_letter in dead_letters]
        decided = self._decided[asyncio.current_task()]

        def work() -> CommitResult:
            applied = self.net.store.commit(self.name, delivery, commit, messages, dead_letters)
            self.net.watch.committed(delivery, commit, messages, dead_letters, applied, decided)
            return applied

        return await self._settle(delivery, work)

    async def ack(self, delivery: Delivery) -> None:
        """Settle a delivery that went out."""

        def work() -> None:
            if self.net.store.holds(self.name, delivery):
                self.net.watch.gone(delivery)
            self.net.store.ack(self.name, delivery)

        await self._settle(delivery, work)

    async def nack(self, delivery: Delivery, delay: float) -> None:
        """Hand a delivery out again later; also where the store is out of reach just now."""
        store = self.net.store
        try:
            await self._reach()
        except Unavailable:
            after = max(delay, self._cut - _time())
            asyncio.get_running_loop().call_later(after, store.nack, self.name, delivery, 0.0)
            raise
        store.nack(self.name, delivery, delay)
        self.net.watch.note(delivery, "will be tried again")
        await self._back()

    async def dead_letter(self, delivery: Delivery | None, dead_letter: DeadLetter) -> None:
        """Settle a delivery as a dead letter."""
        assert delivery is not None
        named = self._named(dead_letter)

        def work() -> None:
            if self.net.store.holds(self.name, delivery):
                self.net.watch.buried(delivery, named)
            self.net.store.dead_letter(self.name, delivery, named)

        await self._settle(delivery, work)

    async def _settle(self, delivery: Delivery, work: Callable[[], T]) -> T:
        """Do what settles a delivery, with the faults that hit it."""
        faults, note = self.net.plan.next("commit"), self.net.watch.note
        for fault in faults:
            note(delivery, str(fault))
            if isinstance(fault, Pause):
                self.stand_still(fault.seconds)
        await self._reach()
        for fault in faults:
            if isinstance(fault, Crash) and fault.when == "before":
                self.die(fault.seconds)
                await _for_ever()
        answer = work()
        for fault in faults:
            if isinstance(fault, Crash):
                self.die(fault.seconds)
                await _for_ever()
            if isinstance(fault, LostAnswer):
                raise Unavailable("the answer is lost")
        await self._back()
        return answer

    async def _reach(self) -> None:
        """Get to the store."""
        await asyncio.sleep(self._latency())
        await self._pass()

    async def _back(self) -> None:
        """Get an answer back from the store."""
        await asyncio.sleep(self._latency())
        await self._pass()

    async def _pass(self) -> None:
        if self._resumes > _time():
            await asyncio.sleep(self._resumes - _time())
            # It may have been stopped anew meanwhile.
            await self._pass()
            return
        if self.dead:
            await _for_ever()
        if self._cut > _time():
            raise Unavailable("the store is out of reach")

    def _latency(self) -> float:
        return self._chances.random() * LATENCY_SECONDS_MAX

    def _expire_within(self, seconds: float) -> None:
        if seconds > self.net.lease:
            asyncio.get_running_loop().call_later(
                self.net.lease, self.net.store.give_back, self.name
            )

    def _named(self, dead_letter: DeadLetter) -> DeadLetter:
        # Its id is made of chance; the same seed must give the same run.
        self.net.letters += 1
        return evolve(dead_letter, id=f"letter-{self.net.letters}")


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()


def _time() -> float:
    return asyncio.get_running_loop().time()
