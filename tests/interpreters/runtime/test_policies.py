"""HandlerPolicy: retries, timeouts and exceptions as a handler's own data, and middleware."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from arvo import (
    Complete,
    DeadLetter,
    Effects,
    Emit,
    Event,
    EventHandler,
    ExecutionViolation,
    Flow,
    Resumable,
    Retry,
    Runtime,
    Stats,
    Step,
    System,
    SystemFault,
    Turn,
    Violated,
    ask,
    call,
    fail,
    flow,
    sleep,
)
from tests.interpreters.runtime.running import run_runtime
from tests.shop import (
    SERVICES,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    charge,
    charge_request,
    make_workflow,
    order,
    order_request,
    payment_handler,
    payments,
)

pytestmark = pytest.mark.usefixtures("each_backend")
NOW = Retry(attempts=3, delay=0.0)


@define
class Flaky:
    """An effect that raises as often as it has *failures*, and records its calls.

    Handlers are pure, and a worker may run one more often than it tries an event.
    """

    failures: int
    calls: list[str] = field(factory=list, init=False)

    def handle(self, event: Event[Any]) -> Effects[Emit]:
        yield from call(self.attempt, event.id)
        return Emit(CardCharged("r"))

    def attempt(self, name: str) -> str:
        self.calls.append(name)
        if len(self.calls) <= self.failures:
            raise ConnectionError("no route")
        return "done"


def charging(flaky: Flaky, **policy: Any) -> EventHandler[Any]:
    return EventHandler(charge, {"1.0.0": flaky.handle}, **policy)


async def request_charge(runtime: Runtime) -> Any:
    return (await runtime.request(charge_request(), timeout=60)).data


async def request_order(runtime: Runtime) -> Any:
    return (await runtime.request(order_request(), timeout=60)).data


def test_an_exception_fails_at_once_by_default() -> None:
    """The requester may wait for the answer, so it hears of the failure at once."""
    flaky = Flaky(1)
    answer, stats = run_runtime(System([charging(flaky)]), request_charge)

    assert isinstance(answer, SystemFault)
    assert (answer.name, answer.message, len(flaky.calls)) == ("ConnectionError", "no route", 1)
    assert stats.retried == 0


def test_an_exception_is_retried_by_the_policy_of_its_handler() -> None:
    """The runtime's own policy allows no second attempt here."""
    flaky = Flaky(2)
    system = System([charging(flaky, on_error="retry", retry=NOW)])
    answer, stats = run_runtime(system, request_charge, retry=Retry(1))

    assert answer == CardCharged("r")
    assert (len(flaky.calls), stats.retried) == (3, 2)


def test_the_last_attempt_fails() -> None:
    """The requester gets an answer in the end."""
    flaky = Flaky(9)
    system = System([charging(flaky, on_error="retry")])
    answer, stats = run_runtime(system, request_charge, retry=NOW)

    assert isinstance(answer, SystemFault)
    assert (answer.message, len(flaky.calls)) == ("no route", 3)
    assert (stats.failed, stats.dead_lettered) == (1, 0)


def test_an_exception_makes_a_dead_letter_that_can_be_redriven() -> None:
    """A workflow whose code has a fault neither fails nor loses the event."""
    flaky = Flaky(1)

    def turn(turn: Turn[Any]) -> Any:
        if isinstance(turn.event.data, CardCharged):
            yield from call(flaky.attempt, turn.event.id)
            return Complete(OrderFulfilled("t"))
        return Emit(ChargeCard("o1", 1.0))

    async def work(runtime: Runtime) -> tuple[list[DeadLetter], Any]:
        await runtime.send(order_request())
        await runtime.drain(timeout=60)
        stored = list(await runtime.dead_letters())
        await runtime.redrive_dead_letter(stored[0].id)
        await runtime.drain(timeout=60)
        return stored, await runtime.describe(order_request().subject)

    handler = Resumable(order, {"1.0.0": turn}, services=SERVICES, on_error="dead-letter")
    ((dead,), workflow), stats = run_runtime(System([handler, payments]), work)

    assert dead.reason == (
        "ExecutionViolation: the handler arvo.orc.order.fulfil raised ConnectionError: no route"
    )
    assert dead.event.type == "evt.payment.charged"
    assert workflow is not None
    assert workflow.record.status == "done"
    assert stats.failed == 0


def test_a_request_learns_of_the_dead_letter() -> None:
    """It would wait in vain."""
    flaky = Flaky(1)
    system = System([charging(flaky, on_error="dead-letter")])

    async def work(runtime: Runtime) -> Any:
        with pytest.raises(Violated) as raised:
            await request_charge(runtime)
        return raised.value.violation

    violation, stats = run_runtime(system, work)

    assert violation == ExecutionViolation(
        "the handler com.payment.charge raised ConnectionError: no route"
    )
    assert stats.dead_lettered == 1


