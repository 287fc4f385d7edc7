"""Batches: an act on many workflows is that act on one after the other."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from arvo import (
    BatchResult,
    Commands,
    Compensate,
    Complete,
    Fail,
    MemoryBackend,
    Persist,
    Runtime,
    System,
    Turn,
    VersionUse,
    Violated,
)
from tests.shop import (
    BookShipment,
    OrderFulfilled,
    OrderState,
    PlaceOrder,
    make_workflow,
    order_request,
    shipping,
)

ORDER = "arvo.orc.order.fulfil"
# Status and revision of each workflow, and the number of dead letters.
State: TypeAlias = tuple[dict[str, tuple[str, int]], int]
ACTS = ("cancel", "revive", "migrate")
NEEDED = {"cancel": "active", "migrate": "active", "revive": "failed"}


def end(turn: Turn[OrderState]) -> Commands:
    """Wait, fail, complete, or fail with a compensation, as the amount says; then wait."""
    if not isinstance(turn.event.data, PlaceOrder):
        return ()
    state = Persist(OrderState("o1"))
    match turn.event.data.amount:
        case 1.0:
            return Fail("no stock")
        case 2.0:
            return state, Complete(OrderFulfilled("t"))
        case 3.0:
            return state, Compensate(BookShipment("o1")), Fail("no stock")
        case _:
            return state


system = System([shipping, make_workflow(end, state=OrderState)])


def rename(state: dict[str, Any]) -> dict[str, Any]:
    """Change the state of an order."""
    return {**state, "order_id": "o2"}


async def act_on(runtime: Runtime, act: str, subject: str) -> bool:
    """Act on one workflow; False if it is in no state for it."""
    record = await runtime.record(subject)
    assert record is not None
    if record.status != NEEDED[act]:
        return False
    if act == "cancel":
        await runtime.cancel(subject, "enough")
        return True
    if act == "revive":
        await runtime.revive(subject)
        return True
    moved = await runtime.migrate(subject, to="1.0.0", state=rename)
    return moved.revision != record.revision


async def run(
    amounts: list[int], work: Callable[[Runtime, list[str]], Awaitable[Any]]
) -> tuple[State, Any]:
    async with Runtime(system, MemoryBackend()) as runtime:
        for number, amount in enumerate(amounts):
            await runtime.send(order_request(f"i{number}", amount=float(amount)))
        await runtime.drain(timeout=60)
        subjects = [stored.record.subject for stored in await runtime.workflows()]
        result = await work(runtime, subjects)
        await runtime.drain(timeout=60)
        stored = await runtime.workflows()
        records = [each.record for each in stored]
        counts = Counter(record.status for record in records)
        used = VersionUse(ORDER, "1.0.0", counts["active"], counts["failed"])
        assert await runtime.versions() == ((used,) if used.active or used.failed else ())
        statuses: dict[str, tuple[str, int]] = {
            record.subject: (record.status, record.revision) for record in records
        }
        return (statuses, len(await runtime.dead_letters())), result


@given(
    amounts=st.lists(st.integers(0, 3), max_size=5),
    act=st.sampled_from(ACTS),
    type_=st.sampled_from([None, ORDER, "arvo.orc.other"]),
)
def test_an_act_on_many_workflows_is_that_act_on_one_after_the_other(
    amounts: list[int], act: str, type_: str | None
) -> None:
    """The same are acted on, the same are refused, and a dry run does nothing."""
    given_reason: tuple[str, ...] = ("enough",) if act == "cancel" else ()
    options: dict[str, Any] = {"type": type_}
    if act == "migrate":
        options |= {"to": "1.0.0", "state": rename}

    async def many(runtime: Runtime, subjects: list[str]) -> BatchResult:
        batch = getattr(runtime, f"{act}_workflows")
        before = [await runtime.record(subject) for subject in subjects]
        dry: BatchResult = await batch(*given_reason, dry_run=True, **options)
        assert [await runtime.record(subject) for subject in subjects] == before
        result: BatchResult = await batch(*given_reason, **options)
        assert result == dry
        return result

    async def one_by_one(runtime: Runtime, subjects: list[str]) -> tuple[int, set[str]]:
        done, refused = 0, set()
        for subject in subjects if type_ in (None, ORDER) else ():
            try:
                done += await act_on(runtime, act, subject)
            except Violated:
                refused.add(subject)
        return done, refused

    async def go() -> None:
        state, result = await run(amounts, many)
        expected, (done, refused) = await run(amounts, one_by_one)
        assert state == expected
        assert (result.done, {id_ for id_, _ in result.refusals}) == (done, refused)
        assert result.matched == result.done + result.gone + result.refused

    asyncio.run(go())
