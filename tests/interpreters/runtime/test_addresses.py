"""Addresses: answers reach the listener of their caller, and none is counted that reached none."""

import asyncio
from typing import Any

import pytest

from arvo import Emit, Event, Fail, MemoryBackend, Runtime, Stats, System, Violated
from tests.interpreters.runtime.running import FAST, Replaced, new_backend, run_runtime, within
from tests.interpreters.until import until
from tests.shop import (
    WEB,
    CardCharged,
    OrderFulfilled,
    charge_request,
    order_request,
    payment_handler,
    payments,
    shop,
)

pytestmark = pytest.mark.usefixtures("each_backend")

alone = System([payments])


@pytest.mark.promise("I8")
def test_an_answer_goes_to_the_listener_of_its_address() -> None:
    """A sender that does not wait still gets its answer: of a handler, of a workflow, a failure."""
    got: list[Any] = []

    async def work(runtime: Runtime) -> None:
        @runtime.on_address(WEB)
        async def listener(event: Event[Any]) -> None:
            got.append(event.data)

        await runtime.send(charge_request())
        await runtime.send(order_request())
        await runtime.send(order_request("i2", 5_000.0))

    _, stats = run_runtime(shop, work)

    assert {type(data).__name__ for data in got} == {"CardCharged", "OrderFulfilled", "SystemFault"}
    assert (len(got), stats.answered, stats.unclaimed, stats.dead_lettered) == (3, 3, 0, 0)


@pytest.mark.promise("I8")
def test_an_answer_that_no_request_and_no_listener_takes_is_counted_as_unclaimed() -> None:
    """A sender may wait for no answer. It must not look as if the answer had reached one."""

    async def work(runtime: Runtime) -> None:
        runtime.on_address("com.other.caller")(lambda _: None)
        await runtime.send(charge_request())

    _, stats = run_runtime(alone, work)

    assert stats == Stats(handled=1, unclaimed=1)


def test_an_answer_for_a_request_does_not_go_to_the_listener() -> None:
    """It would be processed twice; an answer to an event that was only sent goes there."""
    got: list[str | None] = []

    async def work(runtime: Runtime) -> tuple[Any, Any]:
        runtime.on_address(WEB)(lambda event: got.append(event.parentid))
        requests = (charge_request("c1"), order_request("i1"))
        charged, ordered = [await runtime.request(event, timeout=60) for event in requests]
        await runtime.send(charge_request("c2"))
        return charged.data, ordered.data

    answers, stats = run_runtime(shop, work)

    assert answers == (CardCharged("r-o1"), OrderFulfilled("t-o1"))
    assert got == ["c2"]
    assert (stats.answered, stats.unclaimed) == (3, 0)


def test_the_second_answer_to_a_request_goes_to_the_listener() -> None:
    """`request` returns the first one only."""
    got: list[str] = []

    def twice(_: Event[Any]) -> tuple[Emit, Emit]:
        return Emit(CardCharged("first")), Emit(CardCharged("second"))

    async def work(runtime: Runtime) -> str:
        runtime.on_address(WEB)(lambda event: got.append(event.data.receipt))
        answer = await runtime.request(charge_request(), timeout=60)
        return str(answer.data.receipt)

    first, stats = run_runtime(System([payment_handler(twice)]), work)

    assert {first, *got} == {"first", "second"}
    assert (stats.answered, stats.unclaimed) == (2, 0)


def test_an_answer_that_comes_after_its_request_timed_out_is_unclaimed() -> None:
    """The caller has received an exception in its place."""
    release, store = asyncio.Event(), MemoryBackend()

    async def commit(*args: Any) -> Any:
        await release.wait()
        return await store.commit(*args)

    async def work(runtime: Runtime) -> None:
        with pytest.raises(TimeoutError):
            await runtime.request(charge_request(), timeout=0.01)
        release.set()

    _, stats = run_runtime(alone, work, backend=Replaced(store, commit=commit))

    assert stats == Stats(handled=1, unclaimed=1)