def test_a_service_in_the_chain_of_its_workflow_is_retried() -> None:
    """The turns before it are committed, and its own is taken again."""
    flaky = Flaky(2)
    handler = make_workflow(
        lambda turn: (
            Emit(ChargeCard("o1", 1.0))
            if isinstance(turn.event.data, PlaceOrder)
            else Complete(OrderFulfilled("t"))
        )
    )
    system = System([handler, charging(flaky, on_error="retry", retry=NOW)])
    answer, stats = run_runtime(system, request_order)

    assert answer == OrderFulfilled("t")
    assert (len(flaky.calls), stats.failed) == (3, 0)


def test_a_pure_exception_in_a_chain_makes_a_dead_letter_of_its_own_event() -> None:
    """The turn before it stays, and the chain does not commit the failure."""

    def broken(event: Event[Any]) -> Emit:
        raise KeyError("currency")

    async def work(runtime: Runtime) -> tuple[list[str], Any]:
        await runtime.send(order_request())
        await runtime.drain(timeout=60)
        dead = await runtime.dead_letters()
        return [each.event.type for each in dead], await runtime.describe(order_request().subject)

    handler = make_workflow(
        lambda turn: (
            Emit(ChargeCard("o1", 1.0)) if isinstance(turn.event.data, PlaceOrder) else None
        )
    )
    service = EventHandler(charge, {"1.0.0": broken}, on_error="dead-letter")
    (types, workflow), stats = run_runtime(System([handler, service]), work)

    assert types == ["com.payment.charge"]
    assert workflow is not None
    assert (workflow.record.status, workflow.record.revision) == ("active", 1)
    assert (stats.failed, stats.dead_lettered) == (0, 1)


def test_a_retry_performs_what_failed_and_nothing_else() -> None:
    """A card is not charged twice because the mail that follows could not be sent."""
    first, second = Flaky(0), Flaky(1)

    @flow(order, "1.0.0", retry=NOW, on_error="retry")
    def run(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from call(first.attempt, "first")
        done = yield from call(second.attempt, "second")
        return OrderFulfilled(done)

    answer, stats = run_runtime(System([run]), request_order)

    assert answer == OrderFulfilled("done")
    assert (first.calls, second.calls) == (["first"], ["second", "second"])
    assert stats.retried == 1


@pytest.mark.parametrize("on_error", ["retry", "dead-letter"])
def test_a_failure_of_a_service_that_no_one_catches_fails_the_flow(on_error: Any) -> None:
    """Another attempt would read the same answer from its journal."""

    @flow(order, "1.0.0", services=SERVICES, on_error=on_error)
    def run(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        charged = yield from ask(ChargeCard("o1", 1.0), CardCharged)
        return OrderFulfilled(charged.receipt)

    answer, stats = run_runtime(System([run, charging(Flaky(9))]), request_order)

    assert isinstance(answer, SystemFault)
    assert (answer.name, stats.retried, stats.dead_lettered) == ("ServiceFailed", 0, 0)


def test_a_failure_that_the_handler_chose_is_not_retried() -> None:
    """`Fail` is an answer."""

    @flow(order, "1.0.0", on_error="retry")
    def run(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from sleep(0)
        return fail("out of stock")

    answer, stats = run_runtime(System([run]), request_order)

    assert isinstance(answer, SystemFault)
    assert (answer.message, stats.retried) == ("out of stock", 0)


def test_the_effects_of_an_attempt_have_one_timeout() -> None:
    """The second is not even begun: the time is over."""
    begun: list[str] = []

    async def hang(name: str) -> None:
        begun.append(name)
        await asyncio.Event().wait()

    def handle(event: Event[Any]) -> Effects[Emit]:
        texts: list[str] = []
        for name in ("first", "second"):
            try:
                yield from call(hang, name)
            except TimeoutError as error:
                texts.append(str(error).replace(hang.__qualname__, "hang"))
        return Emit(CardCharged(", ".join(texts)))

    handler = EventHandler(charge, {"1.0.0": handle}, timeout=timedelta(milliseconds=20))
    answer, _ = run_runtime(System([handler]), request_charge)

    text = "was not done within the 0.02 s of its handler"
    assert answer == CardCharged(f"hang('first') {text}, hang('second') {text}")
    # On a busy machine the time may be over before the first one begins.
    assert "second" not in begun


def test_the_timeout_of_a_handler_limits_no_code_of_its_own() -> None:
    """Nothing can interrupt it; only what it calls after that is too late."""
    called: list[str] = []

    def handle(event: Event[Any]) -> Effects[Emit]:
        time.sleep(0.01)
        if event.data.amount > 100:
            yield from call(called.append, "bank")
        return Emit(CardCharged("r"))

    handler = EventHandler(charge, {"1.0.0": handle}, timeout=0.001)

    async def work(runtime: Runtime) -> tuple[Any, Any]:
        small = await runtime.request(charge_request("small"), timeout=60)
        large = await runtime.request(charge_request("large", 200.0), timeout=60)
        return small.data, large.data

    (small, large), _ = run_runtime(System([handler]), work)

    assert small == CardCharged("r")
    assert isinstance(large, SystemFault)
    assert (large.name, called) == ("TimeoutError", [])


def test_an_effect_may_have_a_shorter_timeout_than_its_handler() -> None:
    """The shorter one counts."""

    async def hang() -> None:
        await asyncio.Event().wait()

    def handle(event: Event[Any]) -> Effects[Emit]:
        try:
            yield from call(hang, timeout=0.01)
        except TimeoutError as error:
            return Emit(CardCharged(str(error)))
        raise AssertionError

    handler = EventHandler(charge, {"1.0.0": handle}, timeout=600)
    answer, _ = run_runtime(System([handler]), request_charge)

    assert answer.receipt.endswith("did not answer within 0.01 s")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"retry": 3}, "retry: expected a Retry, such as Retry(attempts=5), got 3"),
        (
            {"on_error": "ignore"},
            "on_error: expected one of fail, retry, dead-letter, got 'ignore'",
        ),
        ({"timeout": 0}, "timeout: expected more than 0 seconds, or None for no limit, got 0"),
        ({"timeout": -1}, "timeout: expected seconds or a timedelta, not below 0"),
        ({"timeout": True}, "timeout: expected seconds or a timedelta, not below 0"),
    ],
)
def test_an_invalid_policy_is_refused(options: Any, text: str) -> None:
    """Where it is written, not at the first failure."""
    with pytest.raises(Violated) as refused:
        payment_handler_with(**options)

    assert text in str(refused.value)


