"""Running: runtimes for tests, on each backend that needs no server."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import ContextVar
from typing import Any, TypeAlias, TypeVar

import attrs

from arvo import (
    Backend,
    Commands,
    Complete,
    Emit,
    Event,
    Persist,
    Retry,
    Runtime,
    Schedule,
    Stats,
    System,
    TimerFired,
    Turn,
)
from arvo.interpreters.ports.chains import CommitChain, CommitsChains
from arvo.testing.conformance.kit.proxy import show_attributes
from tests.shop import (
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    charge_request,
    make_workflow,
    order_request,
    payment_handler,
    payments,
    reply_to,
    shipping,
)

T = TypeVar("T")
# Makes a new backend for the current test.
MAKE_BACKEND: ContextVar[Callable[[], str | Backend]] = ContextVar("make_backend")
FAST = Retry(attempts=2, delay=0.0)


def within(work: Coroutine[Any, Any, T], seconds: float = 60.0) -> T:
    async def go() -> T:
        async with asyncio.timeout(seconds):
            return await work

    return asyncio.run(go())


def new_backend() -> str | Backend:
    """Make a new backend of the kind that this test runs on."""
    return MAKE_BACKEND.get()()


def run_runtime(
    system: System, work: Callable[[Runtime], Awaitable[T]], **options: Any
) -> tuple[T, Stats]:
    """Run *work*, wait until the system is idle, and return the result and the statistics."""

    async def go() -> tuple[T, Stats]:
        if "backend" not in options:
            options["backend"] = new_backend()
        async with Runtime(system, **options) as runtime:
            return await work(runtime), await runtime.drain(timeout=60)

    return within(go(), seconds=120)


def reply_to_an_unknown_workflow() -> Event[Any]:
    """Make an answer to a workflow that has never begun here."""
    request = charge_request(subject=order_request().subject, redirectto="arvo.orc.order.fulfil")
    return reply_to(request, CardCharged("r"))


async def refuse_chains(chains: Sequence[CommitChain]) -> list[bool]:
    """Commit none of the chains of a tick, so that each delivery is processed by itself."""
    return [False for _ in chains]


class Replaced:
    """A backend with some operations replaced, and the chains of a tick refused."""

    def __init__(self, backend: Backend, **operations: Any) -> None:
        self._backend = backend
        self._operations = operations
        if isinstance(backend, CommitsChains):
            self._operations.setdefault("commit_chains", refuse_chains)
        show_attributes(self, backend)

    def __getattr__(self, name: str) -> Any:
        return self._operations.get(name) or getattr(self._backend, name)


def emit_to_domain(domain: str) -> System:
    """Make a system whose only handler emits an event to a domain."""
    return System([payment_handler(lambda _: Emit(CardCharged("r"), domain=domain))])


Work: TypeAlias = Callable[[Runtime], Awaitable[None]]
On: TypeAlias = Callable[[System, Work], None]


@attrs.define
class Outage:
    """A workflow that fails while a service that it needs is down.

    *after*: the seconds of its timer.
    """

    down: str = ""
    after: float = 0.3
    fired: list[str] = attrs.field(factory=list)

    def turn(self, turn: Turn[Any]) -> Commands:
        kind = type(turn.event.data).__name__
        if kind == self.down:
            self.down = ""
            raise ConnectionError("the database is down")
        match turn.event.data:
            case PlaceOrder():
                return Persist(1), Emit(ChargeCard("o1", 1.0)), Schedule("soon", after=self.after)
            case CardCharged():
                return Persist(2), Emit(BookShipment("o1"))
            case TimerFired(name=name):
                self.fired.append(name)
                return None
            case ShipmentBooked(tracking=tracking):
                return Complete(OrderFulfilled(tracking)) if self.fired else Persist(3)
            case _:
                return None

    @property
    def system(self) -> System:
        return System([make_workflow(self.turn), payments, shipping])
