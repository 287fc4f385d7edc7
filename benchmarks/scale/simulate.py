"""Simulate: run workflows through simulated senders, workers and a store."""

from random import Random
from statistics import median, quantiles
from typing import Final, final

from attrs import Factory, define, field, frozen

from benchmarks.scale.queueing import Prices, Store, Worker, Writer
from benchmarks.scale.resources import Clock, Machine, Process

IN_FLIGHT: Final = 200
WORKFLOWS: Final = 4_000


@final
@frozen(kw_only=True)
class Forecast:
    """The result of a simulation.

    *rate*: workflows a second. *transactions*: for each workflow. *store_cores*: cores of the store
    in use. *median_ms* and *p99_ms*: the time of a workflow.
    """

    rate: float
    transactions: float
    store_cores: float
    median_ms: float
    p99_ms: float


@final
@frozen(kw_only=True)
class Deployment:
    """The processes of a simulation.

    *cores* and *speed*: of the workers' machine, and the share of each core that other programs
    leave. *store_cores*: the cores of the store's machine, None where it shares the workers'.
    """

    workers: int
    cores: int
    speed: float = 1.0
    store_cores: int | None = None
    senders: int = 1


def simulate(
    prices: Prices, deployment: Deployment, *, rate: float | None = None, number: int = WORKFLOWS
) -> Forecast:
    """Run *number* workflows through the workers and one store.

    *rate*: workflows a second that arrive at random. With None, each sender has IN_FLIGHT workflows
    on their way into the store, and sends the next one when one is stored.
    """
    simulation = _Simulation(prices, deployment, rate, number)
    simulation.start()
    clock, durations = simulation.clock, simulation.durations
    clock.run(lambda: len(durations) == number)
    return Forecast(
        rate=1000 * number / clock.now,
        transactions=simulation.store.transactions / number,
        store_cores=simulation.store.machine.busy_ms / clock.now,
        median_ms=median(durations),
        p99_ms=quantiles(durations, n=100)[98],
    )


@define(eq=False)
class _Simulation:
    prices: Prices
    deployment: Deployment
    rate: float | None
    remaining: int
    clock: Clock = field(factory=Clock)
    random: Random = field(factory=lambda: Random(0))
    durations: list[float] = field(factory=list)
    machine: Machine = field(
        default=Factory(
            lambda self: Machine(self.clock, self.deployment.cores, self.deployment.speed),
            takes_self=True,
        )
    )
    store: Store = field(init=False)
    workers: list[Worker] = field(init=False)
    senders: list[Process] = field(init=False)
    writers: list[Writer] = field(init=False)

    def __attrs_post_init__(self) -> None:
        own_cores = self.deployment.store_cores
        machine = self.machine if own_cores is None else Machine(self.clock, own_cores)
        self.store = Store(machine, self.prices)
        self.workers = [
            Worker(Process(self.machine), self.store, self._on_finished)
            for _ in range(self.deployment.workers)
        ]
        self.senders = [
            Process(self.machine if own_cores is None else Machine(self.clock, 1))
            for _ in range(self.deployment.senders)
        ]
        self.writers = [Writer(process, self.store, notifies=True) for process in self.senders]

    def start(self) -> None:
        if self.rate is not None:
            self._arrive(self.rate)
            return
        for position in range(IN_FLIGHT * len(self.senders)):
            self._send(position % len(self.senders))

    def _arrive(self, rate: float) -> None:
        if self.remaining:
            self._send(self.random.randrange(len(self.senders)))
            self.clock.call_later(self.random.expovariate(rate / 1000), lambda: self._arrive(rate))

    def _send(self, sender: int) -> None:
        if not self.remaining:
            return
        self.remaining -= 1
        started = self.clock.now

        def on_stored() -> None:
            self.store.queue.append(started)
            # The worker that gets the notification first is a random one.
            for worker in self.random.sample(self.workers, len(self.workers)):
                worker.claim()
            if self.rate is None:
                self._send(sender)

        writer = self.writers[sender]
        self.senders[sender].compute(self.prices.sender_unit, lambda: writer.write(on_stored))

    def _on_finished(self, started: float) -> None:
        self.durations.append(self.clock.now - started)
