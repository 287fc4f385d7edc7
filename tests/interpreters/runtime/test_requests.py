"""Requests: an event and its answer, or the reason why there will be none."""

import asyncio
from typing import Any

import attrs
import pytest

from arvo import (
    Effects,
    Emit,
    Event,
    EventHandler,
    Fail,
    NoReply,
    Runtime,
    Stats,
    Subject,
    System,
    Violated,
    call,
)
from tests.interpreters.runtime.running import (
    new_backend,
    reply_to_an_unknown_workflow,
    run_runtime,
    within,
)
from tests.shop import (
    WEB,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    charge,
    charge_request,
    make_workflow,
    order_request,
    payment_handler,
    shop,
)

pytestmark = pytest.mark.usefixtures("each_backend")


def test_a_request_can_be_made_again_by_the_same_source() -> None:
    """B03, B04: a subscription that outlives its request would make the second request of a source
    fail.
    """

    async def work(runtime: Runtime) -> list[object]:
        return [(await runtime.request(order_request(f"i{n}"), timeout=60)).data for n in range(3)]

    answers, stats = run_runtime(shop, work)

    assert answers == [OrderFulfilled("t-o1")] * 3
    assert stats == Stats(handled=15, answered=3)


def test_concurrent_requests_get_their_own_answers() -> None:
    """An answer is matched by the event that it answers, not by the sender."""

    async def work(runtime: Runtime) -> list[object]:
        events = [
            charge_request(f"c{n}", subject=f"s{n}", redirectto=f"com.review.n{n}")
            for n in range(20)
        ]
        answers = await asyncio.gather(*(runtime.request(event, timeout=60) for event in events))
        return [(answer.parentid, answer.to) for answer in answers]

    answers, _ = run_runtime(shop, work)

    assert answers == [(f"c{n}", f"com.review.n{n}") for n in range(20)]


WRONG = Event.from_dict({**charge_request().to_dict(), "data": {"order_id": 1}})


FOREIGN = str(Subject.new("arvo.orc.other", "1.0.0", initiator=WEB, id="1"))


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (charge_request(to="com.no.one"), "to: expected the address of a handler"),
        (
            attrs.evolve(charge_request(), dataschema="#/x/1.0.0"),
            "dataschema: expected #/contracts",
        ),
        (WRONG, "data.order_id: expected a string"),
        (order_request(subject="junk"), "names no workflow"),
        (
            order_request(subject=FOREIGN),
            "is for another workflow",
        ),
        (reply_to_an_unknown_workflow(), "answers no open request"),
    ],
    ids=["address", "contract", "payload", "subject", "another workflow", "unknown workflow"],
)
def test_a_refused_request_raises_at_once(event: Event[Any], message: str) -> None:
    """The caller does not wait thirty seconds for an answer that cannot come."""

    async def work(runtime: Runtime) -> str:
        with pytest.raises(Violated) as refused:
            await runtime.request(event, timeout=60)
        return str(refused.value)

    refusal, stats = run_runtime(shop, work)

    assert message in refusal
    assert stats.dead_lettered == 0


def test_a_request_to_a_failed_workflow_is_refused_at_once() -> None:
    """B15: the event is a dead letter, and the caller gets the reason."""

    async def work(runtime: Runtime) -> str:
        await runtime.send(order_request())
        await runtime.drain(timeout=60)
        again = order_request("i2", subject=order_request().subject)
        with pytest.raises(Violated) as refused:
            await runtime._requests.ask(again, 60, runtime._send)
        return str(refused.value)

    message, _ = run_runtime(System([make_workflow(lambda _: Fail("no"))]), work)

    assert "no handler consumed event 'i2': the workflow failed: no" in message


