"""Worker: steps, effects and commits of a running system, one turn per workflow at a time."""

import asyncio
from typing import Any

import attrs
import pytest

from arvo import (
    Commands,
    Complete,
    Effects,
    Emit,
    Event,
    Fail,
    Persist,
    Record,
    Retry,
    Runtime,
    Stats,
    System,
    Turn,
    call,
)
from tests.interpreters.inside import send_inside
from tests.interpreters.runtime.running import (
    new_backend,
    reply_to_an_unknown_workflow,
    run_runtime,
    within,
)
from tests.shop import (
    WEB,
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    charge,
    charge_request,
    make_workflow,
    order_request,
    payment_handler,
    reply_to,
    shipping,
    shop,
)

pytestmark = pytest.mark.usefixtures("each_backend")


def test_duplicates_change_nothing() -> None:
    """B05, B06: the same init event twice, the same answer twice: one workflow, one of
    everything.
    """

    async def work(runtime: Runtime) -> Record | None:
        for _ in range(3):
            await runtime.send(order_request())
        await runtime.drain(timeout=60)
        record = await runtime.record(order_request().subject)
        assert record is not None
        asked = next(iter(record.pending_requests))
        request: Event[Any] = attrs.evolve(
            charge_request(subject=record.subject, redirectto=record.handler), id=asked
        )
        for _ in range(3):
            await send_inside(runtime, reply_to(request, CardCharged("r")))
        await runtime.drain(timeout=60)
        return await runtime.record(record.subject)

    counted = System([make_workflow(counting)])
    record, stats = run_runtime(counted, work)

    assert record is not None
    assert (record.state, record.revision) == (1, 2)
    # The workflow's own request has no handler in this system, and is a dead letter.
    assert stats == Stats(handled=2, duplicates=4, dead_lettered=1)


def counting(turn: Turn[Any]) -> Commands:
    if turn.input is not None:
        return Persist(0), Emit(ChargeCard("o1", 1.0))
    return Persist(turn.state + 1)


def collect_answers(turn: Turn[Any]) -> Commands:
    """Ask ten times, and count the answers one by one."""
    if turn.input is not None:
        return Persist(0), *(Emit(ChargeCard(str(n), 1.0)) for n in range(10))
    seen = turn.state + 1
    return Complete(OrderFulfilled(str(seen))) if seen == 10 else Persist(seen)


@pytest.mark.promise("I4")
def test_concurrent_replies_lose_no_update() -> None:
    """B13: of two replies that arrive together, one must not overwrite the other."""

    async def work(runtime: Runtime) -> object:
        return (await runtime.request(order_request(), timeout=60)).data

    system = System(
        [make_workflow(collect_answers), payment_handler(lambda _: Emit(CardCharged("r")))]
    )
    done, _ = run_runtime(system, work)

    assert done == OrderFulfilled("10")


def test_a_workflow_collects_all_replies_of_a_fan_out_and_of_a_later_request() -> None:
    """B07: the reply to the first request leads to another request; the second reply still
    counts.
    """

    def both(turn: Turn[Any]) -> Commands:
        match turn.event.data:
            case PlaceOrder():
                return Persist([]), Emit(ChargeCard("a", 1.0)), Emit(BookShipment("b"))
            case CardCharged(receipt="r-a"):
                return Persist([*turn.state, "a"]), Emit(ChargeCard("c", 1.0))
            case CardCharged():
                return finish([*turn.state, "c"])
            case _:
                return finish([*turn.state, "b"])

    def finish(state: list[str]) -> Commands:
        done = Complete(OrderFulfilled(",".join(sorted(state))))
        return done if len(state) == 3 else Persist(state)

    async def work(runtime: Runtime) -> object:
        return (await runtime.request(order_request(), timeout=60)).data

    charging_now = payment_handler(lambda event: Emit(CardCharged(f"r-{event.data.order_id}")))
    done, _ = run_runtime(System([make_workflow(both), charging_now, shipping]), work)

    assert done == OrderFulfilled("a,b,c")


def test_a_failure_preserves_the_state_and_the_reason_and_later_replies_are_late() -> None:
    """B08, B09, B15: the record stays readable, and keeps a later reply for `revive`."""

    def fails(turn: Turn[Any]) -> Commands:
        if turn.input is not None:
            return Persist({"n": 1}), Emit(ChargeCard("a", 1.0)), Emit(ChargeCard("b", 1.0))
        return Fail("no stock")

    async def work(runtime: Runtime) -> tuple[Record | None, list[str], str]:
        answer = await runtime.request(order_request(), timeout=60)
        await runtime.drain(timeout=60)
        dead_letters = [dead_letter.reason for dead_letter in await runtime.dead_letters()]
        return await runtime.record(order_request().subject), dead_letters, answer.data.message

    system = System([make_workflow(fails), payment_handler(lambda _: Emit(CardCharged("r")))])
    (record, dead_letters, message), stats = run_runtime(system, work)

    assert record is not None
    assert (record.status, record.state, message) == ("failed", {"n": 1}, "no stock")
    assert record.failure is not None
    assert record.failure.message == "no stock"
    assert (dead_letters, record.late_replies) == ([], 1)
    assert stats == Stats(handled=3, failed=1, answered=1, late=1)


