"""Observed: what an observer of a worker gets, on each backend that needs no server."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from arvo import (
    Commands,
    Complete,
    Effects,
    Emit,
    Event,
    MemoryBackend,
    Persist,
    Retry,
    Runtime,
    Schedule,
    System,
    Turn,
    Unavailable,
    Violated,
    call,
)
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.trace_context import TraceContext
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.messages import Message
from arvo.testing import RecordedSpan, RecordingObserver
from tests.interpreters.runtime.running import Outage, Replaced, emit_to_domain
from tests.interpreters.within import within
from tests.shop import (
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    charge_request,
    make_workflow,
    order_request,
    payment_handler,
    payments,
    reply_to,
    shipping,
    shop,
)

FAST = Retry(attempts=2, delay=0.0)
SUBJECT = order_request().subject


@pytest.fixture(params=["memory", "sqlite", "pair", "no ticks"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A backend of each way in which a worker gets its deliveries."""
    if request.param == "no ticks":
        return Replaced(MemoryBackend())
    urls = {
        "memory": "memory:",
        "sqlite": f"sqlite:///{tmp_path}/arvo.db",
        "pair": "memory: memory:",
    }
    return urls[request.param]


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A backend with a history, and with ticks."""
    return {"memory": "memory:", "sqlite": f"sqlite:///{tmp_path}/arvo.db"}[request.param]


def observe(
    system: System,
    backend: Any,
    work: Callable[[Runtime], Awaitable[object]],
    **options: Any,
) -> RecordingObserver:
    """Run *work* in an observed runtime until the system is idle."""
    observer = RecordingObserver()

    async def go() -> None:
        runtime = Runtime(system, backend, **{"retry": FAST, **options})
        runtime.observe(observer)
        async with runtime:
            await work(runtime)
            await runtime.drain(timeout=30)

    within(go())
    assert observer.open == []
    assert all(len(span.ends) == 1 for span in observer.spans)
    return observer


def ends(observer: RecordingObserver, name: str) -> list[str | None]:
    return [span.outcome for span in observer.spans if span.name == name]


def tree(observer: RecordingObserver) -> list[str]:
    """Return the tree without the chains that a backend without ticks refuses."""
    return [line for line in observer.tree().split("\n") if not line.endswith("discarded")]


ORDER = """\
send arvo.orc.order.fulfil: sent
  process arvo.orc.order.fulfil: handled
    process com.payment.charge: handled
      process arvo.orc.order.fulfil: handled
        process com.shipping.book: handled
          process arvo.orc.order.fulfil: handled
            answer com.shop.web: answered"""


def test_an_order_is_one_trace(backend: Any) -> None:
    """Each turn is a child of the one that emitted its event, in a chain and through a broker."""
    observer = observe(shop, backend, lambda runtime: runtime.request(order_request()))

    assert "\n".join(tree(observer)) == ORDER
    traces = {span.trace.traceparent[3:35] for span in observer.spans if span.trace is not None}
    assert len(traces) == 1


def test_a_runtime_that_is_not_observed_gives_its_events_no_trace(store: str) -> None:
    """What it emits carries what its cause carries, as before."""

    async def go() -> set[str | None]:
        async with Runtime(shop, store) as runtime:
            await runtime.request(order_request())
            history = await runtime.history(SUBJECT)
            return {entry.event.traceparent for entry in history if entry.event is not None}

    assert within(go()) == {None}


def test_a_replay_of_an_observed_workflow_agrees(store: str) -> None:
    """The trace of each turn is an input, which the history holds."""

    async def work(runtime: Runtime) -> None:
        await runtime.request(order_request())
        replayed = await runtime.replay(SUBJECT)
        assert replayed.agrees, str(replayed)
        assert len(replayed.turns) == 3

    observe(shop, store, work)


def test_an_event_with_a_trace_keeps_it(store: str) -> None:
    """CloudEvents, Distributed Tracing: what a sender has set must not be changed."""
    parent = f"00-{7:032x}-{8:016x}-00"
    request = order_request(traceparent=parent, tracestate="vendor=1")

    async def work(runtime: Runtime) -> None:
        await runtime.request(request)
        first, second, *_ = await runtime.history(SUBJECT)
        assert first.event is not None
        assert second.event is not None
        assert (first.event.traceparent, first.event.tracestate) == (parent, "vendor=1")
        assert second.event.traceparent != parent
        assert second.event.tracestate == "vendor=1"

    observer = observe(shop, store, work)

    assert {span.trace.traceparent[3:35] for span in observer.spans if span.trace} == {f"{7:032x}"}


def test_an_effect_is_observed_with_its_retries(backend: Any) -> None:
    """They are what an operator asks for first."""
    failures = [ConnectionError("no"), ConnectionError("not yet")]

    async def fetch(key: str) -> str:
        if failures:
            raise failures.pop(0)
        return f"r-{key}"

    def pay(event: Event[ChargeCard]) -> Effects[Emit]:
        receipt = yield from call(fetch, event.data.order_id, retry=Retry(attempts=3, delay=0.0))
        return Emit(CardCharged(receipt))

    observer = observe(
        System([payment_handler(pay)]), backend, lambda runtime: runtime.request(charge_request())
    )

    [span] = [it for it in observer.spans if it.name.startswith("process") and it.effects]
    [effect] = span.effects
    assert [str(error) for error in effect.retries] == ["no", "not yet"]
    assert effect.name.endswith("fetch")
    assert effect.done is not None
    assert effect.done.value == "r-o1"
    assert ends(observer, "process com.payment.charge")[-1] == "handled"


def test_a_failed_turn_and_its_system_error_are_observed(backend: Any) -> None:
    """Tier 2: the turn failed, and its caller gets the answer."""
    observer = observe(shop, backend, lambda runtime: runtime.request(order_request(amount=9999.0)))

    assert tree(observer)[-2:] == [
        "      process arvo.orc.order.fulfil: failed",
        "        answer com.shop.web: answered",
    ]
    [failed] = [span for span in observer.spans if span.outcome == "failed"]
    assert failed.commit is not None
    assert failed.commit.outcome == "failed"


def test_a_violation_ends_as_a_dead_letter(backend: Any) -> None:
    """Tier 3: the observer gets the violation, with each field that is wrong."""
    invalid = charge_request().with_payload(FrozenDict({}), FrozenDict({"order_id": 1}))

    async def work(runtime: Runtime) -> None:
        # A producer past the checks of `send`.
        await runtime._send(invalid)

    observer = observe(shop, backend, work)

    [span] = [it for it in observer.spans if it.name == "process com.payment.charge"]
    assert span.outcome == "dead_lettered"
    assert "amount" in str(span.violation)


def test_each_attempt_is_a_span_of_its_own() -> None:
    """The next attempt may be another process."""
    backend = MemoryBackend()
    commit, calls = backend.commit, [Unavailable("down")]

    async def commit_later(*arguments: Any) -> Any:
        if calls:
            raise calls.pop()
        return await commit(*arguments)

    observer = observe(
        shop,
        Replaced(backend, commit=commit_later),
        lambda runtime: runtime.request(charge_request()),
    )

    attempts = [
        (span.attempt, span.outcome, span.reason)
        for span in observer.spans
        if span.name == "process com.payment.charge" and span.outcome != "discarded"
    ]
    assert attempts == [(1, "retried", "Unavailable: down"), (2, "handled", None)]


def test_a_chain_that_is_refused_discards_the_turns_that_were_no_deliveries() -> None:
    """The delivery that it began with goes on, in its own span."""
    observer = observe(
        shop, Replaced(MemoryBackend()), lambda runtime: runtime.request(order_request())
    )

    assert "discarded" in {span.outcome for span in observer.spans}
    assert all(span.attempt is None for span in observer.spans if span.outcome == "discarded")


def test_the_deliveries_that_wait_for_a_workflow_are_observed_as_such() -> None:
    """A tick takes them in one chain."""
    backend, first = MemoryBackend(), order_request()
    replies = [reply_to(charge_of(first), CardCharged("r"), key=f"a{each}") for each in (1, 2)]

    async def send_all() -> None:
        for event in (first, *replies):
            await backend.send(Message(event, ToHandler("arvo.orc.order.fulfil", SUBJECT)))

    within(send_all())
    observer = observe(shop, backend, idle)

    attempts = [
        (span.event.id, span.attempt, span.outcome)
        for span in observer.spans
        if span.event is not None and span.event.id in {"i1", "a1", "a2"}
    ]
    assert attempts == [("i1", 1, "handled"), ("a1", 1, "late"), ("a2", 1, "late")]


async def idle(runtime: Runtime) -> None:
    """Send nothing."""


def charge_of(first: Event[PlaceOrder]) -> Event[ChargeCard]:
    """Make a request that the workflow has not sent."""
    return charge_request(subject=first.subject, redirectto="arvo.orc.order.fulfil")


def test_an_outage_is_observed() -> None:
    """An operator counts them."""
    backend = MemoryBackend()
    receive, calls = backend.receive, [Unavailable("down")]

    async def receive_later(queue: str) -> Any:
        if calls:
            raise calls.pop()
        return await receive(queue)

    observer = observe(
        shop,
        Replaced(backend, receive=receive_later),
        lambda runtime: runtime.request(charge_request()),
    )

    assert [str(error) for error in observer.outages] == ["down"]


def test_what_leaves_by_a_domain_is_observed(backend: Any) -> None:
    """It is sent out when its listener has returned."""

    async def work(runtime: Runtime) -> None:
        runtime.on_domain("partner")(lambda _: None)
        await runtime.send(charge_request())

    observer = observe(emit_to_domain("partner"), backend, work)

    assert tree(observer) == [
        "send com.payment.charge: sent",
        "  process com.payment.charge: handled",
        "    leave partner: sent_out",
    ]


def test_a_listener_that_raises_is_tried_again(backend: Any) -> None:
    """And at the end its event is a dead letter."""

    def refuse(_: Event[Any]) -> None:
        raise ConnectionError("no")

    async def work(runtime: Runtime) -> None:
        runtime.on_domain("partner")(refuse)
        await runtime.send(charge_request())

    observer = observe(emit_to_domain("partner"), backend, work)

    assert ends(observer, "leave partner") == ["retried", "dead_lettered"]


def set_a_timer(turn: Turn[Any]) -> Commands:
    if isinstance(turn.event.data, PlaceOrder):
        return Persist(1), Schedule("soon", after=timedelta(milliseconds=20))
    return Complete(OrderFulfilled("t"))


def test_a_timer_carries_the_trace_of_the_turn_that_set_it(backend: Any) -> None:
    """So its own turn can be linked to that."""

    async def work(runtime: Runtime) -> None:
        assert (await runtime.request(order_request())).type == "arvo.orc.order.fulfil.done"

    observer = observe(System([make_workflow(set_a_timer)]), backend, work)

    first, second = [
        it for it in observer.spans if it.name.startswith("process") and it.outcome != "discarded"
    ]
    assert first.trace is not None
    assert trace_of(second) == first.trace.traceparent


def trace_of(span: RecordedSpan) -> str | None:
    return None if span.event is None else span.event.traceparent


def test_a_cancellation_that_replaces_a_turn_ends_the_span_of_that_turn(backend: Any) -> None:
    """The delivery is settled with the commit of the cancellation."""
    started, release = asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        started.set()
        await release.wait()
        return "r"

    def work_long(turn: Turn[Any]) -> Effects[Commands]:
        yield from call(slow)
        return Persist(1)

    async def work(runtime: Runtime) -> None:
        await runtime.send(order_request())
        await started.wait()
        await runtime.cancel(SUBJECT, "too late")

    observer = observe(System([make_workflow(work_long), payments, shipping]), backend, work)

    assert ends(observer, "client cancel") == ["sent"]
    assert "cancelled" in ends(observer, "process arvo.orc.order.fulfil")
    [last] = [span for span in observer.spans if span.outcome == "cancelled"]
    assert last.commit is not None
    assert last.trace is not None
    assert {event.traceparent for event in last.commit.events} == {last.trace.traceparent}


def test_the_verbs_of_an_operator_are_observed(store: str) -> None:
    """Those that are refused as well."""
    outage = Outage(down="CardCharged")

    async def work(runtime: Runtime) -> None:
        await runtime.send(order_request())
        await runtime.drain(timeout=30)
        await runtime.revive(SUBJECT)
        await runtime.drain(timeout=30)
        with pytest.raises(Violated):
            await runtime.delete_dead_letter("unknown")
        with pytest.raises(Violated):
            await runtime.redrive_dead_letter("unknown")
        with pytest.raises(Violated):
            await runtime.migrate(SUBJECT, to="9.0.0")

    observer = observe(outage.system, store, work)

    verbs = [
        (it.name, it.outcome) for it in observer.spans if it.name.startswith(("client", "send"))
    ]
    assert verbs == [
        ("send arvo.orc.order.fulfil", "sent"),
        ("client revive", "sent"),
        ("client delete", "raised"),
        ("client redrive", "raised"),
        ("client migrate", "raised"),
    ]


def test_a_dry_run_is_not_observed(store: str) -> None:
    """It changes nothing, and would count as a redrive."""
    invalid = charge_request().with_payload(FrozenDict({}), FrozenDict({"order_id": 1}))

    async def work(runtime: Runtime) -> None:
        await runtime._send(invalid)
        await runtime.drain(timeout=30)
        assert (await runtime.redrive_dead_letters(dry_run=True)).done == 1
        assert (await runtime.delete_dead_letters(dry_run=True)).done == 1

    observer = observe(shop, store, work)

    assert not [it.name for it in observer.spans if it.name.startswith("client")]


def test_a_runtime_has_one_observer() -> None:
    """The second one would get nothing."""
    runtime = Runtime(shop)
    runtime.observe(RecordingObserver())

    with pytest.raises(Violated, match="observed already"):
        runtime.observe(RecordingObserver())


def test_a_trace_is_two_texts() -> None:
    """A value like any other, so that a test can write one down."""
    assert TraceContext("00-1-2-01") == TraceContext("00-1-2-01", None)
