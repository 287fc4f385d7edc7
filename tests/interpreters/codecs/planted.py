"""Planted: a system with a secret in payloads, states, journals, checkpoints and dead letters."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

from attrs import frozen

from arvo import (
    Backend,
    Commands,
    Effects,
    Emit,
    Event,
    EventHandler,
    ExecutionViolation,
    Flow,
    OrchestratorContract,
    Persist,
    Resumable,
    Runtime,
    Schedule,
    SimpleContract,
    System,
    Turn,
    Version,
    Violate,
    Workflow,
    ask,
    call,
    flow,
    report,
    sleep,
)
from arvo.codecs import Codec
from arvo.core.contracts.contract import Contract
from arvo.interpreters.reports.channel import find_channel

SECRET: Final = "4929-planted-1337"  # noqa: S105 - the number of a card
SOURCE: Final = "com.shop.web"
WORKFLOWS: Final = ("order-1", "journey-1")
TIMEOUT: Final = 60


@frozen
class Order:
    card: str


@frozen
class Charge:
    card: str


@frozen
class Look(Charge):
    pass


@frozen
class Charged:
    card: str


@frozen
class Peek:
    why: str


@frozen
class Seen:
    card: str


def _service(name: str, accepts: type) -> Contract[Any]:
    version: Version[Any] = Version(accepts=accepts, emits={f"evt.{name}.done": Charged})
    return Contract(uri=f"#/{name}", type=f"com.{name}", versions={"1.0.0": version})


def _workflow(name: str) -> OrchestratorContract[Any, Any]:
    workflow: Workflow[Any, Any] = Workflow(init=Order, complete=Seen)
    return OrchestratorContract(uri=f"#/{name}", name=name, versions={"1.0.0": workflow})


charge, refuse, look = (
    _service("charge", Charge),
    _service("refuse", Charge),
    _service("look", Look),
)
peek: Final = SimpleContract(
    uri="#/peek", type="com.peek", versions={"1.0.0": Version(accepts=Peek, emits=Seen)}
)
order, journey = _workflow("order"), _workflow("journey")


def keep(turn: Turn[Order]) -> Commands:
    """Keep the card in its state and in a timer, charge it, and show it to who asks."""
    match turn.event.data:
        case Order(card=card):
            reminder = Schedule("reminder", after=timedelta(days=1), payload={"card": card})
            return Persist(Order(card)), Emit(Charge(card)), reminder
        case Peek():
            return Emit(Seen(turn.state.card))
        case _:
            return Persist(turn.state)


@flow(journey, "1.0.0", services=[charge["1.0.0"]])
def travel(event: Event[Order]) -> Flow[Seen]:
    """Have the answer of a service in its journal."""
    charged = yield from ask(Charge(event.data.card), Charged)
    yield from sleep(timedelta(days=1))
    return Seen(charged.card)


def take(event: Event[Charge]) -> Emit:
    return Emit(Charged(event.data.card))


def give_up(event: Event[Charge]) -> Violate:
    return Violate(ExecutionViolation("it is refused"))


@asynccontextmanager
async def planted(backend: str | Backend, codec: Codec | None) -> AsyncIterator[Runtime]:
    """Run the system until the secret is in all of its places, and while the block runs.

    *codec*: that of a URL.
    """
    reached, released, read = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def fetch() -> str:
        return SECRET

    async def hang() -> None:
        while not read.is_set():
            report({"card": SECRET})
            await asyncio.sleep(0.01)
        reached.set()
        await released.wait()

    def look_up(event: Event[Look]) -> Effects[Emit]:
        card = yield from call(fetch)
        yield from call(hang)
        return Emit(Charged(card))

    keeping = Resumable(
        order, {"1.0.0": keep}, services=[charge["1.0.0"]], signals=[peek["1.0.0"]], state=Order
    )
    handlers: list[Any] = [
        *(keeping, travel, EventHandler(charge, {"1.0.0": take})),
        *(EventHandler(refuse, {"1.0.0": give_up}), EventHandler(look, {"1.0.0": look_up})),
    ]
    async with Runtime(System(handlers), backend, codec=codec) as runtime:
        for contract, id_ in ((order, "order-1"), (journey, "journey-1")):
            event = contract["1.0.0"].init(Order(SECRET), source=SOURCE, workflow_id=id_)
            await runtime.send(event)
        await runtime.send(refuse["1.0.0"].accepts(Charge(SECRET), source=SOURCE))
        looking = look["1.0.0"].accepts(Look(SECRET), source=SOURCE)
        reading = asyncio.create_task(_read_report(runtime, looking.subject, read))
        await runtime.send(looking)
        async with asyncio.timeout(TIMEOUT):
            await reading
            await reached.wait()
            # Queues of their own: a broker may deliver to one long before the other.
            while not await _has_begun(runtime):  # noqa: ASYNC110 - the backend signals nothing
                await asyncio.sleep(0.01)
            seen = await runtime.ask("order-1", Peek("why"), id="peek-1", timeout=TIMEOUT)
            while not await _is_planted(runtime):  # noqa: ASYNC110 - the backend signals nothing
                await asyncio.sleep(0.01)
        assert seen.data == Seen(SECRET)
        try:
            yield runtime
        finally:
            released.set()


async def _has_begun(runtime: Runtime) -> bool:
    return all([await runtime.record(id_) is not None for id_ in WORKFLOWS])


async def _read_report(runtime: Runtime, subject: str, read: asyncio.Event) -> None:
    """Read a report, where the backend carries any."""
    channel = find_channel(runtime.backend)
    if channel is not None:
        async with channel.read(subject) as reader:
            while not (batches := await reader.take()):  # noqa: ASYNC110 - it does not wait
                await asyncio.sleep(0.01)
        assert SECRET.encode() in batches[0]
    read.set()


async def _is_planted(runtime: Runtime) -> bool:
    """Return whether both workflows have their replies, and the refused event is a dead letter."""
    replies = [len((await runtime.describe(id_)).record.replies) for id_ in WORKFLOWS]
    return all(replies) and bool(await runtime.dead_letters())


async def shown(runtime: Runtime) -> str:
    """Return all that an operator sees of the workflows and the dead letters."""
    parts = [str((await runtime.describe(id_)).record.to_dict()) for id_ in WORKFLOWS]
    parts += [str(entry.event.to_dict()) for entry in await runtime.dead_letters()]
    return "\n".join(parts)
