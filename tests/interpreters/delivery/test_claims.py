"""Claims: a process claims rows from a shared store for the workers that wait in it."""

import asyncio
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

import pytest
from attrs import define, field

from arvo import Corrupt, Depth, Unavailable
from arvo.engine.step.route import ToHandler
from arvo.interpreters.delivery import tasks
from arvo.interpreters.delivery.claims import ClaimLoop
from arvo.interpreters.ports.messages import Delivery, Message
from tests.interpreters.within import within
from tests.logged import logged
from tests.shop import charge_request

ORDER, PAY = "arvo.orc.order.fulfil", "com.payment.charge"


def message(name: str, key: str | None = None, queue: str = PAY) -> Message:
    return Message(charge_request(name), ToHandler(queue, key))


def delivery(name: str, key: str | None = None, queue: str = PAY) -> Delivery:
    return Delivery(message(name, key, queue), 1)


def order_of(received: Delivery) -> int:
    """Return the number in the id, such as 2 of c2."""
    return int(id_of(received)[1:])


def id_of(received: Delivery) -> str:
    return received.message.event.id


@define
class Store:
    """Answers claims with *answers*, in order, and then with no rows. Records all *claims*."""

    answers: list[Any] = field(factory=list)
    claims: list[tuple[dict[str, int], list[str]]] = field(factory=list)

    async def claim(
        self, limits: Mapping[str, int], excluded_keys: Sequence[str]
    ) -> tuple[Sequence[Delivery], bool]:
        self.claims.append((dict(limits), list(excluded_keys)))
        answer = self.answers.pop(0) if self.answers else ([], False)
        if isinstance(answer, Exception):
            raise answer
        rows: tuple[Sequence[Delivery], bool] = answer
        return rows


def claim_loop(store: Store, keep_max: int = 10, key_max: float = inf) -> ClaimLoop:
    return ClaimLoop(store.claim, prefetch=3, keep_max=keep_max, key_max=key_max, order_of=order_of)


