"""Stores: a console over a backend that holds workflows of each kind and in each state."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated, Any, Final, TypeVar

import httpx
from attrs import evolve, frozen
from starlette.types import ASGIApp

from arvo import (
    Cancellation,
    Commands,
    Complete,
    Contract,
    Emit,
    Event,
    EventHandler,
    Fail,
    Flow,
    Machine,
    Orchestrator,
    OrchestratorContract,
    Persist,
    Resumable,
    Runtime,
    Secret,
    System,
    Turn,
    Version,
    Workflow,
    ask,
    flow,
    sleep,
)
from arvo.console import console
from arvo.statechart import State, Transition, assign, emit
from tests.interpreters.within import within

T = TypeVar("T")
WEB: Final = "com.shop.web"
SECRET: Final = "pin-4711-secret"  # noqa: S105 - what no page may show
# What other programs may put into ids and texts: markup, escape codes, an order of its own.
HOSTILE: Final = "<img src=x onerror=alert(1)>\"'&\x1b[2J\u202e{{ 7*7 }}"


@frozen
class Charge:
    amount: float
    pin: Annotated[str, Secret()] = ""


@frozen
class Charged:
    receipt: str
    pin: Annotated[str, Secret()] = ""


@frozen
class Order:
    amount: float
    note: str = ""
    pin: Annotated[str, Secret()] = ""


@frozen
class Closed:
    receipt: str


@frozen
class Approved:
    by: str


@frozen
class OrderState:
    note: str
    amount: float
    pin: Annotated[str, Secret()] = ""
    receipt: str | None = None


charge = Contract(
    uri="#/contracts/charge",
    type="com.bank.charge",
    versions={"1.0.0": Version(accepts=Charge, emits={"evt.bank.charged": Charged})},
)
audit = Contract(
    uri="#/contracts/audit",
    type="com.shop.audit",
    versions={"1.0.0": Version(accepts=Order, emits={})},
)
approve = Contract(
    uri="#/contracts/approve",
    type="com.shop.approve",
    versions={"1.0.0": Version(accepts=Approved, emits={})},
)


def _contract(name: str) -> OrchestratorContract[Order, Closed]:
    return OrchestratorContract(
        uri=f"#/orchestrators/{name}",
        name=f"shop.{name}",
        versions={
            "1.0.0": Workflow(init=Order, complete=Closed),
            "2.0.0": Workflow(init=Order, complete=Closed),
        },
    )


turns, chart, flows = _contract("turns"), _contract("chart"), _contract("flow")
SERVICES: Final = (charge["1.0.0"],)
SIGNALS: Final = (approve["1.0.0"],)


def take_payment(event: Event[Charge]) -> Commands:
    """Charge; a negative amount is a fault, and one of 13 a bug that copies the secret."""
    if event.data.amount == 13:
        raise RuntimeError(f"cannot charge with {event.data.pin}")
    if event.data.amount == 500:
        return None
    return Emit(Charged(f"r-{event.data.amount:g}", event.data.pin))


def keep_books(event: Event[Order]) -> Commands:
    """Fail with a text that copies the secret, and what the sender wrote."""
    raise RuntimeError(f"{event.data.note} with {event.data.pin}")


def take_turn(turn: Turn[OrderState]) -> Commands:
    """Charge, and complete with the receipt."""
    match turn.event.data:
        case Order(amount=amount, note=note, pin=pin):
            return Persist(OrderState(note, amount, pin)), Emit(Charge(amount, pin))
        case Charged(receipt=receipt):
            return Persist(evolve(turn.state, receipt=receipt)), Complete(Closed(receipt))
        case Cancellation():
            return None
        case other:
            return Fail(f"unexpected: {type(other).__name__}, pin {turn.state.pin}")


machine = Machine(
    contract=chart["1.0.0"],
    services=SERVICES,
    signals=SIGNALS,
    context=OrderState,
    initial="open",
    output=lambda context, _: Closed(context.receipt or ""),
    states={
        "open": State(
            initial="charging",
            states={
                "charging": State(
                    entry=[emit(lambda c, _: Charge(c.amount, c.pin))],
                    on={
                        Charged: Transition(
                            "waiting", actions=assign(receipt=lambda _, e: e.data.receipt)
                        )
                    },
                ),
                "waiting": State(on={Approved: "#closed"}, after={timedelta(hours=1): "#closed"}),
            },
        ),
        "closed": State(id="closed", type="final"),
    },
)


def run_flow(event: Event[Order]) -> Flow[Closed]:
    """Charge, sleep, and complete."""
    order, notes = event.data, [event.data.note]
    charged = yield from ask(Charge(order.amount, order.pin), Charged)
    notes.append(charged.receipt)
    yield from sleep(timedelta(hours=1))
    return Closed(charged.receipt)


bank = EventHandler(charge, {"1.0.0": take_payment})
books = EventHandler(audit, {"1.0.0": keep_books}, on_error="dead-letter")
resumable = Resumable(
    turns,
    {"1.0.0": take_turn, "2.0.0": take_turn},
    services=SERVICES,
    signals=SIGNALS,
    state=OrderState,
    labels=lambda state: {"note": state.note[:40], "amount": state.amount},
)
flow_handler = flow(flows, "1.0.0", services=SERVICES)(run_flow)
system = System([bank, books, resumable, Orchestrator([machine]), flow_handler])


def begin(contract: OrchestratorContract[Order, Closed], key: str, order: Order) -> Event[Order]:
    """Make the event that begins a workflow."""
    return contract["1.0.0"].init(order, source=WEB, workflow_id=key)


ORDERS: Final[Mapping[str, Event[Order]]] = {
    "done-1": begin(turns, "done-1", Order(10, pin=SECRET)),
    "waits-1": begin(turns, "waits-1", Order(500, HOSTILE.replace("\x1b[2J\u202e", ""), SECRET)),
    "failed-1": begin(turns, "failed-1", Order(13, pin=SECRET)),
    "chart-1": begin(chart, "chart-1", Order(10, pin=SECRET)),
    "flow-1": begin(flows, "flow-1", Order(10, "a flow", SECRET)),
    "a/b <i>?#%": begin(turns, "a/b <i>?#%", Order(20, pin=SECRET)),
}


AUDITS: Final = tuple(
    audit["1.0.0"].accepts(Order(amount, HOSTILE, SECRET), source=WEB, subject=f"audit-{amount}")
    for amount in (1, 2, 3)
)
# More than a page prints.
LARGE: Final = begin(turns, "large-1", Order(10, "x" * 300_000, SECRET))


@asynccontextmanager
async def filled(backend: str = "memory:") -> AsyncIterator[Runtime]:
    """Yield a runtime whose backend holds the orders, with nothing under way."""
    async with Runtime(system, backend) as runtime:
        for event in (*ORDERS.values(), *AUDITS):
            await runtime.send(event)
        await runtime.drain(timeout=60)
        yield runtime


def browse(app: ASGIApp, **headers: str) -> httpx.AsyncClient:
    """Return a browser of an app in this process, which follows no redirect."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://127.0.0.1", headers=headers
    )


def with_console(
    use: Callable[[httpx.AsyncClient, Runtime], Awaitable[T]],
    backend: str = "memory:",
    **options: Any,
) -> T:
    """Use a console over the orders."""

    async def go() -> T:
        async with filled(backend) as runtime, browse(console(runtime, **options)) as browser:
            return await use(browser, runtime)

    # Generous: a loaded machine is slow, and only a failure waits for it.
    return within(go(), 150)
