"""Exits: user code that raises `SystemExit` and the like fails its event and ends no worker."""

import asyncio
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from attrs import evolve, field, frozen

from arvo import (
    Commands,
    Contract,
    Effects,
    Emit,
    Event,
    EventHandler,
    Flow,
    Machine,
    Orchestrator,
    Retry,
    Runtime,
    Stats,
    System,
    Turn,
    Version,
    Violated,
    ask,
    call,
    flow,
    gather,
    sleep,
)
from arvo.compose import choose, sequence
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.statechart import State, Transition, emit
from tests.interpreters.inside import send_inside
from tests.interpreters.runtime.running import FAST, emit_to_domain, run_runtime
from tests.shop import (
    SERVICES,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    charge_request,
    make_workflow,
    order,
    order_request,
    payment_handler,
    payments,
    shipping,
)

pytestmark = pytest.mark.usefixtures("each_backend")


class Custom(BaseException):
    """An exception that is no `Exception`."""


KINDS = (SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, Custom)


def exit_for(event: Event[Any], error: BaseException) -> None:
    """Raise for the events whose id says so."""
    if event.id == "poison":
        raise error


def end(error: BaseException, poison: bool) -> None:
    if poison:
        raise error


async def end_async(error: BaseException, poison: bool) -> None:
    await asyncio.sleep(0)
    if poison:
        raise error


# Each makes a handler of the charge contract that raises *error* for the poison event.
def plain(error: BaseException) -> Callable[..., Any]:
    def handle(event: Event[ChargeCard]) -> Emit:
        exit_for(event, error)
        return Emit(CardCharged("r"))

    return handle


def after_effect(error: BaseException) -> Callable[..., Any]:
    def handle(event: Event[ChargeCard]) -> Effects[Emit]:
        yield from call(end, error, False)  # noqa: FBT003
        exit_for(event, error)
        return Emit(CardCharged("r"))

    return handle


def in_effect(function: Any, error: BaseException) -> Callable[..., Any]:
    def handle(event: Event[ChargeCard]) -> Effects[Emit]:
        yield from call(function, error, event.id == "poison", retry=Retry(2, delay=0.0))
        return Emit(CardCharged("r"))

    return handle


def composed(error: BaseException) -> Callable[..., Any]:
    return sequence(plain(error), lambda event: Emit(event.data))  # the second hands it on


def chosen(error: BaseException) -> Callable[..., Any]:
    def is_chosen(event: Event[ChargeCard]) -> bool:
        exit_for(event, error)
        return False

    return choose((is_chosen, plain(error)), otherwise=plain(error))


HANDLERS: dict[str, Callable[[BaseException], Callable[..., Any]]] = {
    "function": plain,
    "generator": after_effect,
    "effect in a thread": partial(in_effect, end),
    "async effect": partial(in_effect, end_async),
    "effect that is a partial": partial(in_effect, partial(end_async)),
    "composed function": composed,
    "predicate": chosen,
}


@pytest.mark.promise("I11")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", HANDLERS)
def test_what_an_event_handler_raises_fails_its_event(name: str, kind: type[BaseException]) -> None:
    """The caller gets a system error, and the worker handles the next event."""
    system = System([payment_handler(HANDLERS[name](kind("ends")))])

    async def work(runtime: Runtime) -> tuple[str, str]:
        failed = await runtime.request(charge_request("poison"), timeout=60)
        handled = await runtime.request(charge_request("good"), timeout=60)
        return failed.type, handled.type

    answers, stats = run_runtime(system, work, retry=FAST)

    assert answers == ("sys.com.payment.charge.error", "evt.payment.charged")
    assert (stats.handled, stats.failed, stats.retried) == (1, 1, 0)


def resumable(error: BaseException) -> Any:
    def handle(turn: Turn[Any]) -> Commands:
        exit_for(turn.event, error)
        return ()

    return make_workflow(handle)


