"""Limits: what a runtime does with the limits of its handlers, on each backend."""

import asyncio
from collections.abc import Callable

import pytest
from attrs import define, field

from arvo import (
    Backend,
    Effects,
    Emit,
    Event,
    EventHandler,
    InMemoryMachineMemory,
    Limit,
    MemoryBroker,
    Runtime,
    System,
    Violated,
    call,
)
from arvo.interpreters.paired.backend import Pair
from tests.interpreters.runtime.running import On
from tests.shop import (
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    charge,
    charge_request,
    fulfilment,
    order_request,
    payment_handler,
    shipping,
)


@define
class Terminal:
    """An effect that ends when it is told to, and knows how many of it run."""

    running: int = 0
    most: int = 0
    began: list[str] = field(factory=list)
    may_end: asyncio.Event = field(factory=asyncio.Event)

    async def pay(self, order_id: str) -> str:
        self.began.append(order_id)
        self.running += 1
        self.most = max(self.most, self.running)
        await self.may_end.wait()
        self.running -= 1
        return order_id


def payments_by(terminal: Terminal, *limits: Limit) -> System:
    """Return a system that takes payments by an effect, with limits."""

    def take_payment(event: Event[ChargeCard]) -> Effects[Emit]:
        receipt = yield from call(terminal.pay, event.data.order_id)
        return Emit(CardCharged(receipt))

    return System([EventHandler(charge, {"1.0.0": take_payment}, limits=limits)])


def payment(order_id: str, number: int) -> Event[ChargeCard]:
    payload = ChargeCard(order_id, 1.0)
    return charge["1.0.0"].accepts(payload, source="com.shop.web", id=f"{order_id}-{number}")


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; the caller limits how long."""
    while not condition():  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0.001)


def test_no_more_effects_run_than_a_limit_allows(on: On) -> None:
    """And all of them run in the end."""
    terminal = Terminal()

    async def work(runtime: Runtime) -> None:
        requests = [asyncio.create_task(runtime.request(payment("o", n), 60)) for n in range(8)]
        await until(lambda: terminal.running == 2)
        terminal.may_end.set()
        await asyncio.gather(*requests)

    on(payments_by(terminal, Limit(concurrent=2)), work)

    assert terminal.most == 2
    assert len(terminal.began) == 8


def test_a_full_key_does_not_hold_back_the_others(on: On) -> None:
    """One customer with a thousand events does not keep the others waiting."""
    terminal = Terminal()
    limit = Limit(concurrent=1, per=lambda event: event.data.order_id)

    async def work(runtime: Runtime) -> None:
        events = [payment("many", n) for n in range(20)] + [payment("one", 0), payment("two", 0)]
        requests = [asyncio.create_task(runtime.request(event, 60)) for event in events]
        await until(lambda: {"many", "one", "two"} <= set(terminal.began))
        assert terminal.began.count("many") == 1
        terminal.may_end.set()
        await asyncio.gather(*requests)

    on(payments_by(terminal, limit), work)


@pytest.mark.parametrize(
    ("limit", "passed"),
    [
        (Limit(concurrent=1, fairness_key=lambda event: event.data.order_id), 2),
        (Limit(concurrent=1, priority=lambda event: 9 * (event.data.order_id == "one")), 1),
    ],
    ids=["fairness", "priority"],
)
def test_many_events_of_one_customer_do_not_delay_another(
    on: On, limit: Limit, passed: int
) -> None:
    """All share one place; the one that comes last waits for so many others."""
    terminal = Terminal()

    async def work(runtime: Runtime) -> None:
        async def send(*events: Event[ChargeCard]) -> None:
            requests.extend(asyncio.create_task(runtime.request(each, 60)) for each in events)
            while (await runtime.depth()).delayed != len(requests) - 1:  # noqa: ASYNC110
                await asyncio.sleep(0.001)

        requests: list[asyncio.Task[object]] = []
        await send(payment("many", 0))
        await send(*(payment("many", number) for number in range(1, 12)))
        await send(payment("one", 0))
        terminal.may_end.set()
        await asyncio.gather(*requests)

    on(payments_by(terminal, limit), work)

    # The first one was at work when the last one came.
    assert terminal.began.index("one") <= 1 + passed


def test_a_rate_limits_how_often_events_begin(on: On) -> None:
    """The rest waits, and is processed when earlier starts count no more."""
    handled = System(
        [
            EventHandler(
                charge,
                {"1.0.0": lambda event: Emit(CardCharged(event.data.order_id))},
                limits=[Limit(rate=2, seconds=86_400)],
            )
        ]
    )

    async def work(runtime: Runtime) -> None:
        for number in range(5):
            await runtime.send(payment("o", number))
        await until(lambda: runtime.stats().handled == 2)
        while (await runtime.depth()).delayed < 3:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.001)
        assert runtime.stats().handled == 2

    on(handled, work)


def test_limits_hold_within_a_chain(on: On) -> None:
    """A workflow and the services that it calls are taken in one tick; a limited one is not."""
    limited = payment_handler(lambda event: Emit(CardCharged(event.data.order_id)))
    limited = EventHandler(
        limited.contract,
        limited.functions,
        limits=[Limit(concurrent=1), Limit(rate=100, seconds=1)],
    )
    system = System([fulfilment, limited, shipping])

    async def work(runtime: Runtime) -> None:
        events = [order_request(f"i{number}") for number in range(10)]
        answers = await asyncio.gather(*(runtime.request(event, 60) for event in events))
        assert all(isinstance(answer.data, OrderFulfilled) for answer in answers)

    on(system, work)


def test_an_event_whose_key_fails_is_a_dead_letter(on: On) -> None:
    """The author has to mend the function; then an operator redrives the event."""
    limit = Limit(concurrent=1, per=lambda event: event.data.customer)
    terminal = Terminal()

    async def work(runtime: Runtime) -> None:
        with pytest.raises(Violated, match=r"limits\[0\]\.per"):
            await runtime.request(charge_request(), 60)
        [dead] = await runtime.dead_letters()
        assert "AttributeError" in dead.reason

    on(payments_by(terminal, limit), work)

    assert terminal.began == []


def test_a_pair_refuses_handlers_with_limits() -> None:
    """Its broker delivers to each process by itself; silently, a limit would not hold."""
    backend: Backend = Pair(InMemoryMachineMemory(), MemoryBroker())

    with pytest.raises(Violated, match=r"the limits of com\.payment\.charge") as refused:
        Runtime(payments_by(Terminal(), Limit(concurrent=1)), backend)

    assert "backend: expected memory, SQLite or Postgres" in str(refused.value)
    Runtime(payments_by(Terminal()), backend)
