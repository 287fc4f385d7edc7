"""Tick loop: what is ready is stepped together, and committed with what follows from it."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from attrs import evolve

from arvo import (
    Commands,
    Contract,
    Corrupt,
    Effects,
    Emit,
    Event,
    EventHandler,
    MemoryBackend,
    Persist,
    Record,
    Runtime,
    Stats,
    System,
    Turn,
    Unavailable,
    Version,
    call,
)
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.chains import CommitChain
from arvo.interpreters.ports.messages import Delivery, Message
from arvo.interpreters.worker import chains, tick_loop
from tests.interpreters.runtime.running import FAST, Replaced, within
from tests.shop import (
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    charge,
    charge_request,
    fulfilment,
    make_workflow,
    order,
    order_request,
    payment_handler,
    payments,
    shipping,
    shop,
)


class Counted:
    """A memory backend that records what is called."""

    def __init__(self) -> None:
        self.inner = MemoryBackend()
        self.calls: list[str] = []
        self.chains: list[int] = []
        # The ids of the events that each chain took out of the queue.
        self.delivered: list[list[str]] = []
        # How many records each call asked for.
        self.loaded: list[int] = []

    def __getattr__(self, name: str) -> Any:
        if name in ("send", "commit", "receive", "ack"):
            self.calls.append(name)
        return getattr(self.inner, name)

    async def load_all(self, subjects: Sequence[str]) -> dict[str, Record]:
        self.loaded.append(len(subjects))
        return await self.inner.load_all(subjects)

    async def commit_chains(self, chains: Sequence[CommitChain]) -> list[bool]:
        self.calls.append("commit_chains")
        self.chains += [len(chain.commits) for chain in chains]
        self.delivered += [[each.message.event.id for each in it.deliveries] for it in chains]
        return await self.inner.commit_chains(chains)


def requested(backend: Any, *events: Event[Any], system: System = shop) -> list[Event[Any]]:
    """Request the answers to events at the same time."""

    async def go() -> list[Event[Any]]:
        async with Runtime(system, backend, retry=FAST) as runtime:
            return list(await asyncio.gather(*(runtime.request(it, timeout=30) for it in events)))

    return within(go())


def test_a_workflow_that_only_computes_is_one_commit() -> None:
    """Requests, replies and the answer are no messages: they are made and consumed in it."""
    backend = Counted()

    [answer] = requested(backend, order_request())

    assert answer.data == OrderFulfilled("t-o1")
    assert backend.calls.count("commit_chains") == 1
    assert not {"send", "commit"} & set(backend.calls)
    assert backend.chains == [5]


def test_what_is_sent_at_the_same_time_shares_a_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred requests do not wait for a hundred transactions."""
    monkeypatch.setattr(tick_loop, "TICK_SECONDS", 3_600.0)
    backend = Counted()

    answers = requested(backend, *(order_request(f"i{number}") for number in range(100)))

    assert len(answers) == 100
    assert backend.calls.count("commit_chains") < 20
    assert sum(backend.chains) == 500