def flow_function(error: BaseException) -> Any:
    @flow(order, "1.0.0", services=SERVICES)
    def handle(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from ask(ChargeCard("o1", 1.0), CardCharged)
        exit_for(event, error)
        return OrderFulfilled("t")

    return handle


def flow_branch(error: BaseException) -> Any:
    def branch(event: Event[PlaceOrder]) -> Flow[None]:
        yield from ask(ChargeCard("o1", 1.0), CardCharged)
        exit_for(event, error)

    @flow(order, "1.0.0", services=SERVICES)
    def handle(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from gather(branch(event), sleep(0))
        return OrderFulfilled("t")

    return handle


def flow_call(error: BaseException) -> Any:
    @flow(order, "1.0.0", services=SERVICES)
    def handle(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from call(end, error, event.id == "poison")
        return OrderFulfilled("t")

    return handle


def chart(**config: Any) -> Any:
    return Orchestrator(
        [Machine(**{"contract": order["1.0.0"], "services": SERVICES, "initial": "a", **config})]
    )


def chart_action(error: BaseException) -> Any:
    def charged(context: object, event: Any) -> ChargeCard:
        exit_for(event.input, error)
        return ChargeCard("o1", 1.0)

    return chart(states={"a": State(entry=[emit(charged)])})


def chart_guard(error: BaseException) -> Any:
    def holds(context: object, event: Any) -> bool:
        exit_for(event.input, error)
        return True

    return chart(states={"a": State(always=[Transition("b", guard=holds)]), "b": State()})


def chart_context(error: BaseException) -> Any:
    def context(event: Any) -> dict[str, Any]:
        exit_for(event, error)
        return {}

    return chart(context=context, states={"a": State()})


WORKFLOWS = {
    "resumable": resumable,
    "flow": flow_function,
    "branch of a flow": flow_branch,
    "call of a flow": flow_call,
    "action of a chart": chart_action,
    "guard of a chart": chart_guard,
    "context of a chart": chart_context,
}


@pytest.mark.promise("I11")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", WORKFLOWS)
def test_what_a_workflow_raises_fails_it(name: str, kind: type[BaseException]) -> None:
    """Its record states why, and the worker goes on with the other workflows."""
    system = System([WORKFLOWS[name](kind("ends")), payments, shipping])

    async def work(runtime: Runtime) -> list[str | None]:
        poison, good = order_request("poison"), order_request("good")
        await runtime.send(poison)
        await runtime.send(good)
        await runtime.drain(timeout=60)
        records = [await runtime.record(event.subject) for event in (poison, good)]
        return [record and record.status for record in records]

    statuses, stats = run_runtime(system, work, retry=FAST)

    assert statuses[0] == "failed"
    assert statuses[1] in ("active", "done")
    assert (stats.failed, stats.retried, stats.dead_lettered) == (1, 0, 0)


@pytest.mark.promise("I11")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_async", [False, True])
def test_what_a_listener_raises_is_retried(kind: type[BaseException], is_async: bool) -> None:
    """By the policy, and then it is a dead letter that states the exception."""
    error = kind("ends")

    async def work(runtime: Runtime) -> list[str]:
        def plain(event: Event[Any]) -> None:
            if event.parentid == "poison":
                raise error

        async def slow(event: Event[Any]) -> None:
            await asyncio.sleep(0)
            plain(event)

        runtime.on_domain("human")(slow if is_async else plain)
        await runtime.send(charge_request("poison"))
        await runtime.send(charge_request("good"))
        await runtime.drain(timeout=60)
        return [dead_letter.reason for dead_letter in await runtime.dead_letters()]

    reasons, stats = run_runtime(emit_to_domain("human"), work, retry=FAST)

    assert stats == Stats(handled=2, retried=1, sent_out=1, dead_lettered=1)
    [reason] = reasons
    if kind is not asyncio.CancelledError:
        assert reason == f"the listener of human raised {error!r}"


def exit_validator(instance: object, attribute: object, value: float) -> None:
    if value < 0:
        sys.exit("validated")


@frozen
class Checked:
    number: float = field(validator=exit_validator)


checked = Contract(
    uri="#/contracts/checked",
    type="com.checked",
    versions={"1.0.0": Version(accepts=Checked, emits={"evt.checked": Checked})},
)


BAD = FrozenDict({"number": -1.0})


def test_what_a_validator_raises_ends_no_worker() -> None:
    """It is called outside of any handler's function, so no system error can be sent."""
    system = System([EventHandler(checked, {"1.0.0": lambda event: Emit(event.data)})])
    good = checked["1.0.0"].accepts(Checked(1.0), source="com.shop.web", id="good")
    bad = evolve(good, id="bad").with_payload(BAD, BAD)

    async def work(runtime: Runtime) -> tuple[str, list[str]]:
        with pytest.raises(Violated, match="cannot be read: data"):
            await runtime.send(bad)
        await send_inside(runtime, bad)
        answer = await runtime.request(good, timeout=60)
        await runtime.drain(timeout=60)
        return answer.type, [entry.reason for entry in await runtime.dead_letters()]

    (answer, reasons), _ = run_runtime(system, work, retry=FAST)

    assert answer == "evt.checked"
    assert reasons == ["SystemExit: validated"]
