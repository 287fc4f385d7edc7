"""Process: a simulated worker process, and its connection to the store and the broker."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context, copy_context
from datetime import datetime, timedelta
from math import inf
from random import Random
from typing import Any, final

from attrs import define, evolve, field

from arvo.engine.system.system import System
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import DeadLetter, Delivery
from arvo.testing.simulation.cluster.loop import TASKS, loop_time, wait_forever
from arvo.testing.simulation.cluster.network import Network
from arvo.testing.simulation.cluster.services import ProcessServices
from arvo.testing.simulation.cluster.stepper import Stepper
from arvo.testing.simulation.faults.fault import Fault, Pause, Server
from arvo.testing.simulation.faults.plan import LATENCY_SECONDS_MAX


@final
@define(eq=False)
class Process:
    """A process that may crash, be paused, be disconnected from a server, and have a wrong clock.

    *system*: the version of the system that it runs. *tasks*: those that it was started with.
    *holders*: the names under which it holds deliveries.
    """

    name: str
    system: System
    network: Network
    true_now: Callable[[], datetime]
    offset: timedelta = timedelta(0)
    on_crash: Callable[["Process", float], None] = field(default=lambda _process, _seconds: None)
    tasks: list[asyncio.Task[None]] = field(factory=list, init=False)
    holders: list[str] = field(init=False)
    is_dead: bool = field(default=False, init=False)
    services: ProcessServices = field(init=False)
    stepper: Stepper = field(init=False)
    _all_tasks: list[asyncio.Task[Any]] = field(factory=list, init=False)
    _context: Context = field(factory=copy_context, init=False)
    _random: Random = field(init=False)
    _paused_until: float = field(default=0.0, init=False)
    _disconnected_until: float = field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self.holders = [self.name]
        self._random = self.network.plan.random(self.name)
        self._context.run(TASKS.set, self._all_tasks)
        self.services = ProcessServices(self.network.registry, self.name, self.send_request)
        self.stepper = Stepper(self.network, self._latency, self.crash)

    def start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Start a task of this process; it ends with the process, and so do those it starts."""
        loop = self.network.loop
        self.tasks.append(self._context.run(loop.create_task, work, name=f"{self.name} {name}"))

    def now(self) -> datetime:
        """Return the time by this process's clock."""
        return self.true_now() + self.offset

    def pause(self, seconds: float) -> None:
        """Do nothing for *seconds*; after the lease, other workers get the deliveries."""
        self._paused_until = max(self._paused_until, loop_time() + seconds)
        self._end_lease_after(seconds)

    def disconnect(self, seconds: float) -> None:
        """Make all servers unreachable for *seconds*."""
        self._disconnected_until = max(self._disconnected_until, loop_time() + seconds)
        self._end_lease_after(seconds)

    def crash(self, seconds: float) -> None:
        """End at once without releasing deliveries; another process follows after *seconds*."""
        self.end()
        self._end_lease_after(inf)
        self.on_crash(self, seconds)

    def end(self) -> None:
        """Cancel all tasks."""
        self.is_dead = True
        for task in self._all_tasks:
            task.cancel()

    async def crash_now(self, seconds: float) -> None:
        """Crash in the middle of an operation of this process."""
        self.crash(seconds)
        await wait_forever()

    def on_receive(self, delivery: Delivery, faults: Sequence[Fault]) -> None:
        """Record what the current task handles from now on, and apply the faults that hit it."""
        self.on_start(delivery)
        for fault in faults:
            self.network.on_client(fault, delivery)

    def on_start(self, delivery: Delivery) -> None:
        """Record what the current task handles from now on."""
        self.services.forget()
        self.stepper.handle(delivery)

    def on_settle(self, *deliveries: Delivery) -> Sequence[Fault]:
        """Return the faults that hit the next commit, which is that of *deliveries*."""
        faults = self.network.plan.next("commit")
        for fault in faults:
            for delivery in deliveries:
                self.network.checker.add_note(delivery, str(fault))
            if isinstance(fault, Pause):
                self.pause(fault.seconds)
        return faults

    async def send_request(self, server: Server = "store") -> None:
        """Wait until a request reaches a server; raises `Unavailable` if it cannot."""
        await asyncio.sleep(self._latency())
        await self._check_connection(server)

    async def receive_response(self, server: Server = "store") -> None:
        """Wait until a response arrives; raises `Unavailable` if it cannot."""
        await asyncio.sleep(self._latency())
        await self._check_connection(server)

    @property
    def reconnects_at(self) -> float:
        """The time from which the servers can be reached again."""
        return max(self._disconnected_until, *self.network.down_until.values(), 0.0)

    def with_sequential_id(self, dead_letter: DeadLetter) -> DeadLetter:
        """Give a dead letter an id that is the same in every run of a seed."""
        # A worker gives dead letters random ids, and the same seed must give the same run.
        self.network.dead_letter_count += 1
        return evolve(dead_letter, id=f"dead-letter-{self.network.dead_letter_count}")

    async def _check_connection(self, server: Server) -> None:
        if self._paused_until > loop_time():
            await asyncio.sleep(self._paused_until - loop_time())
            # The process may have been paused again meanwhile.
            await self._check_connection(server)
            return
        if self.is_dead:
            await wait_forever()
        down_until = self.network.down_until.get(server, 0.0)
        if max(self._disconnected_until, down_until) > loop_time():
            raise Unavailable(f"the {server} cannot be reached")

    def _latency(self) -> float:
        return self._random.random() * LATENCY_SECONDS_MAX

    def _end_lease_after(self, seconds: float) -> None:
        """Renew no lease for *seconds*: if it expires, the deliveries go to other processes."""
        self.network.registry.silence(self.name, loop_time(), loop_time() + seconds)
        if seconds > self.network.lease:
            loop = asyncio.get_running_loop()
            loop.call_later(self.network.lease, self.lose_lease)

    def lose_lease(self) -> None:
        """Make the deliveries of this process available to others."""
        for holder in self.holders:
            self.network.checker.limits.end_all(holder)
            self.network.queue.release(holder)