def test_a_tick_without_time_leaves_the_rest_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes one chain at least."""
    monkeypatch.setattr(tick_loop, "TICK_SECONDS", -1.0)
    backend = Counted()

    answers = requested(backend, *(order_request(f"i{number}") for number in range(5)))

    assert len({answer.subject for answer in answers}) == 5
    assert backend.calls.count("commit_chains") == 5


def test_an_effect_ends_the_chain_and_gets_a_task_of_its_own() -> None:
    """The tick does not wait for it."""
    backend = Counted()

    def pay(event: Event[ChargeCard]) -> Effects[Emit]:
        return Emit(CardCharged((yield from call(str, "r"))))

    system = System([payment_handler(pay), shipping, fulfilment])

    [answer] = requested(backend, order_request(), system=system)

    assert answer.data == OrderFulfilled("t-o1")
    # The first turn; then the payment by itself; then its reply, with all that follows.
    assert backend.calls.count("commit") == 1
    assert backend.chains == [1, 3]


def test_the_number_of_tasks_does_not_grow_with_the_handlers() -> None:
    """A task for each handler, or several, would make a request slower with each of them."""

    def tasks(number: int) -> int:
        async def go() -> int:
            async with Runtime(System([payments, *map(service, range(number))])) as runtime:
                await runtime.request(charge_request(), timeout=30)
                return len(asyncio.all_tasks())

        return within(go())

    def service(number: int) -> EventHandler[Any]:
        contract = Contract(
            uri=f"#/contracts/{number}",
            type=f"com.service.{number}",
            versions={"1.0.0": Version(accepts=ChargeCard, emits={"evt.done": CardCharged})},
        )
        return EventHandler(contract, {"1.0.0": lambda _: Emit(CardCharged("r"))})

    assert tasks(0) == tasks(200)


def test_a_chain_that_is_refused_is_taken_by_itself() -> None:
    """Its request is answered all the same."""
    backend: Any = Replaced(MemoryBackend())

    [answer] = requested(backend, order_request())

    assert answer.data == OrderFulfilled("t-o1")


@pytest.mark.promise("I1", "I2")
@pytest.mark.parametrize("is_applied", [False, True])
def test_an_outage_at_the_commit_of_a_tick_loses_and_doubles_nothing(*, is_applied: bool) -> None:
    """Whether it was applied or not: what was not acknowledged is processed once more."""
    store, failures = MemoryBackend(), [True]

    async def commit_chains(chains: Sequence[CommitChain]) -> list[bool]:
        if failures and failures.pop():
            if is_applied:
                await store.commit_chains(chains)
            raise Unavailable("the connection was lost")
        return await store.commit_chains(chains)

    async def go() -> tuple[Event[Any], int]:
        backend: Any = Replaced(store, commit_chains=commit_chains)
        async with Runtime(shop, backend, retry=FAST) as runtime:
            answer = await runtime.request(order_request(), timeout=30)
            stats = await runtime.drain(timeout=30)
            assert stats.dead_lettered == 0
            return answer, len(await runtime.history(order_request().subject))

    answer, entries = within(go())

    assert answer.data == OrderFulfilled("t-o1")
    assert entries == 6


def test_a_tick_that_breaks_fails_the_requests() -> None:
    """A silent runtime would look idle."""

    async def commit_chains(_: Any) -> list[bool]:
        raise Corrupt("the file is damaged")

    async def go() -> bool:
        backend: Any = Replaced(MemoryBackend(), commit_chains=commit_chains)
        async with Runtime(shop, backend) as runtime:
            for _ in range(2):
                with pytest.raises(Corrupt, match="damaged"):
                    await runtime.request(order_request(), timeout=30)
            return runtime.is_working

    assert not within(go())


def test_a_request_whose_answer_is_being_committed_waits_for_it() -> None:
    """The answer is no message, so no other way leads to it after the timeout."""
    store, committing, release = MemoryBackend(), asyncio.Event(), asyncio.Event()

    async def commit_chains(chains: Sequence[CommitChain]) -> list[bool]:
        committing.set()
        await release.wait()
        return await store.commit_chains(chains)

    async def go() -> Event[Any]:
        backend: Any = Replaced(store, commit_chains=commit_chains)
        async with Runtime(shop, backend) as runtime:
            asking = asyncio.create_task(runtime.request(order_request(), timeout=0.01))
            await committing.wait()
            await asyncio.sleep(0.02)
            release.set()
            return await asking

    assert within(go()).data == OrderFulfilled("t-o1")


def test_a_request_whose_answer_was_not_committed_times_out() -> None:
    """Its answer may still come, as after any timeout."""

    async def go() -> None:
        committing, release = asyncio.Event(), asyncio.Event()
        store = MemoryBackend()

        async def commit_chains(chains: Sequence[CommitChain]) -> list[bool]:
            committing.set()
            await release.wait()
            return [False for _ in chains]

        backend: Any = Replaced(store, commit_chains=commit_chains)
        async with Runtime(shop, backend) as runtime:
            asking = asyncio.create_task(runtime.request(order_request(), timeout=0.01))
            await committing.wait()
            await asyncio.sleep(0.02)
            release.set()
            with pytest.raises(TimeoutError):
                await asking

    within(go())


def test_an_event_that_is_refused_stops_no_other() -> None:
    """It is processed by itself, and dead-lettered."""

    async def go() -> tuple[Event[Any], int]:
        backend = MemoryBackend()
        async with Runtime(shop, backend, retry=FAST) as runtime:
            broken: Any = evolve(charge_request("bad"), dataschema="#/unknown/1.0.0")
            await backend.send(Message(broken, runtime._destination(broken)))
            answer = await runtime.request(order_request(), timeout=30)
            return answer, (await runtime.drain(timeout=30)).dead_lettered

    answer, dead_lettered = within(go())

    assert (answer.data, dead_lettered) == (OrderFulfilled("t-o1"), 1)


def test_a_delivery_that_was_tried_before_is_processed_by_itself() -> None:
    """Its progress, and the deaths of its workers, belong to it alone."""
    backend = Counted()

    async def go() -> None:
        async with Runtime(shop, backend, retry=FAST) as runtime:
            to = runtime._destination(charge_request())
            backend.inner._queues.put(Delivery(Message(charge_request(), to), 2))
            backend.inner._under_way += 1
            await runtime.drain(timeout=30)

    within(go())

    assert backend.calls.count("commit") == 1


def count_charges(turn: Turn[Any]) -> Commands:
    """Ask for one charge, and take as many replies to it as come."""
    match turn.event.data:
        case PlaceOrder():
            return Persist({"receipts": []}), Emit(ChargeCard("o1", 1.0))
        case CardCharged(receipt=receipt):
            return Persist({"receipts": [*turn.state["receipts"], receipt]})
        case _:
            return None


counting = System([payment_handler(lambda _: None), make_workflow(count_charges)])


def replies(number: int, record: Record, run: str) -> list[Message]:
    """Make replies to the request of a workflow."""
    [request] = record.pending_requests
    return [
        Message(
            charge["1.0.0"].emits(
                CardCharged(f"r{place}"),
                source=charge["1.0.0"].type,
                id=f"{run}-{place}",
                subject=record.subject,
                to=record.handler,
                parentid=request,
            ),
            ToHandler(record.handler, record.subject),
        )
        for place in range(number)
    ]


def count(
    backend: Any,
    numbers: dict[str, int],
    prepare: Callable[[list[Message]], list[Delivery]] | None = None,
) -> tuple[list[list[str]], Stats]:
    """Start workflows, let so many replies wait for each by its run, then process them; return the
    receipts of each.

    *prepare*: makes the deliveries that wait out of the replies.
    """

    async def go() -> tuple[list[list[str]], Stats]:
        store = backend.inner
        subjects = {run: order_request(run).subject for run in numbers}
        async with Runtime(counting, backend, retry=FAST) as runtime:
            for run in numbers:
                await runtime.send(order_request(run))
            await runtime.drain(timeout=30)
        messages = [
            message
            for run, number in numbers.items()
            for message in replies(number, await store.load(subjects[run]), run)
        ]
        for delivery in prepare(messages) if prepare else [Delivery(it, 1) for it in messages]:
            store._queues.put(delivery)
            store._under_way += 1
        backend.delivered.clear()
        backend.calls.clear()
        async with Runtime(counting, backend, retry=FAST) as runtime:
            stats = await runtime.drain(timeout=30)
        records = [await store.load(subject) for subject in subjects.values()]
        return [record.state["receipts"] for record in records], stats

    return within(go())


def receipts(number: int) -> list[str]:
    return [f"r{place}" for place in range(number)]


@pytest.fixture
def timeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each tick all the time that it needs."""
    monkeypatch.setattr(tick_loop, "TICK_SECONDS", 3_600.0)


