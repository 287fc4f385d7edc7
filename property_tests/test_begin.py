"""Laws of begins: with one workflow id, any interleaving of beginners begins one run at a time."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arvo import (
    Backend,
    Event,
    InMemoryMachineMemory,
    MemoryBackend,
    MemoryBroker,
    Record,
    Runtime,
    Violated,
    paired,
    run,
)
from arvo.core.begin import compare_begin
from arvo.core.events.digest import content_digest
from arvo.engine.trace import Refused, StepTaken
from arvo.interpreters.sqlite import SqliteBackend
from tests.shop import WEB, OrderFulfilled, PlaceOrder, order, shop

POLICIES = ("reject", "allow", "allow_if_failed")


def begin(amount: float, policy: Any, key: str | None = None, source: str = WEB) -> Event[Any]:
    return order["1.0.0"].init(
        PlaceOrder("o1", amount),
        source=source,
        workflow_id="order-1",
        id_reuse_policy=policy,
        id=key,
        time="2026-01-02T03:04:05.000Z",
    )


# A payment above 1,000 is declined, and the run fails.
BEGINS = st.lists(
    st.builds(
        begin,
        st.sampled_from([10.0, 20.0, 2_000.0]),
        st.sampled_from(POLICIES),
        st.sampled_from(["a", "b", "c"]) | st.none(),
    ),
    min_size=1,
    max_size=6,
)


@pytest.mark.promise("I2")
@given(BEGINS)
def test_each_begin_repeats_follows_or_is_refused(events: list[Event[Any]]) -> None:
    """I2: whatever order they come in, a run is begun by one of them, and by none twice."""
    first, *more = events
    trace = run(shop, first, *more)

    begun: list[str] = []
    consumed = {entry.event.id for entry in trace.entries if isinstance(entry, StepTaken)}
    record: Record | None = None
    for entry in trace.entries:
        if isinstance(entry, StepTaken) and entry.commit.record is not None:
            if entry.event.type == order.type:
                assert record is None or compare_begin(record, entry.event) == "next"
                begun.append(entry.event.id)
            record = entry.commit.record
        elif isinstance(entry, Refused):
            assert record is not None
            # The id of an event that was consumed counts for no other one.
            is_other = compare_begin(record, entry.event) == "other"
            assert is_other or entry.event.id in consumed
    assert len(begun) == len(set(begun)) >= 1


@pytest.mark.promise("I2")
@pytest.mark.parametrize("is_pair", [False, True], ids=["memory", "pair"])
@given(amounts=st.lists(st.sampled_from([10.0, 20.0]), min_size=2, max_size=4), ids=st.booleans())
def test_concurrent_beginners_get_the_answer_of_one_run_or_a_conflict(
    is_pair: bool, amounts: Sequence[float], ids: bool
) -> None:
    """I2: those with the payload of the first get its answer, and the others learn of it."""
    events = [
        begin(amount, "reject", f"e{number}" if ids else None)
        for number, amount in enumerate(amounts)
    ]

    async def ask(runtime: Runtime, event: Event[Any]) -> Event[Any] | str:
        try:
            return await runtime.request(event, timeout=60)
        except Violated as violated:
            return str(violated)

    async def go() -> list[Event[Any] | str]:
        memory, broker = InMemoryMachineMemory(), MemoryBroker()
        backend = paired(memory, broker) if is_pair else MemoryBackend()
        async with Runtime(shop, backend) as runtime:
            return list(await asyncio.gather(*(ask(runtime, event) for event in events)))

    outcomes = asyncio.run(go())

    answers = [outcome for outcome in outcomes if isinstance(outcome, Event)]
    assert len({answer.id for answer in answers}) == 1
    assert all(answer.data == OrderFulfilled("t-o1") for answer in answers)
    conflicts = [outcome for outcome in outcomes if isinstance(outcome, str)]
    # Two requests with one event id in one process are told apart by that alone.
    expected = ("has begun with another event", "is being requested already")
    assert all(any(text in conflict for text in expected) for conflict in conflicts)
    assert len(answers) in (amounts.count(10.0), amounts.count(20.0))


BACKENDS: Mapping[str, Callable[[str], Backend]] = {
    "memory": lambda _: MemoryBackend(),
    "pair": lambda _: paired(InMemoryMachineMemory(), MemoryBroker()),
    "sqlite": lambda folder: SqliteBackend(f"{folder}/arvo.db"),
}
BEGINNERS = st.lists(
    st.tuples(
        st.sampled_from([WEB, "com.shop.app", "com.shop.import"]), st.sampled_from([10.0, 20.0])
    ),
    min_size=2,
    max_size=5,
)


@pytest.mark.promise("I2")
@pytest.mark.parametrize("name", BACKENDS)
@settings(max_examples=40)
@given(BEGINNERS)
def test_beginners_at_any_addresses_begin_one_run(
    name: str, beginners: Sequence[tuple[str, float]]
) -> None:
    """I2: each of them gets the answer of that run, or the refusal that names both."""

    async def ask(runtime: Runtime, source: str, amount: float) -> Event[Any] | str:
        try:
            return await runtime.request(begin(amount, "reject", source=source), timeout=60)
        except Violated as violated:
            return str(violated)

    async def go(backend: Backend) -> tuple[list[Event[Any] | str], Record]:
        async with Runtime(shop, backend) as runtime:
            outcomes = await asyncio.gather(*(ask(runtime, *each) for each in beginners))
            [stored] = await runtime.workflows(workflow_id="order-1")
            return outcomes, stored.record

    with TemporaryDirectory() as folder:
        outcomes, record = asyncio.run(go(BACKENDS[name](folder)))

    for (source, amount), outcome in zip(beginners, outcomes, strict=True):
        event = begin(amount, "reject", source=source)
        if event.subject == record.subject and content_digest(event) == record.init_digest:
            assert isinstance(outcome, Event)
            assert outcome.data == OrderFulfilled("t-o1")
            continue
        is_same = event.subject == record.subject
        refusal = "has begun with another event" if is_same else "has another subject"
        assert isinstance(outcome, str)
        # Two requests with one event id in one process are told apart by that alone.
        assert refusal in outcome or "is being requested already" in outcome
    assert len({outcome.id for outcome in outcomes if isinstance(outcome, Event)}) == 1
