"""TurnProgress: which results are stored with a delivery, and what is performed again."""

import asyncio
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from attrs import frozen

from arvo import (
    Effects,
    Emit,
    Event,
    MemoryBackend,
    Perform,
    Performed,
    Retry,
    Runtime,
    System,
    TransactionViolation,
    Unavailable,
    Violate,
    call,
)
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.messages import PROGRESS_BYTES_MAX, Delivery, Message, Progress
from arvo.interpreters.turns.progress import TurnProgress
from tests.interpreters.runtime.running import Replaced, run_runtime, within
from tests.shop import CardCharged, ChargeCard, charge_request, payment_handler


@frozen
class Rate:
    currency: str
    value: float


async def rate(currency: str) -> Rate:
    raise NotImplementedError(currency)


async def lookup(key: str) -> Any:
    raise NotImplementedError(key)


RATE: Perform[Any] = Perform(rate, ("EUR",))
LOOKUP: Perform[Any] = Perform(lookup, ("a",))


def deliver(progress: bytes = b"") -> Delivery:
    """Return a delivery as another process would get it."""
    message = Message(charge_request(), ToHandler("com.payment.charge", None))
    return Delivery(message, 1, progress=Progress(progress))


async def store(*results: Performed, is_flow: bool = False) -> bytes:
    """Return the checkpoint after these results."""
    delivery = deliver()
    progress = TurnProgress(MemoryBackend(), delivery, is_flow)
    for done in results:
        await progress.record(done)
    return delivery.progress.data or b""


async def read(data: bytes, *asked: Perform[Any], is_flow: bool = False) -> list[Any]:
    """Return what another process gets for the effects that its step asks for in turn."""
    progress = TurnProgress(MemoryBackend(), deliver(data), is_flow)
    return [await progress.next(effect, number) for number, effect in enumerate(asked)]


def through_a_store(*results: Performed, is_flow: bool = False) -> list[Any]:
    """Store results, and return what another process gets for the same effects."""

    async def go() -> list[Any]:
        data = await store(*results, is_flow=is_flow)
        return await read(data, *(done.effect for done in results), is_flow=is_flow)

    return asyncio.run(go())


@pytest.mark.parametrize(
    "done",
    [
        Performed(RATE, Rate("EUR", 1.5)),
        Performed(LOOKUP, {"name": "ada", "tags": ["a", None, 1.5]}),
        Performed(LOOKUP, "text"),
        Performed(LOOKUP, None),
    ],
    ids=str,
)
def test_a_result_that_json_gives_back_is_stored(done: Performed) -> None:
    """By the return annotation of the function, or as plain JSON."""
    assert through_a_store(done) == [done]


@pytest.mark.parametrize(
    "done",
    [
        Performed(LOOKUP, (1, 2)),
        Performed(LOOKUP, {1, 2}),
        Performed(LOOKUP, object()),
        Performed(LOOKUP, error=ConnectionError("down")),
    ],
    ids=["a tuple", "a set", "an object", "an exception"],
)
def test_a_result_that_json_would_change_is_obtained_again(done: Performed) -> None:
    """A handler must not see another value, or class of exception, after a crash than before."""
    assert through_a_store(done) == [done.effect]


def test_a_result_behind_one_that_is_not_stored_is_still_used() -> None:
    """Only the effect whose result is missing is performed again."""
    opened, charged = Performed(LOOKUP, object()), Performed(RATE, Rate("EUR", 1.5))

    assert through_a_store(opened, charged, opened) == [LOOKUP, charged, LOOKUP]


def test_a_flow_stores_exceptions_too() -> None:
    """It sees every exception as a `CallFailed` with the name and message of the original."""
    [again] = through_a_store(Performed(LOOKUP, error=ConnectionError("down")), is_flow=True)

    assert (type(again.error).__name__, str(again.error)) == ("ConnectionError", "down")


def test_results_of_other_effects_than_the_step_asks_for_are_dropped() -> None:
    """The code, or the record, has changed since."""
    other: Perform[Any] = Perform(lookup, ("b",))

    async def go() -> list[Any]:
        data = await store(Performed(LOOKUP, 1), Performed(other, 2))
        return await read(data, Perform(lookup, ("c",)), other)

    assert asyncio.run(go()) == [Perform(lookup, ("c",)), other]


def test_a_checkpoint_is_bounded() -> None:
    """What does not fit is obtained again; it must not make the store refuse the workflow."""
    big = Performed(Perform(lookup, ("big",)), "x" * PROGRESS_BYTES_MAX)

    async def go() -> list[Any]:
        data = await store(Performed(LOOKUP, 1), big)
        assert len(data) < PROGRESS_BYTES_MAX
        return await read(data, LOOKUP, big.effect)

    assert asyncio.run(go()) == [Performed(LOOKUP, 1), big.effect]


def test_the_damaged_checkpoint_of_another_program_repeats_the_effects() -> None:
    """It is worth no outage."""
    assert asyncio.run(read(b'["other"]', LOOKUP)) == [LOOKUP]
    assert asyncio.run(read(b"\xff", LOOKUP)) == [LOOKUP]