@pytest.mark.usefixtures("timeless")
@pytest.mark.promise("I4")
def test_messages_that_wait_for_a_workflow_share_a_commit() -> None:
    """A thousand replies do not wait for a thousand transactions."""
    backend = Counted()

    [counted], stats = count(backend, {"i1": 100})

    assert counted == receipts(100)
    assert backend.delivered == [[f"i1-{place}" for place in range(100)]]
    assert "commit" not in backend.calls
    assert stats.handled == 100


@pytest.mark.usefixtures("timeless")
def test_one_workflow_has_a_bounded_number_of_turns_in_a_tick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Thousands of replies for one must not keep the others waiting."""
    monkeypatch.setattr(chains, "KEY_MAX", 3)
    backend = Counted()

    counted, _ = count(backend, {"i1": 7, "i2": 1})

    assert counted == [receipts(7), receipts(1)]
    assert backend.delivered == [
        ["i1-0", "i1-1", "i1-2"],
        ["i2-0"],
        ["i1-3", "i1-4", "i1-5"],
        ["i1-6"],
    ]


def test_a_tick_without_time_takes_one_message_of_a_workflow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The time of a tick bounds the messages of one workflow as it does the chains."""
    monkeypatch.setattr(tick_loop, "TICK_SECONDS", -1.0)
    backend = Counted()

    [counted], _ = count(backend, {"i1": 3})

    assert counted == receipts(3)
    assert backend.delivered == [["i1-0"], ["i1-1"], ["i1-2"]]