@pytest.mark.promise("I8")
def test_a_late_event_is_counted() -> None:
    """B15: an answer to a workflow that is done (promise I8)."""

    async def work(runtime: Runtime) -> None:
        await runtime.request(order_request(), timeout=60)
        await send_inside(runtime, reply_to_an_unknown_workflow())

    _, stats = run_runtime(shop, work)

    assert stats.late == 1


def test_an_effect_is_retried_within_the_step_by_its_own_policy() -> None:
    """B35: as many attempts as the policy says, then the handler decides."""
    tries: list[int] = []

    async def flaky(key: str) -> str:
        tries.append(len(tries))
        if len(tries) == 1:
            await asyncio.sleep(60)
        if len(tries) == 2:
            raise ConnectionError(key)
        return "r"

    def handler(event: Event[ChargeCard]) -> Effects[Emit]:
        retry = Retry(attempts=3, delay=0.0)
        receipt = yield from call(flaky, event.data.order_id, retry=retry, timeout=0.02)
        return Emit(CardCharged(receipt))

    async def work(runtime: Runtime) -> object:
        return (await runtime.request(charge_request(), timeout=60)).data

    answer, stats = run_runtime(System([payment_handler(handler)]), work)

    assert (answer, len(tries)) == (CardCharged("r"), 3)
    assert stats == Stats(handled=1, answered=1)


@pytest.mark.parametrize("prefetch", [1, 3, {"com.payment.charge": 2}])
def test_a_handler_processes_at_most_prefetch_deliveries_at_a_time(prefetch: Any) -> None:
    """A database has a limited number of connections."""
    now: list[int] = [0]
    most: list[int] = [0]

    async def slow(_: str) -> None:
        now[0] += 1
        most[0] = max(most[0], now[0])
        await asyncio.sleep(0.02)
        now[0] -= 1

    def handler(event: Event[ChargeCard]) -> Effects[None]:
        yield from call(slow, event.data.order_id)

    async def work(runtime: Runtime) -> None:
        await asyncio.gather(*(runtime.send(charge_request(f"c{n}")) for n in range(12)))

    _, stats = run_runtime(System([payment_handler(handler)]), work, prefetch=prefetch)

    assert most[0] == (prefetch if isinstance(prefetch, int) else 2)
    assert stats.handled == 12


@pytest.mark.promise("I4")
def test_one_workflow_takes_one_turn_at_a_time_and_others_go_on() -> None:
    """Per subject there is some serial order (promise I4)."""
    inside: dict[str, int] = {}
    overlaps: list[str] = []
    together: list[int] = []

    async def slow(subject: str) -> None:
        inside[subject] = inside.get(subject, 0) + 1
        together.append(sum(inside.values()))
        if inside[subject] > 1:
            overlaps.append(subject)
        await asyncio.sleep(0.002)
        inside[subject] -= 1

    def handler(turn: Turn[Any]) -> Effects[Any]:
        yield from call(slow, turn.event.subject)
        return [Emit(ChargeCard(str(n), 1.0)) for n in range(5)] if turn.input else None

    async def work(runtime: Runtime) -> None:
        for n in range(4):
            await runtime.send(order_request(f"i{n}"))

    system = System([make_workflow(handler), payment_handler(lambda _: Emit(CardCharged("r")))])
    _, stats = run_runtime(system, work)

    assert overlaps == []
    assert max(together) > 1
    assert stats.handled == 4 + 20 + 20


def test_a_cancellation_inside_an_effect_is_the_effects_error() -> None:
    """It must not end the worker, or its queue would not be served any more."""

    async def waits_for_what_is_cancelled(_: str) -> None:
        waiting = asyncio.get_running_loop().create_future()
        waiting.cancel()
        await waiting

    def handler(event: Event[ChargeCard]) -> Effects[Emit]:
        if event.data.order_id == "o1":
            yield from call(waits_for_what_is_cancelled, event.data.order_id)
        return Emit(CardCharged("r"))

    async def go() -> tuple[Event[Any], Event[Any]]:
        async with Runtime(
            System([payment_handler(handler)]), new_backend(), prefetch=1
        ) as runtime:
            failed = await runtime.request(charge_request("c1"), timeout=60)
            other = charge["1.0.0"].accepts(ChargeCard("o2", 1.0), source=WEB)
            return failed, await runtime.request(other, timeout=60)

    failed, handled = within(go())

    assert "was cancelled" in failed.data.message
    assert handled.data == CardCharged("r")