def run_charges(
    function: Callable[[Event[ChargeCard]], Effects[Any]], backend: Any
) -> tuple[Any, Any]:
    """Request one charge from a handler, and return the answer and the statistics."""

    async def work(runtime: Runtime) -> Any:
        return await runtime.request(charge_request(), timeout=30)

    system = System([payment_handler(function)])
    return run_runtime(system, work, backend=backend, retry=Retry(attempts=4, delay=0.0))


def test_a_turn_that_asks_to_be_retried_performs_its_effects_again() -> None:
    """Its results led to the violation, so keeping them would repeat the violation."""
    asked: list[str] = []

    async def stock(item: str) -> int:
        asked.append(item)
        return len(asked) - 1

    def charges(event: Event[ChargeCard]) -> Effects[Any]:
        left = yield from call(stock, "cards")
        if not left:
            return Violate(TransactionViolation("not yet", "read"))
        return Emit(CardCharged(str(left)))

    answer, _ = run_charges(charges, MemoryBackend())

    assert answer.data == CardCharged("1")
    assert asked == ["cards", "cards"]


def test_a_commit_that_failed_repeats_no_effect() -> None:
    """In the same process not even a result that cannot be stored is obtained again."""
    asked: list[str] = []

    async def connect(name: str) -> object:
        asked.append(name)
        return object()

    def charges(event: Event[ChargeCard]) -> Effects[Any]:
        yield from call(connect, "bank")
        return Emit(CardCharged("r"))

    inner, failures = MemoryBackend(), [Unavailable("down"), Unavailable("still down")]

    async def commit(*arguments: Any) -> Any:
        if failures:
            raise failures.pop()
        return await inner.commit(*arguments)

    answer, _ = run_charges(charges, Replaced(inner, commit=commit))

    assert answer.data == CardCharged("r")
    assert asked == ["bank"]


def test_a_turn_goes_on_while_its_results_cannot_be_stored() -> None:
    """An outage between two effects costs nothing if it is over by the next one."""
    inner, stored = MemoryBackend(), list[bytes]()

    async def checkpoint(delivery: Delivery, progress: bytes) -> Any:
        stored.append(progress)
        if len(stored) == 1:
            raise Unavailable("down")
        return await inner.checkpoint(delivery, progress)

    async def fetch(name: str) -> str:
        return name

    def charges(event: Event[ChargeCard]) -> Effects[Any]:
        one = yield from call(fetch, "one")
        two = yield from call(fetch, "two")
        return Emit(CardCharged(one + two))

    answer, stats = run_charges(charges, Replaced(inner, checkpoint=checkpoint))

    assert answer.data == CardCharged("onetwo")
    assert stats.retried == 0
    # The second effect is not performed before the first result is stored.
    assert stored[1] == stored[0]
    assert stored[2].startswith(stored[0][: -len(b"]}")])


def test_no_effect_follows_one_whose_result_cannot_be_stored() -> None:
    """Otherwise a crash in an outage would repeat all effects of the turn."""
    inner, outages, asked = MemoryBackend(), [Unavailable("down")] * 3, list[str]()

    async def checkpoint(delivery: Delivery, progress: bytes) -> Any:
        if outages:
            asked.append("down")
            raise outages.pop()
        return await inner.checkpoint(delivery, progress)

    async def fetch(name: str) -> str:
        asked.append(name)
        return name

    def charges(event: Event[ChargeCard]) -> Effects[Any]:
        one = yield from call(fetch, "one")
        two = yield from call(fetch, "two")
        return Emit(CardCharged(one + two))

    answer, stats = run_charges(charges, Replaced(inner, checkpoint=checkpoint))

    assert answer.data == CardCharged("onetwo")
    assert (asked, stats.retried) == (["one", "down", "down", "down", "two"], 2)


def test_a_handler_without_effects_writes_no_checkpoint() -> None:
    """The happy path costs nothing."""

    async def checkpoint(*_: Any) -> Any:
        raise AssertionError("a checkpoint without an effect")

    def charges(event: Event[ChargeCard]) -> Any:
        return Emit(CardCharged("r"))

    answer, _ = run_charges(charges, Replaced(MemoryBackend(), checkpoint=checkpoint))

    assert answer.data == CardCharged("r")


def test_the_turn_of_a_cancellation_has_results_of_its_own() -> None:
    """It may perform an effect that is equal to one of the turn that it replaces."""
    stop: Event[Any] = attrs.evolve(charge_request(), id="stop")
    done, again = Performed(LOOKUP, value="before"), Performed(LOOKUP, value="after")

    async def go() -> list[Any]:
        backend, delivery = MemoryBackend(), deliver()
        await TurnProgress(backend, delivery, is_flow=False).record(done)
        last_turn = TurnProgress(backend, delivery, is_flow=False, cancellation=stop)
        results = [await last_turn.next(LOOKUP, 0)]
        await last_turn.record(again)
        # Another process gets the checkpoint, and takes either turn.
        stored = deliver(delivery.progress.data or b"")
        own = TurnProgress(backend, stored, is_flow=False)
        last = TurnProgress(backend, stored, is_flow=False, cancellation=stop)
        return [*results, await own.next(LOOKUP, 0), await last.next(LOOKUP, 0)]

    assert within(go()) == [LOOKUP, LOOKUP, again]