async def let_tasks_run() -> None:
    """Run every task until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


async def cancel(*tasks: "asyncio.Task[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_rows_are_claimed_for_each_waiting_worker() -> None:
    """A prefetch for each, in its queue alone, until a claim returns no row."""

    async def go() -> None:
        store = Store([([delivery("c1"), delivery("c2")], False)])
        loop = claim_loop(store)
        one, two = (asyncio.create_task(loop.receive(PAY)) for _ in range(2))
        assert [id_of(await task) for task in (one, two)] == ["c1", "c2"]
        await let_tasks_run()
        assert store.claims == [({PAY: 6}, [])]
        waiting = asyncio.create_task(loop.receive(PAY))
        await let_tasks_run()
        assert store.claims[1:] == [({PAY: 3}, [])]
        another = asyncio.create_task(loop.receive(PAY))
        await let_tasks_run()
        assert len(store.claims) == 2, "the store was empty, and no notification has come"
        await cancel(waiting, another)

    within(go())


def test_a_notification_leads_to_a_claim_as_soon_as_a_worker_waits() -> None:
    """Even if no worker waited when the notification came."""

    async def go() -> None:
        store = Store()
        loop = claim_loop(store)
        await cancel(asyncio.create_task(loop.receive(PAY)))
        first = asyncio.create_task(loop.receive(PAY))
        await let_tasks_run()
        await cancel(first)
        store.claims.clear()
        loop.notify()
        await let_tasks_run()
        assert store.claims == []
        store.answers.append(([delivery("c1")], False))
        assert id_of(await loop.receive(PAY)) == "c1"
        waiting = asyncio.create_task(loop.receive(PAY))
        await let_tasks_run()
        store.answers.append(([delivery("c2")], False))
        loop.notify()
        assert id_of(await waiting) == "c2"

    within(go())


def test_a_notification_during_a_claim_leads_to_another_claim() -> None:
    """The claim may not have seen the new rows."""

    async def go() -> None:
        asked: list[int] = []

        async def claim(*_: object) -> tuple[Sequence[Delivery], bool]:
            asked.append(len(asked))
            if asked == [0]:
                loop.notify()
                return [], False
            return [delivery("c1")], False

        loop = ClaimLoop(claim, prefetch=1, keep_max=1, key_max=inf, order_of=order_of)
        assert id_of(await loop.receive(PAY)) == "c1"
        assert asked == [0, 1]

    within(go())


@pytest.mark.promise("I4")
@pytest.mark.parametrize("claimed", [["c1", "c2"], ["c2", "c4"], ["c4", "c5"]])
def test_a_message_of_this_process_overtakes_none_that_is_being_claimed(
    claimed: list[str],
) -> None:
    """I4: the store gave it to this process because this process owns the earlier ones by now."""

    async def go() -> None:
        async def claim(*_: object) -> tuple[Sequence[Delivery], bool]:
            loop.deliver([delivery("c3", "o1")])
            await let_tasks_run()
            rows, claimed[:] = [delivery(name, "o1") for name in claimed], []
            return rows, False

        names = sorted([*claimed, "c3"])
        loop = ClaimLoop(claim, prefetch=1, keep_max=1, key_max=inf, order_of=order_of)
        for name in names:
            received = await loop.receive(PAY)
            assert id_of(received) == name
            loop.release(received)

    within(go())


def test_messages_of_this_process_are_delivered_if_a_claim_fails() -> None:
    async def go() -> None:
        async def claim(*_: object) -> tuple[Sequence[Delivery], bool]:
            loop.deliver([delivery("c1")])
            raise Unavailable("the store is gone")

        loop = ClaimLoop(claim, prefetch=1, keep_max=1, key_max=inf, order_of=order_of)
        assert id_of(await loop.receive(PAY)) == "c1"

    within(go())


def test_a_contested_claim_is_repeated_after_a_pause() -> None:
    """Another process competed for the rows, and may have left them."""

    async def go() -> None:
        store = Store([([], True), ([], True), ([delivery("c1")], False)])
        loop = claim_loop(store)
        waiting = asyncio.create_task(loop.receive(PAY))
        await let_tasks_run()
        assert store.claims == [({PAY: 3}, [])]
        assert id_of(await waiting) == "c1"
        assert store.claims == [({PAY: 3}, [])] * 3

    within(go())


def test_a_crowded_key_is_excluded_until_its_deliveries_are_processed() -> None:
    """They are processed one at a time, so a process needs only a few of them."""

    async def go() -> None:
        store = Store([([delivery(f"w{n}", "k", ORDER) for n in range(3)], False)])
        loop = claim_loop(store, key_max=2)
        first = await loop.receive(ORDER)
        waiting = asyncio.create_task(loop.receive(ORDER))
        await let_tasks_run()
        assert loop.queues.blocked_count("k") == 2
        assert store.claims == [({ORDER: 3}, []), ({ORDER: 3}, ["k"])]
        loop.release(first)
        second = await waiting
        assert (id_of(second), loop.queues.blocked_count("k")) == ("w1", 1)
        loop.release(second)
        third = await loop.receive(ORDER)
        await let_tasks_run()
        assert store.claims == [({ORDER: 3}, []), ({ORDER: 3}, ["k"])]
        waiting = asyncio.create_task(loop.receive(ORDER))
        await let_tasks_run()
        asked = len(store.claims)
        loop.release(third)
        await let_tasks_run()
        assert store.claims[asked:] == [({ORDER: 3}, [])]
        await cancel(waiting)

    within(go())


def test_a_key_without_excluded_rows_leads_to_no_claim() -> None:
    """Otherwise each released delivery would cost a claim while a worker waits."""

    async def go() -> None:
        store = Store([([delivery("w1", "k", ORDER), delivery("w2", "k", ORDER)], False)])
        loop = claim_loop(store, key_max=1)
        first = await loop.receive(ORDER)
        waiting = [asyncio.create_task(loop.receive(ORDER)) for _ in range(2)]
        await let_tasks_run()
        assert "k" in store.claims[-1][1]
        loop.release(first)
        second = await waiting[0]
        await let_tasks_run()
        loop.release(second)
        await let_tasks_run()
        asked = len(store.claims)
        loop.deliver([delivery("w3", "k", ORDER)])
        third = await waiting[1]
        more = asyncio.create_task(loop.receive(ORDER))
        await let_tasks_run()
        assert len(store.claims) == asked
        loop.release(third)
        await let_tasks_run()
        assert len(store.claims) == asked, "the key was claimed again before"
        await cancel(more)

    within(go())


@pytest.mark.parametrize(
    ("messages", "accepted"),
    [
        ([], True),
        ([message("c1"), message("w", "free", ORDER)], True),
        ([message("c1"), message("x", None, "com.elsewhere")], False),
        ([message("w", "busy", ORDER)], False),
    ],
)
def test_a_process_accepts_its_own_messages_if_it_serves_their_queues_and_has_room(
    messages: list[Message], accepted: bool
) -> None:
    """Otherwise any process may claim them, this one too."""

    async def go() -> None:
        store = Store()
        loop = claim_loop(store, keep_max=2, key_max=1)
        loop.served.update((PAY, ORDER))
        loop.deliver([delivery("w1", "busy", ORDER), delivery("w2", "busy", ORDER)])
        await loop.receive(ORDER)
        waiting = asyncio.create_task(loop.receive(ORDER))
        await let_tasks_run()
        assert loop.queues.blocked_count("busy") == 1
        assert loop.accepts(messages) is accepted
        loop.fill()
        await let_tasks_run()
        assert bool(store.claims) is not accepted
        await cancel(waiting)

    within(go())


def test_messages_of_limited_handlers_are_claimed_and_no_others_with_them() -> None:
    """A limit costs the handlers nothing that have none."""

    async def go() -> None:
        loop = claim_loop(Store(), keep_max=2)
        loop.served.update((PAY, ORDER))
        loop.limited.add(PAY)
        assert not loop.accepts([message("c1")])
        assert loop.accepts([message("c1"), message("w", "free", ORDER)])
        assert loop.accepts([message("w", "free", ORDER)])

    within(go())


def test_few_rows_of_a_limited_handler_are_claimed() -> None:
    """One that waits in this process cannot take the slot that is free in another one."""

    async def go() -> Mapping[str, int]:
        loop = claim_loop(Store())
        loop.limited.add(PAY)
        loop.subscribe({PAY: 3, ORDER: 3}, lambda: None)
        return loop._claim_limits()

    limits = within(go())

    assert (limits[PAY], limits[ORDER]) == (3, 9)


def test_a_process_accepts_no_more_than_keep_max() -> None:
    """Other processes may be idle."""

    async def go() -> None:
        loop = claim_loop(Store(), keep_max=2)
        loop.served.add(PAY)
        loop.deliver([delivery("c1")])
        assert loop.accepts([message("c3")])
        loop.deliver([delivery("c2")])
        assert not loop.accepts([message("c3")])

    within(go())


def test_an_unavailable_store_is_claimed_from_again_and_a_corrupt_one_fails_the_worker() -> None:
    """An outage passes and loses nothing; damage needs an operator."""

    async def go() -> None:
        store = Store([Unavailable("away")])
        loop = claim_loop(store)
        waiting = asyncio.create_task(loop.receive(PAY))
        await let_tasks_run()
        assert (len(store.claims), waiting.done()) == (1, False)
        store.answers.append(([delivery("c1")], False))
        loop.fill()
        assert id_of(await waiting) == "c1"
        store.answers.append(Corrupt("broken"))
        loop.notify()
        with pytest.raises(Corrupt, match="broken"):
            await loop.receive(PAY)

    within(go())


def test_deliveries_that_are_not_taken_can_be_dropped() -> None:
    """Another process may own them, so they are claimed anew. A taken one keeps its key."""

    async def go() -> None:
        store = Store([([delivery(f"w{n}", "k", ORDER) for n in range(3)], False)])
        loop = claim_loop(store, key_max=1)
        first = await loop.receive(ORDER)
        waiting = asyncio.create_task(loop.receive(ORDER))
        await let_tasks_run()
        loop.queues.put_delayed(delivery("w9", "k", ORDER), 0.0)
        loop.drop_ready()
        await asyncio.sleep(0.01)
        assert (loop.queues.ready, loop.queues.blocked_count("k"), loop.queues.delayed) == (0, 0, 0)
        store.claims.clear()
        store.answers.append(([delivery("w1", "k", ORDER)], False))
        loop.fill()
        await let_tasks_run()
        assert (store.claims[0], waiting.done()) == (({ORDER: 3}, []), False)
        loop.release(first)
        assert id_of(await waiting) == "w1"

    within(go())


def test_a_postponed_delivery_is_ready_after_its_delay() -> None:
    """The others of its key wait behind it."""

    async def go() -> None:
        loop = claim_loop(Store([([delivery(f"w{n}", "k", ORDER) for n in range(2)], False)]))
        first = await loop.receive(ORDER)
        loop.postpone(first, first.retried, 0.01)
        second = await loop.receive(ORDER)
        assert (id_of(second), second.attempt) == ("w0", 2)
        loop.release(second)
        assert id_of(await loop.receive(ORDER)) == "w1"

    within(go())


def test_a_delivery_that_was_received_before_a_stop_is_not_postponed() -> None:
    """The store has released it, and another process may have it."""

    async def go() -> None:
        loop = claim_loop(Store([([delivery("c1")], False)]))
        first = await loop.receive(PAY)
        await loop.stop()
        loop.postpone(first, first.retried, 0.0)
        assert loop.queues.delayed == 0

    within(go())


def test_rows_that_are_due_later_are_claimed_then() -> None:
    """No process owns them meanwhile, so no queue would deliver them. A stop cancels that."""

    async def go() -> None:
        store = Store([([], False)])
        loop = claim_loop(store)
        waiting = asyncio.create_task(loop.receive(PAY))
        await let_tasks_run()
        store.answers.append(([delivery("c1")], False))
        loop.notify_after(0.01)
        assert id_of(await waiting) == "c1"
        loop.notify_after(0.01)
        await loop.stop()
        more = asyncio.create_task(loop.receive(PAY))
        await let_tasks_run()
        asked = len(store.claims)
        await asyncio.sleep(0.05)
        assert len(store.claims) == asked
        await cancel(more)

    within(go())


def test_after_a_stop_no_rows_are_claimed_and_no_delivery_is_known() -> None:
    """A worker that ends late releases a delivery that this process no longer owns."""

    async def go() -> None:
        store = Store([([delivery("c1")], False)])
        loop = claim_loop(store)
        first = await loop.receive(PAY)
        loop.queues.put_delayed(delivery("c2"), 0.0)
        await loop.stop()
        loop.release(first)
        store.claims.clear()
        loop.notify()
        await asyncio.sleep(0.01)
        assert (store.claims, loop.served, loop.queues.ready) == ([], set(), 0)

    within(go())


def test_a_stop_waits_for_a_claim_in_progress_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A connection that a cancelled task was opening would stay open."""

    async def go(seconds: float) -> list[str]:
        outcomes: list[str] = []

        async def claim(*_: object) -> tuple[Sequence[Delivery], bool]:
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                outcomes.append("cancelled")
                raise
            outcomes.append("done")
            return [], False

        loop = ClaimLoop(claim, prefetch=1, keep_max=1, key_max=inf, order_of=order_of)
        waiting = asyncio.create_task(loop.receive(PAY))
        await let_tasks_run()
        await loop.stop()
        at_stop = list(outcomes)
        await cancel(waiting)
        return at_stop

    assert asyncio.run(go(0.05)) == ["done"]
    monkeypatch.setattr(tasks, "END_SECONDS", 0.05)
    assert asyncio.run(go(3_600.0)) == ["cancelled"]


def test_depth_is_computed_from_the_store_and_the_taken_deliveries() -> None:
    """The two are not counted at the same moment, so no number may become negative."""

    async def go() -> None:
        loop = claim_loop(Store([([delivery("c1")], False)]))
        await loop.receive(PAY)
        assert loop.depth(5, 1, 2) == Depth(ready=3, taken=1, delayed=1, timers=2)
        assert loop.depth(0, 0, 0) == Depth(ready=0, taken=1)

    within(go())


def test_an_unexpected_error_of_a_claim_fails_every_worker(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A worker that waited for ever would look idle. The next one to wait fails as well."""

    async def go() -> None:
        store = Store([ZeroDivisionError("a bug"), ZeroDivisionError("a bug")])
        loop = claim_loop(store)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError, match="a bug"):
                await loop.receive(PAY)

    within(go())

    assert logged(caplog.records, "a task failed") == [{"task": "arvo claim loop"}] * 2
