"""Feed: a process takes out of a store that others share what somebody here waits for."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from math import inf
from typing import Any

import pytest
from attrs import define, field

from arvo import Corrupt, Depth, Unavailable
from arvo.engine.step.route import ToHandler
from arvo.interpreters.delivery import claims as feeds
from arvo.interpreters.delivery.claims import Feed
from arvo.interpreters.ports.backend import Delivery, Message
from tests.shop import charging

ORDER, PAY = "arvo.orc.order.fulfil", "com.payment.charge"


def within(work: Coroutine[Any, Any, None]) -> None:
    async def go() -> None:
        async with asyncio.timeout(3):
            await work

    asyncio.run(go())


def post(name: str, key: str | None = None, queue: str = PAY) -> Message:
    return Message(charging(name), ToHandler(queue, key))


def delivery(name: str, key: str | None = None, queue: str = PAY) -> Delivery:
    return Delivery(post(name, key, queue), 1)


def name_of(found: Delivery) -> str:
    return found.message.event.id


@define
class Store:
    """Answers claims with *answers*, in order, and then with nothing; keeps what it was asked."""

    answers: list[Any] = field(factory=list)
    asked: list[tuple[dict[str, int], list[str]]] = field(factory=list)

    async def claim(
        self, queues: Mapping[str, int], but: Sequence[str]
    ) -> tuple[Sequence[Delivery], bool]:
        self.asked.append((dict(queues), list(but)))
        answer = self.answers.pop(0) if self.answers else ([], False)
        if isinstance(answer, Exception):
            raise answer
        found: tuple[Sequence[Delivery], bool] = answer
        return found


def fed(store: Store, own_max: int = 10, key_max: float = inf) -> Feed:
    return Feed(store.claim, ahead=3, own_max=own_max, key_max=key_max)


async def settled() -> None:
    """Let all go on that can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def cancelled(*tasks: "asyncio.Task[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_as_much_is_asked_for_as_somebody_waits_for() -> None:
    """Some ahead for each, of those lanes alone; until nothing has come."""

    async def go() -> None:
        store = Store([([delivery("c1"), delivery("c2")], False)])
        feed = fed(store)
        one, two = (asyncio.create_task(feed.receive(PAY)) for _ in range(2))
        assert [name_of(await each) for each in (one, two)] == ["c1", "c2"]
        await settled()
        assert store.asked == [({PAY: 6}, [])]
        waiting = asyncio.create_task(feed.receive(PAY))
        await settled()
        assert store.asked[1:] == [({PAY: 3}, [])]
        another = asyncio.create_task(feed.receive(PAY))
        await settled()
        assert len(store.asked) == 2, "nothing was there, and nobody has told of more"
        await cancelled(waiting, another)

    within(go())


def test_news_are_for_all_lanes_and_asked_for_when_somebody_waits() -> None:
    """Also where nobody waited when they came."""

    async def go() -> None:
        store = Store()
        feed = fed(store)
        await cancelled(asyncio.create_task(feed.receive(PAY)))
        first = asyncio.create_task(feed.receive(PAY))
        await settled()
        await cancelled(first)
        store.asked.clear()
        feed.news()
        await settled()
        assert store.asked == []
        store.answers.append(([delivery("c1")], False))
        assert name_of(await feed.receive(PAY)) == "c1"
        waiting = asyncio.create_task(feed.receive(PAY))
        await settled()
        store.answers.append(([delivery("c2")], False))
        feed.news()
        assert name_of(await waiting) == "c2"

    within(go())


def test_news_that_come_while_it_asks_are_asked_for_afterwards() -> None:
    """What was sent then may not have been seen."""

    async def go() -> None:
        asked: list[int] = []

        async def claim(*_: object) -> tuple[Sequence[Delivery], bool]:
            asked.append(len(asked))
            if asked == [0]:
                feed.news()
                return [], False
            return [delivery("c1")], False

        feed = Feed(claim, ahead=1, own_max=1, key_max=inf)
        assert name_of(await feed.receive(PAY)) == "c1"
        assert asked == [0, 1]

    within(go())


def test_a_contested_claim_is_asked_again_a_little_later() -> None:
    """Others were about to take the same, and may have let it go."""

    async def go() -> None:
        store = Store([([], True), ([], True), ([delivery("c1")], False)])
        feed = fed(store)
        waiting = asyncio.create_task(feed.receive(PAY))
        await settled()
        assert store.asked == [({PAY: 3}, [])]
        assert name_of(await waiting) == "c1"
        assert store.asked == [({PAY: 3}, [])] * 3

    within(go())


def test_a_key_that_many_wait_for_is_left_out_until_it_is_their_turn() -> None:
    """One at a time is worked on, so no more than a few need to be here."""

    async def go() -> None:
        store = Store([([delivery(f"w{n}", "k", ORDER) for n in range(3)], False)])
        feed = fed(store, key_max=2)
        first = await feed.receive(ORDER)
        waiting = asyncio.create_task(feed.receive(ORDER))
        await settled()
        assert feed.lanes.parked("k") == 2
        assert store.asked == [({ORDER: 3}, []), ({ORDER: 3}, ["k"])]
        feed.settle(first)
        second = await waiting
        assert (name_of(second), feed.lanes.parked("k")) == ("w1", 1)
        feed.settle(second)
        third = await feed.receive(ORDER)
        await settled()
        assert store.asked == [({ORDER: 3}, []), ({ORDER: 3}, ["k"])]
        waiting = asyncio.create_task(feed.receive(ORDER))
        await settled()
        asked = len(store.asked)
        feed.settle(third)
        await settled()
        assert store.asked[asked:] == [({ORDER: 3}, [])]
        await cancelled(waiting)

    within(go())


def test_nothing_is_asked_for_because_of_a_key_that_nothing_was_left_of() -> None:
    """Each delivery that is settled would cost a question, while somebody waits."""

    async def go() -> None:
        store = Store([([delivery("w1", "k", ORDER), delivery("w2", "k", ORDER)], False)])
        feed = fed(store, key_max=1)
        first = await feed.receive(ORDER)
        waiting = [asyncio.create_task(feed.receive(ORDER)) for _ in range(2)]
        await settled()
        assert "k" in store.asked[-1][1]
        feed.settle(first)
        second = await waiting[0]
        await settled()
        feed.settle(second)
        await settled()
        asked = len(store.asked)
        feed.hand_out([delivery("w3", "k", ORDER)])
        third = await waiting[1]
        more = asyncio.create_task(feed.receive(ORDER))
        await settled()
        assert len(store.asked) == asked
        feed.settle(third)
        await settled()
        assert len(store.asked) == asked, "the key had its turn before"
        await cancelled(more)

    within(go())


@pytest.mark.parametrize(
    ("messages", "wanted"),
    [
        ([], True),
        ([post("c1"), post("w", "free", ORDER)], True),
        ([post("c1"), post("x", None, "com.elsewhere")], False),
        ([post("w", "busy", ORDER)], False),
    ],
)
def test_what_it_sends_is_its_own_where_it_serves_it_and_has_room(
    messages: list[Message], wanted: bool
) -> None:
    """Else whoever claims it has it, and that may be us."""

    async def go() -> None:
        store = Store()
        feed = fed(store, own_max=2, key_max=1)
        feed.served.update((PAY, ORDER))
        feed.hand_out([delivery("w1", "busy", ORDER), delivery("w2", "busy", ORDER)])
        await feed.receive(ORDER)
        waiting = asyncio.create_task(feed.receive(ORDER))
        await settled()
        assert feed.lanes.parked("busy") == 1
        assert feed.wants(messages) is wanted
        feed.feed()
        await settled()
        assert bool(store.asked) is not wanted
        await cancelled(waiting)

    within(go())


def test_no_more_is_its_own_than_it_has_room_for() -> None:
    """Others have nothing to do, perhaps."""

    async def go() -> None:
        feed = fed(Store(), own_max=2)
        feed.served.add(PAY)
        feed.hand_out([delivery("c1")])
        assert feed.wants([post("c3")])
        feed.hand_out([delivery("c2")])
        assert not feed.wants([post("c3")])

    within(go())


def test_a_store_that_is_away_is_asked_again_with_the_next_news() -> None:
    """Nothing was lost; and one that is broken is told to whoever waits."""

    async def go() -> None:
        store = Store([Unavailable("away")])
        feed = fed(store)
        waiting = asyncio.create_task(feed.receive(PAY))
        await settled()
        assert (len(store.asked), waiting.done()) == (1, False)
        store.answers.append(([delivery("c1")], False))
        feed.feed()
        assert name_of(await waiting) == "c1"
        store.answers.append(Corrupt("broken"))
        feed.news()
        with pytest.raises(Corrupt, match="broken"):
            await feed.receive(PAY)

    within(go())


def test_what_is_not_in_hand_can_be_let_go_of() -> None:
    """It is nobody's any more, so it is asked for anew; what is in hand keeps its key."""

    async def go() -> None:
        store = Store([([delivery(f"w{n}", "k", ORDER) for n in range(3)], False)])
        feed = fed(store, key_max=1)
        first = await feed.receive(ORDER)
        waiting = asyncio.create_task(feed.receive(ORDER))
        await settled()
        feed.lanes.put_later(delivery("w9", "k", ORDER), 0.0)
        feed.forget()
        await asyncio.sleep(0.01)
        assert (feed.lanes.ready, feed.lanes.parked("k"), feed.lanes.delayed) == (0, 0, 0)
        store.asked.clear()
        store.answers.append(([delivery("w1", "k", ORDER)], False))
        feed.feed()
        await settled()
        assert (store.asked[0], waiting.done()) == (({ORDER: 3}, []), False)
        feed.settle(first)
        assert name_of(await waiting) == "w1"

    within(go())


def test_after_a_stop_nothing_is_taken_and_nothing_is_known() -> None:
    """A worker that ends late settles what is nobody's here any more."""

    async def go() -> None:
        store = Store([([delivery("c1")], False)])
        feed = fed(store)
        first = await feed.receive(PAY)
        feed.lanes.put_later(delivery("c2"), 0.0)
        await feed.stop()
        feed.settle(first)
        store.asked.clear()
        feed.news()
        await asyncio.sleep(0.01)
        assert (store.asked, feed.served, feed.lanes.ready) == ([], set(), 0)

    within(go())


def test_a_stop_waits_for_what_is_on_its_way_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A connection that is being opened when its task is cancelled would stay open."""

    async def go(seconds: float) -> list[str]:
        said: list[str] = []

        async def claim(*_: object) -> tuple[Sequence[Delivery], bool]:
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                said.append("cut off")
                raise
            said.append("done")
            return [], False

        feed = Feed(claim, ahead=1, own_max=1, key_max=inf)
        waiting = asyncio.create_task(feed.receive(PAY))
        await settled()
        await feed.stop()
        found = list(said)
        await cancelled(waiting)
        return found

    assert asyncio.run(go(0.05)) == ["done"]
    monkeypatch.setattr(feeds, "END_SECONDS", 0.05)
    assert asyncio.run(go(3_600.0)) == ["cut off"]


def test_depth_is_what_the_store_holds_and_what_is_in_hand() -> None:
    """The two were not counted at one moment, so nothing is less than none."""

    async def go() -> None:
        feed = fed(Store([([delivery("c1")], False)]))
        await feed.receive(PAY)
        assert feed.depth(5, 1, 2) == Depth(ready=3, taken=1, delayed=1, timers=2)
        assert feed.depth(0, 0, 0) == Depth(ready=0, taken=1)

    within(go())