def payment_handler_with(**options: Any) -> EventHandler[Any]:
    return EventHandler(charge, {"1.0.0": lambda _: None}, **options)


def noting(seen: list[str], name: str) -> Callable[[Step], Step]:
    """Return middleware that notes its name before and after each step."""

    def wrap(step: Step) -> Step:
        def taken(*arguments: Any, **options: Any) -> Any:
            seen.append(f"{name} in")
            result = step(*arguments, **options)
            seen.append(f"{name} out")
            return result

        return taken

    return wrap


def test_middleware_wraps_each_step_and_the_first_is_outermost() -> None:
    """As in the web frameworks that its users know."""
    seen: list[str] = []
    middleware = [noting(seen, "outer"), noting(seen, "inner")]
    answer, _ = run_runtime(System([payments]), request_charge, middleware=middleware)

    assert answer == CardCharged("r-o1")
    assert seen == ["outer in", "inner in", "inner out", "outer out"]


def test_middleware_may_refuse_an_event() -> None:
    """Its violation ends as those of handlers do."""
    refused = ExecutionViolation("closed on Sundays")

    def closed(step: Step) -> Step:
        def taken(*arguments: Any, **options: Any) -> Any:
            return refused

        return taken

    async def work(runtime: Runtime) -> Any:
        with pytest.raises(Violated) as raised:
            await request_charge(runtime)
        return raised.value.violation

    violation, stats = run_runtime(System([payments]), work, middleware=[closed])

    assert violation == refused
    assert stats == Stats(dead_lettered=1)


@pytest.mark.parametrize("backend", ["memory:", "sqlite:///{}/arvo.db"])
def test_middleware_that_forgets_to_return_the_result_makes_a_dead_letter(
    backend: str, tmp_path: Path
) -> None:
    """Its events would stay in the hands of the worker, without a line in the log."""

    def forgetful(step: Step) -> Any:
        def taken(*arguments: Any, **options: Any) -> None:
            step(*arguments, **options)

        return taken

    async def work(runtime: Runtime) -> Any:
        with pytest.raises(Violated) as raised:
            await request_charge(runtime)
        return str(raised.value)

    message, stats = run_runtime(
        System([payments]),
        work,
        backend=backend.format(tmp_path),
        middleware=[forgetful, noting([], "inner")],
    )

    assert "middleware: expected the result of the next step, or a violation, got None" in message
    assert stats == Stats(dead_lettered=1)


def test_middleware_that_returns_no_step_is_refused_at_once() -> None:
    with pytest.raises(Violated, match="a middleware returned no step"):
        Runtime(System([payments]), middleware=[lambda _: None])  # type: ignore[list-item,return-value]


def test_an_exception_of_middleware_loses_no_event() -> None:
    """It is no handler's, so the event is tried again and is a dead letter in the end."""

    def broken(step: Step) -> Step:
        def taken(*arguments: Any, **options: Any) -> Any:
            raise RuntimeError("the middleware is broken")

        return taken

    async def work(runtime: Runtime) -> list[str]:
        await runtime.send(charge_request())
        await runtime.drain(timeout=60)
        return [dead.reason for dead in await runtime.dead_letters()]

    reasons, _ = run_runtime(
        System([payment_handler(lambda _: None)]), work, retry=NOW, middleware=[broken]
    )

    assert reasons == ["RuntimeError: the middleware is broken"]