@pytest.mark.promise("I8")
def test_an_answer_whose_listener_fails_is_retried_and_dead_lettered() -> None:
    """As an event whose domain's listener fails; it can be redriven to the listener."""
    tries: list[str] = []

    async def work(runtime: Runtime) -> str:
        @runtime.on_address(WEB)
        async def listener(event: Event[Any]) -> None:
            tries.append(event.id)
            if len(tries) <= 2:
                raise ConnectionError("no partner")

        await runtime.send(charge_request())
        await runtime.drain(timeout=60)
        [dead_letter] = await runtime.dead_letters()
        await runtime.redrive_dead_letter(dead_letter.id)
        await runtime.drain(timeout=60)
        assert await runtime.dead_letters() == ()
        return dead_letter.reason

    reason, stats = run_runtime(alone, work, retry=FAST)

    assert reason == f"the listener of {WEB} raised ConnectionError('no partner')"
    assert stats == Stats(handled=1, retried=1, dead_lettered=1, answered=1)


@pytest.mark.promise("I1")
def test_an_answer_waits_for_its_listener_across_a_restart() -> None:
    """It is acknowledged when the listener has returned, not before."""
    got: list[str | None] = []

    async def go() -> None:
        backend = new_backend()
        begun = asyncio.Event()
        async with Runtime(alone, backend) as first:

            @first.on_address(WEB)
            async def hang(_: Event[Any]) -> None:
                begun.set()
                await asyncio.Event().wait()

            await first.send(charge_request())
            await begun.wait()
            await first.stop(timeout=0)
        async with Runtime(alone, first._backend) as second:
            second.on_address(WEB)(lambda event: got.append(event.parentid))
            await until(lambda: bool(got))
            await second.drain(timeout=60)

    within(go(), seconds=60)

    assert got == ["c1"]


def test_an_event_that_a_handler_emits_to_an_address_goes_to_its_listener() -> None:
    """The address of a caller is one of this system's, even for events that answer no request."""
    got: list[Any] = []
    notifies = System([payment_handler(lambda _: Emit(CardCharged("r"), to="com.audit.log"))])

    async def work(runtime: Runtime) -> None:
        runtime.on_address("com.audit.log")(lambda event: got.append(event.data))
        await runtime.send(charge_request())

    _, stats = run_runtime(notifies, work)
    _, without = run_runtime(notifies, send_one)

    assert (got, stats.answered) == ([CardCharged("r")], 1)
    assert without == Stats(handled=1, dead_lettered=1)


async def send_one(runtime: Runtime) -> None:
    await runtime.send(charge_request())


def test_answers_to_a_listener_that_hangs_stop_no_other_answer() -> None:
    """A request of this process is answered while a partner hangs."""

    def fails(_: Event[Any]) -> Fail:
        return Fail("no")

    async def work(runtime: Runtime) -> tuple[str, int]:
        release, hung = asyncio.Event(), list[str]()

        @runtime.on_address("com.partner.hangs")
        async def hang(event: Event[Any]) -> None:
            hung.append(event.id)
            await release.wait()

        for number in range(20):
            await runtime.send(charge_request(f"h{number}", source="com.partner.hangs"))
        await until(lambda: len(hung) == 16)
        answer = await runtime.request(charge_request(), timeout=30)
        release.set()
        await runtime.drain(timeout=30)
        return answer.type, len(hung)

    answer, stats = run_runtime(System([payment_handler(fails)]), work)

    assert answer == ("sys.com.payment.charge.error", 20)
    assert (stats.answered, stats.unclaimed) == (21, 0)


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (None, "write `@runtime.on_address"),
        ("", "expected an address"),
        (lambda _: None, "an object of type function"),
        ("com.payment.charge", "a handler receives the events to this address"),
        ("com.partner", "this address already has a listener"),
    ],
)
def test_an_address_that_cannot_have_a_listener_is_refused(address: Any, text: str) -> None:
    """The listener would never be called, or one of two would not."""
    runtime = Runtime(alone, MemoryBackend())
    runtime.on_address("com.partner")(lambda _: None)

    with pytest.raises(Violated, match=text):
        runtime.on_address(address)(lambda _: None)