@pytest.mark.promise("I8")
def test_a_request_whose_answer_has_no_address_is_refused_at_once() -> None:
    """The answer is a dead letter (promise I8)."""

    async def work(runtime: Runtime) -> tuple[str, int]:
        with pytest.raises(Violated) as refused:
            await runtime.request(charge_request(), timeout=60)
        return str(refused.value), len(await runtime.dead_letters())

    lost = payment_handler(lambda _: Emit(CardCharged("r"), to="com.unknown.address"))
    (message, dead_letters), _ = run_runtime(System([lost]), work)

    assert "the answer to 'c1' is a dead letter: no handler is at 'com.unknown.address'" in message
    assert dead_letters == 1


def test_an_event_is_requested_once_at_a_time() -> None:
    """Two callers that wait for the same id could not be told apart."""

    async def work(runtime: Runtime) -> None:
        first = asyncio.create_task(runtime.request(charge_request(), timeout=60))
        await asyncio.sleep(0)
        with pytest.raises(
            Violated, match="id: expected an id that no pending request has, got 'c1'"
        ):
            await runtime.request(charge_request(), timeout=60)
        await first

    run_runtime(shop, work)


def test_a_request_to_a_handler_that_answers_nothing_raises() -> None:
    """The caller must not wait thirty seconds for an answer that will never come."""
    silent = System([EventHandler(charge, {"1.0.0": lambda _: None})])

    async def ask() -> None:
        async with Runtime(silent, new_backend()) as runtime:
            with pytest.raises(NoReply, match="answers nothing"):
                await runtime.request(charge_request(), timeout=60)

    asyncio.run(ask())


def test_an_answer_to_another_sender_with_the_same_id_is_not_taken() -> None:
    """An id is unique per source only: `1` of the web is not `1` of the till (CloudEvents 1.0
    §id).
    """

    async def slow(key: str) -> str:
        await asyncio.sleep(0.05 if key == "ours" else 0)
        return key

    def handler(event: Event[ChargeCard]) -> Effects[Emit]:
        key = yield from call(slow, event.data.order_id)
        return Emit(CardCharged(key))

    async def go() -> Event[Any]:
        accepts = charge["1.0.0"].accepts
        async with Runtime(System([payment_handler(handler)]), new_backend()) as runtime:
            ours = accepts(ChargeCard("ours", 1.0), source=WEB, id="1", subject="cart/7")
            theirs = accepts(
                ChargeCard("theirs", 1.0), source="com.shop.till", id="1", subject="cart/7"
            )
            answer = asyncio.create_task(runtime.request(ours, timeout=60))
            await asyncio.sleep(0)
            await runtime.send(theirs)
            return await answer

    assert within(go()).data == CardCharged("ours")


def test_a_request_whose_event_was_consumed_before_raises() -> None:
    """A client that retries must not wait for an answer that was sent already."""

    async def go() -> None:
        async with Runtime(shop, new_backend()) as runtime:
            event = charge_request("c1")
            await runtime.request(event, timeout=60)
            with pytest.raises(NoReply, match="consumed before"):
                await runtime.request(event, timeout=60)

    within(go())


@pytest.mark.parametrize(
    "changes",
    [
        {"data": {"order_id": "o2", "amount": 1.0, "parentSubject$$": None}},
        {"redirectto": "com.shop.spy"},
    ],
    ids=["data", "redirectto"],
)
def test_another_event_by_a_known_id_does_not_get_the_answer(changes: dict[str, Any]) -> None:
    """The answer is for the sender of the first one; only the same event may be repeated."""

    async def go() -> tuple[Any, list[str]]:
        async with Runtime(shop, new_backend()) as runtime:
            first = await runtime.request(order_request(), timeout=60)
            other = Event.from_dict({**order_request().to_dict(), **changes})
            with pytest.raises(Violated, match="another event with this id was consumed"):
                await runtime.request(other, timeout=60)
            again = await runtime.request(order_request(), timeout=60)
            assert again.data == first.data
            await runtime.drain(timeout=60)
            return first.data, [dead_letter.reason for dead_letter in await runtime.dead_letters()]

    answer, [reason] = within(go())

    assert answer == OrderFulfilled("t-o1")
    assert "another event with this id was consumed" in reason
