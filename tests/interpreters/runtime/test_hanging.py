"""Hanging: functions of the user that do not return stop only their own handler or domain."""

import asyncio
import threading
from typing import Any

import pytest

from arvo import (
    Effects,
    Emit,
    Event,
    EventHandler,
    MemoryBackend,
    Retry,
    Runtime,
    Stats,
    System,
    Violated,
    call,
)
from arvo.interpreters.calls import bulkheads, threads
from arvo.interpreters.worker import outbound
from tests.interpreters.runtime.running import FAST, new_backend, run_runtime, within
from tests.interpreters.until import until
from tests.shop import (
    BookShipment,
    CardCharged,
    ShipmentBooked,
    charge,
    charge_request,
    payment_handler,
    ship,
)

pytestmark = pytest.mark.usefixtures("each_backend")

# An amount above this one is for the domain that hangs.
LIMIT = 10.0


def to_two_domains(event: Event[Any]) -> Emit:
    return Emit(CardCharged("r"), domain="hangs" if event.data.amount > LIMIT else "works")


two_domains = System([payment_handler(to_two_domains)])


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the delays before a destination that hangs is tried again."""
    monkeypatch.setattr(threads, "HUNG_SECONDS", 0.01)
    monkeypatch.setattr(bulkheads, "STALL_SECONDS", 0.05)
    monkeypatch.setattr(outbound, "STALLED_SECONDS_MIN", 0.01)


def shipment_request() -> Event[Any]:
    return ship["1.0.0"].accepts(BookShipment("o1"), source="com.shop.web")


@pytest.mark.promise("I8")
def test_effects_that_hang_stop_only_the_events_of_their_own_handler() -> None:
    """They occupy the threads of their handler, and its further events say so."""
    release = threading.Event()

    def hang() -> str:
        release.wait()
        return "r"

    def pay(event: Event[Any]) -> Effects[Emit]:
        limit = None if event.id == "last" else 0.01
        return Emit(CardCharged((yield from call(hang, timeout=limit))))

    def book(event: Event[Any]) -> Effects[Emit]:
        return Emit(ShipmentBooked((yield from call(str, "t"))))

    system = System([payment_handler(pay), EventHandler(ship, {"1.0.0": book})])

    async def work(runtime: Runtime) -> tuple[Any, list[str], Any]:
        for number in range(40):
            await runtime.send(charge_request(f"c{number}"))
        await until(lambda: runtime.stats().dead_lettered > 0)
        booked = await runtime.request(shipment_request(), timeout=60)
        await runtime.drain(timeout=60)
        dead_letters = await runtime.dead_letters()
        release.set()
        await until(lambda: not runtime._effects.threads[charge.type]._calls)
        charged = await runtime.request(charge_request("last"), timeout=60)
        return booked.data, [dead_letter.reason for dead_letter in dead_letters], charged.data

    async def go() -> tuple[tuple[Any, list[str], Any], Stats]:
        async with Runtime(system, new_backend(), prefetch=2, retry=FAST) as runtime:
            return await work(runtime), runtime.stats()

    (booked, reasons, charged), stats = within(go(), seconds=60)

    assert (booked, charged) == (ShipmentBooked("t"), CardCharged("r"))
    # Sixteen calls were made, and the other events found no thread. An event that waits for one
    # while the last call times out has waited out its own limit.
    assert stats.failed >= 16
    assert len(reasons) == stats.dead_lettered == 40 - stats.failed > 0
    text = "ThreadsExhausted: all 16 threads of com.payment.charge run calls that have not returned"
    assert all(reason.startswith(f"{text}: ") and "hang() for" in reason for reason in reasons)


@pytest.mark.promise("I8")
@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_listener_that_hangs_stops_only_the_events_of_its_own_domain(kind: str) -> None:
    """However many events it has; they are delivered when it returns."""
    release, hung, got = threading.Event(), set[str](), list[str]()

    def hang(event: Event[Any]) -> None:
        hung.add(event.id)
        release.wait()

    async def hang_async(event: Event[Any]) -> None:
        hung.add(event.id)
        await until(release.is_set)

    async def work(runtime: Runtime) -> None:
        runtime.on_domain("hangs")(hang if kind == "plain" else hang_async)
        runtime.on_domain("works")(lambda event: got.append(event.id))
        for number in range(100):
            await runtime.send(charge_request(f"h{number}", LIMIT + 1))
        await until(lambda: len(hung) == 16)
        for number in range(100):
            await runtime.send(charge_request(f"w{number}"))
        await until(lambda: len(got) == 100)
        assert len(hung) == 16
        release.set()
        await runtime.drain(timeout=60)

    async def go() -> Stats:
        async with Runtime(two_domains, new_backend()) as runtime:
            await work(runtime)
            assert await runtime.dead_letters() == ()
            return runtime.stats()

    stats = within(go(), seconds=60)

    assert (stats.handled, stats.sent_out, stats.dead_lettered) == (200, 200, 0)
    assert len(hung) == 100


@pytest.mark.promise("I8")
@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_listener_that_times_out_is_retried_and_its_event_dead_lettered(kind: str) -> None:
    """The reason names the listener and its limit."""
    release, cancelled = threading.Event(), list[str]()

    def hang(_: Event[Any]) -> None:
        release.wait()

    async def hang_async(event: Event[Any]) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(event.id)
            raise

    async def work(runtime: Runtime) -> tuple[str, int]:
        runtime.on_domain("hangs", timeout=0.02)(hang if kind == "plain" else hang_async)
        await runtime.send(charge_request("c1", LIMIT + 1))
        await runtime.drain(timeout=60)
        [dead_letter] = await runtime.dead_letters()
        release.set()
        return dead_letter.reason, dead_letter.attempts

    dead_letter, stats = run_runtime(two_domains, work, retry=FAST)

    assert dead_letter == ("the listener of hangs did not return within 0.02 s", 2)
    assert stats == Stats(handled=1, retried=1, dead_lettered=1)
    assert len(cancelled) == (2 if kind == "async" else 0)


def test_a_timeout_that_a_listener_raises_itself_is_its_exception() -> None:
    """Its own limit is another one than ours."""

    async def work(runtime: Runtime) -> str:
        @runtime.on_domain("hangs")
        async def listener(_: Event[Any]) -> None:
            raise TimeoutError("the mail server")

        await runtime.send(charge_request("c1", LIMIT + 1))
        await runtime.drain(timeout=60)
        return (await runtime.dead_letters())[0].reason

    reason, _ = run_runtime(two_domains, work, retry=FAST)

    assert reason == "the listener of hangs raised TimeoutError('the mail server')"


def test_waiting_for_a_domain_that_hangs_uses_up_no_attempt() -> None:
    """An event that was never passed to the listener has all its attempts left."""
    release, tries = threading.Event(), list[str]()

    async def work(runtime: Runtime) -> None:
        @runtime.on_domain("hangs")
        async def listener(event: Event[Any]) -> None:
            await until(release.is_set)
            tries.append(event.id)
            if tries.count(event.id) < 3:
                raise ConnectionError

        for number in range(12):
            await runtime.send(charge_request(f"h{number}", LIMIT + 1))
        # Two run and two wait. The others return several times.
        await until(lambda: runtime.stats().released > 30)
        release.set()
        await runtime.drain(timeout=60)
        assert await runtime.dead_letters() == ()

    async def go() -> Stats:
        retry = Retry(attempts=3, delay=0.0)
        async with Runtime(two_domains, new_backend(), prefetch=2, retry=retry) as runtime:
            await work(runtime)
            return runtime.stats()

    stats = within(go(), seconds=60)

    assert (stats.sent_out, stats.dead_lettered, len(tries)) == (12, 0, 36)


def test_a_plain_listener_runs_in_a_thread_and_an_async_one_does_not() -> None:
    """A plain function may block; an object with an `async` method, such as a webhook, does not."""
    seen = dict[str, bool]()

    class Hook:
        async def __call__(self, _: Event[Any]) -> None:
            seen["async"] = threading.current_thread() is threading.main_thread()

    def plain(_: Event[Any]) -> None:
        seen["plain"] = threading.current_thread() is threading.main_thread()

    async def work(runtime: Runtime) -> None:
        runtime.on_domain("hangs")(Hook())
        runtime.on_domain("works")(plain)
        await runtime.send(charge_request("c1", LIMIT + 1))
        await runtime.send(charge_request("c2"))

    _, stats = run_runtime(two_domains, work)

    assert (seen, stats.sent_out) == ({"async": True, "plain": False}, 2)


@pytest.mark.parametrize("timeout", [0, -1, "soon", float("nan")])
def test_a_timeout_that_is_no_span_of_time_is_refused(timeout: Any) -> None:
    """Where it is written, not when the first event comes."""
    with pytest.raises(Violated, match="timeout"):
        Runtime(two_domains, MemoryBackend()).on_domain("works", timeout=timeout)
