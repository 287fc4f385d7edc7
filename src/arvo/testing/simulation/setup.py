"""Setup: the system to simulate, its environment and its workers."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from math import inf
from random import Random
from typing import Any, Literal, TypeAlias, final

from attrs import field, frozen

from arvo.core.events.event import Event
from arvo.engine.step.doors import check_outside
from arvo.engine.system.system import System
from arvo.handlers.effect import EffectTable
from arvo.interpreters.worker.worker import Worker
from arvo.testing.simulation.checks.invariant import Check
from arvo.testing.simulation.cluster.storage import Storage, StoreStorage
from arvo.testing.simulation.cluster.store import Store
from arvo.testing.simulation.faults.forgery import Door
from arvo.testing.simulation.pair.model import PairModel, open_pair

# By domain, a function that receives an event and returns the events to send back; None is for all
# other domains.
DomainListeners: TypeAlias = Mapping[
    str | None, Callable[[Event[Any]], Iterable[Event[Any]] | None]
]


# The kinds of storage: a store with transactions, or a pair of a record store and a broker.
StorageKind: TypeAlias = Literal["store", "pair"]


@final
@frozen(kw_only=True)
class Setup:
    """The parts that all runs of a simulation share: see the arguments of `simulate`."""

    system: System
    older: System | None = None
    checks: tuple[Check, ...] = ()
    effects: EffectTable = field(factory=dict)
    domain_listeners: DomainListeners = field(factory=dict)
    workers: int = 3
    prefetch: int = 2
    lease: float = 5.0
    until: float = inf
    storage: StorageKind = "store"
    store: type[Store] = Store
    pair: PairModel = field(factory=PairModel)
    worker: type[Worker] = Worker
    door: Door = check_outside

    def open(
        self,
        now: Callable[[], datetime],
        time: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], object],
        random: Random,
    ) -> Storage:
        """Make the servers of a run. *now*, *time*, *call_later*: see `MessageQueue`."""
        if self.storage == "pair":
            return open_pair(self.pair, now, time, call_later, random)
        return StoreStorage(self.store(now, time, call_later))


def require_events(events: Iterable[Event[Any]]) -> tuple[Event[Any], ...]:
    """Return *events*; raises TypeError if there are none, as then nothing happens."""
    found = tuple(events)
    if not found:
        raise TypeError("events: expected at least one event to send, got none")
    return found