def test_a_tick_reads_no_more_records_than_it_has_time_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or those of a thousand timers that are due at once would be read anew in each tick."""
    monkeypatch.setattr(tick_loop, "TICK_SECONDS", -1.0)
    monkeypatch.setattr(tick_loop, "PORTION_MIN", 1)
    number = 40
    backend = Counted()

    counted, _ = count(backend, {f"i{place}": 1 for place in range(number)})

    assert counted == [receipts(1)] * number
    # All of them in the first tick, and then twice as many as the tick before had time for.
    assert sum(backend.loaded) < 3 * number


@pytest.mark.usefixtures("timeless")
@pytest.mark.promise("I2", "I4")
def test_messages_whose_chain_is_refused_are_processed_one_by_one() -> None:
    """In their order, and each is tried in a chain once, or a duplicate would cost the others a
    chain each.
    """
    backend = Counted()

    def with_duplicate(messages: list[Message]) -> list[Delivery]:
        # It was consumed before, which only the backend knows.
        backend.inner._inbox.add(order["1.0.0"].type, messages[2].event)
        return [Delivery(message, 1) for message in messages]

    [counted], stats = count(backend, {"i1": 5}, with_duplicate)

    assert counted == ["r0", "r1", "r3", "r4"]
    assert len(backend.delivered) == 1
    assert backend.calls.count("commit") == 5
    assert stats.duplicates == 1


@pytest.mark.usefixtures("timeless")
@pytest.mark.promise("I4")
@pytest.mark.parametrize("deaths", [0, 1])
def test_a_message_that_was_tried_before_ends_the_chain_before_it(deaths: int) -> None:
    """It is processed by itself, and those behind it wait for it."""
    backend = Counted()

    def tried(messages: list[Message]) -> list[Delivery]:
        deliveries = [Delivery(message, 1) for message in messages]
        deliveries[2] = evolve(deliveries[2], attempt=2, deaths=deaths)
        return deliveries

    [counted], _ = count(backend, {"i1": 5}, tried)

    assert counted == receipts(5)
    assert backend.delivered == [["i1-0", "i1-1"], ["i1-3", "i1-4"]]
    assert backend.calls.count("commit") == 1


@pytest.mark.usefixtures("timeless")
def test_a_cancellation_interrupts_all_messages_that_wait_before_it() -> None:
    """It has its turn before theirs, though they came earlier."""
    backend = Counted()

    def cancelled(messages: list[Message]) -> list[Delivery]:
        subject = order_request().subject
        stop = order["1.0.0"].cancel("enough", source="com.shop.web", subject=subject)
        message = Message(stop, ToHandler(order["1.0.0"].type, subject))
        backend.inner._cancellations.add(message)
        return [Delivery(each, 1) for each in (*messages, message)]

    [counted], stats = count(backend, {"i1": 4}, cancelled)

    assert counted == []
    assert (stats.cancelled, stats.late, stats.dead_lettered) == (1, 3, 0)


@pytest.mark.usefixtures("timeless")
def test_answers_that_no_process_takes_share_a_commit() -> None:
    """Their senders wait for none, and thousands of them would take a task and a write each."""
    backend = Counted()

    async def go() -> Stats:
        async with Runtime(shop, backend, retry=FAST) as runtime:
            await asyncio.gather(*(runtime.send(order_request(f"i{it}")) for it in range(8)))
            return await runtime.drain(timeout=30)

    stats = within(go())

    assert stats.unclaimed == 8
    assert not {"ack", "commit"} & set(backend.calls)
    assert backend.calls.count("commit_chains") < 8


def test_a_loop_that_is_never_idle_lets_other_tasks_run() -> None:
    """A workflow that asks for ever must not stop timers, requests and heartbeats."""
    memory, third, polls = MemoryBackend(), asyncio.Event(), 0

    async def poll(room: Any, maximum: int) -> Any:
        nonlocal polls
        polls += 1
        if polls == 3:
            third.set()
        # Else nothing would end the test where no other task runs.
        return await memory.poll(room, maximum) if polls < 100 else []

    endless = make_workflow(lambda turn: Emit(ChargeCard("o1", 1.0)))

    async def go() -> None:
        async with Runtime(System([endless, payments]), Polled(memory, poll)) as runtime:
            await runtime.send(order_request())
            await third.wait()
            assert polls < 100

    within(go())


class Polled:
    """A memory backend with another `poll`."""

    def __init__(self, memory: MemoryBackend, poll: Any) -> None:
        self._memory, self.poll = memory, poll

    def __getattr__(self, name: str) -> Any:
        return getattr(self._memory, name)
