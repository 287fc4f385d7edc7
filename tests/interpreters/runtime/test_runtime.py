"""Runtime: it starts, stops, and checks its arguments."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from arvo import (
    Client,
    Effects,
    Emit,
    Event,
    MemoryBackend,
    NoReply,
    Runtime,
    Stats,
    System,
    Violated,
    call,
    run,
    step,
)
from arvo.interpreters.ports.errors import Corrupt, Unavailable
from tests.interpreters.runtime.running import Replaced, new_backend, run_runtime, within
from tests.logged import logged
from tests.shop import (
    NOW,
    CardCharged,
    ChargeCard,
    charge_request,
    order_request,
    payment_handler,
    shop,
)

pytestmark = pytest.mark.usefixtures("each_backend")


def test_a_full_queue_makes_senders_wait_and_loses_nothing() -> None:
    """Every queue is bounded, even when each event leads to others."""

    async def work(runtime: Runtime) -> None:
        await asyncio.gather(*(runtime.send(order_request(f"i{n}")) for n in range(50)))

    _, stats = run_runtime(shop, work, backend=MemoryBackend(queue_max=2))

    assert stats == Stats(handled=250, unclaimed=50)


def test_a_stop_finishes_the_deliveries_in_progress_and_fails_pending_requests() -> None:
    """A graceful stop leaves no half-finished work and no caller that waits for ever."""
    started = asyncio.Event()
    finished: list[str] = []

    async def slow(key: str) -> None:
        started.set()
        await asyncio.sleep(0.05)
        finished.append(key)

    def handler(event: Event[ChargeCard]) -> Effects[Emit]:
        yield from call(slow, event.data.order_id)
        return Emit(CardCharged("r"))

    async def go() -> Stats:
        async with Runtime(
            System([payment_handler(handler)]), new_backend(), prefetch=1
        ) as runtime:
            first, second = (
                asyncio.create_task(runtime.request(charge_request(f"c{n}"), timeout=60))
                for n in (1, 2)
            )
            await started.wait()
        # What a handler finishes during the stop still goes home.
        assert (await first).data == CardCharged("r")
        with pytest.raises(NoReply, match="before event 'c2' was answered"):
            await second
        return runtime.stats()

    stats = within(go())

    assert finished == ["o1"]
    assert stats.handled == 1


def test_a_stop_fails_a_sender_that_waits_for_room() -> None:
    """It would wait for ever, because no worker makes room any more."""

    async def stuck(_: str) -> None:
        await asyncio.sleep(60)

    def handler(event: Event[ChargeCard]) -> Effects[None]:
        yield from call(stuck, event.data.order_id)

    async def go() -> None:
        runtime = Runtime(System([payment_handler(handler)]), MemoryBackend(queue_max=1))
        await runtime.__aenter__()
        await runtime.send(charge_request("c1"))
        waiting = asyncio.create_task(runtime.send(charge_request("c2")))
        await asyncio.sleep(0.01)
        await runtime.stop(timeout=0.01)
        with pytest.raises(Unavailable):
            await waiting

    within(go())


def test_a_runtime_that_is_not_running_refuses_events() -> None:
    """Before it was entered and after; it may be entered again."""

    async def go() -> None:
        runtime = Runtime(shop, new_backend())
        for key in ("first", "again"):
            with pytest.raises(Violated, match="runtime: expected `async with Runtime"):
                await runtime.send(charge_request())
            with pytest.raises(Violated, match="the runtime is not running"):
                await runtime.request(charge_request())
            with pytest.raises(Violated, match="the runtime is not running"):
                await runtime.drain()
            async with runtime:
                await runtime.request(charge_request(key), timeout=60)

    within(go())


def test_a_drain_that_times_out_reports_the_depth() -> None:
    """The depth is where a search for the cause begins."""
    started = asyncio.Event()

    async def stuck(_: str) -> None:
        started.set()
        await asyncio.sleep(60)

    def handler(event: Event[ChargeCard]) -> Effects[None]:
        yield from call(stuck, event.data.order_id)

    async def go() -> None:
        runtime = Runtime(System([payment_handler(handler)]), new_backend(), prefetch=1)
        async with runtime:
            await runtime.send(charge_request("c1"))
            await runtime.send(charge_request("c2"))
            await started.wait()
            with pytest.raises(TimeoutError, match=r"ready=1, taken=1, delayed=0"):
                await runtime.drain(timeout=0.02)
            await runtime.stop(timeout=0.01)

    within(go())


def test_more_than_two_urls_are_refused() -> None:
    """A pair has two halves. A space in a password makes more."""
    with pytest.raises(Violated, match="more than two URLs with spaces between them"):
        Runtime(shop, "memory: memory: memory:")


@pytest.mark.parametrize("url", ["", "memory", "memorie:", "mysql://x", "nonsense"])
def test_an_unknown_backend_url_is_refused(url: str) -> None:
    """The message names the schemes that are registered."""
    with pytest.raises(Violated, match=r"known schemes: memory:, nats:, .*'arvo.backends'"):
        Runtime(shop, url)


def handlers_without_a_system() -> Any:
    return [payment_handler(lambda _: None)]


@pytest.mark.parametrize(
    ("use", "name"),
    [
        (lambda handlers: Runtime(handlers), "Runtime"),
        (lambda handlers: Client(handlers, "memory:"), "Client"),
        (lambda handlers: run(handlers, charge_request()), "run"),
        (lambda handlers: step(handlers, charge_request(), None, now=NOW), "step"),
    ],
    ids=["Runtime", "Client", "run", "step"],
)
def test_handlers_without_a_system_are_refused(use: Callable[[Any], Any], name: str) -> None:
    """The message shows how to write it."""
    with pytest.raises(Violated) as refused:
        use(handlers_without_a_system())

    assert str(refused.value) == (
        f"ConfigViolation: {name} runs a system, not handlers: system: expected a System: "
        f"write `{name}(System([handler, ...]), ...)`, got an object of type list"
    )


@pytest.mark.parametrize("prefetch", [0, -1, {"com.payment.charge": 0}])
def test_a_prefetch_below_one_is_refused(prefetch: Any) -> None:
    """At construction, before any task has started."""
    with pytest.raises(Violated, match="prefetch: expected 1 or more"):
        Runtime(shop, prefetch=prefetch)


def test_a_delivery_that_a_forced_stop_cancels_is_delivered_again() -> None:
    """Nothing is lost in the same process: the next start finds it."""
    hurry = asyncio.Event()

    async def slow(key: str) -> str:
        if not hurry.is_set():
            await asyncio.sleep(60)
        return key

    def handler(event: Event[ChargeCard]) -> Effects[Emit]:
        key = yield from call(slow, event.data.order_id)
        return Emit(CardCharged(key))

    async def go() -> Stats:
        runtime = Runtime(System([payment_handler(handler)]), new_backend(), prefetch=1)
        async with runtime:
            await runtime.send(charge_request("c1"))
            await asyncio.sleep(0.01)
            await runtime.stop(timeout=0.01)
        hurry.set()
        async with runtime:
            return await runtime.drain(timeout=60)

    assert within(go()).handled == 1


def test_a_worker_that_breaks_fails_the_pending_requests(caplog: pytest.LogCaptureFixture) -> None:
    """No worker would answer them, and a silent runtime would look idle."""

    async def commit(*_: Any) -> None:
        raise Corrupt("the file is damaged")

    async def go() -> bool:
        backend: Any = Replaced(MemoryBackend(), commit=commit)
        async with Runtime(shop, backend) as runtime:
            for _ in range(2):
                with pytest.raises(Corrupt, match="damaged"):
                    await runtime.request(charge_request(), timeout=60)
            return runtime.is_working

    assert not within(go())
    [failed] = logged(caplog.records, "a task failed")
    assert failed["task"].startswith("arvo com.payment.charge ")


def test_a_drain_waits_out_an_outage() -> None:
    """A backend that does not answer is not idle."""
    outages = 3

    async def go() -> Stats:
        backend = MemoryBackend()

        async def wait_until_idle() -> None:
            nonlocal outages
            if outages:
                outages -= 1
                raise Unavailable("restarting")
            await backend.wait_until_idle()

        replaced: Any = Replaced(backend, wait_until_idle=wait_until_idle)
        async with Runtime(shop, replaced) as runtime:
            await runtime.send(order_request())
            return await runtime.drain(timeout=60)

    assert within(go()) == Stats(handled=5, unclaimed=1)
    assert outages == 0
