"""Trees: the spans of each way in which a workflow may go, as text files.

To write a file anew, delete it and run the test: it fails once, and leaves the file to be read.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from arvo import (
    Commands,
    Compensate,
    Complete,
    Effects,
    Emit,
    EncodedMessage,
    Event,
    Fail,
    InMemoryMachineMemory,
    Log,
    MemoryBackend,
    MemoryBroker,
    Persist,
    Retry,
    Runtime,
    Schedule,
    System,
    Turn,
    Unavailable,
    call,
)
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.interpreters.paired.pairing import paired
from arvo.interpreters.ports.messages import OUTBOUND_QUEUE, Delivery
from arvo.interpreters.ports.results import Conflict, Fenced
from tests.family import begin, family, plan
from tests.interpreters.runtime.running import Replaced, emit_to_domain
from tests.shop import (
    BookShipment,
    CardCharged,
    CardDeclined,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    charge_request,
    make_workflow,
    order_request,
    payment_handler,
    payments,
    shipping,
    shop,
)
from tests.telemetry.recorded import Sdk, Work

TREES = Path(__file__).parent / "trees"
SUBJECT = order_request().subject


async def order(runtime: Runtime) -> None:
    await runtime.request(order_request())


async def declined(runtime: Runtime) -> None:
    await runtime.request(charge_request(amount=2_000.0))


async def failed(runtime: Runtime) -> None:
    await runtime.request(order_request(amount=2_000.0))


async def refused(runtime: Runtime) -> None:
    invalid = charge_request().with_payload(FrozenDict({}), FrozenDict({"order_id": 1}))
    # A producer past the checks of `send`.
    await runtime._send(invalid)


async def charged(runtime: Runtime) -> None:
    await runtime.request(charge_request())


def make_retried() -> System:
    failures = [ConnectionError("no")]

    async def fetch(key: str) -> str:
        if failures:
            raise failures.pop()
        return f"r-{key}"

    def pay(event: Event[ChargeCard]) -> Effects[Commands]:
        receipt = yield from call(fetch, event.data.order_id, retry=Retry(3, delay=0.0))
        return Log("info", "charged", {"receipt": receipt}), Emit(CardCharged(receipt))

    return System([payment_handler(pay)])


def make_fragile() -> System:
    """Fail once, on the reply of the payment; then go on."""
    failures = [ConnectionError("the database is down")]

    def turn(turn: Turn[Any]) -> Commands:
        match turn.event.data:
            case PlaceOrder():
                return Persist(1), Emit(ChargeCard("o1", 1.0))
            case CardCharged() if failures:
                raise failures.pop()
            case _:
                return Complete(OrderFulfilled("t"))

    return System([make_workflow(turn), payments])


def make_timer() -> System:
    def turn(turn: Turn[Any]) -> Commands:
        if isinstance(turn.event.data, PlaceOrder):
            return Persist(1), Schedule("soon", after=timedelta(milliseconds=20))
        return Complete(OrderFulfilled("t"))

    return System([make_workflow(turn)])


def make_compensating() -> System:
    def turn(turn: Turn[Any]) -> Commands:
        match turn.event.data:
            case PlaceOrder():
                return (
                    Persist(1),
                    Compensate(BookShipment("undo")),
                    Emit(ChargeCard("o1", 2_000.0)),
                )
            case CardDeclined(reason=reason):
                return Fail(reason)
            case _:
                return None

    return System([make_workflow(turn), payments, shipping])


async def sent(runtime: Runtime) -> None:
    await runtime.send(order_request())


async def cancelled(runtime: Runtime) -> None:
    await runtime.send(order_request())
    await runtime.drain(timeout=30)
    await runtime.cancel(SUBJECT, "too late")


def make_waiting() -> System:
    return System([make_workflow(lambda turn: Persist(1))])


async def revived(runtime: Runtime) -> None:
    await runtime.send(order_request())
    await runtime.drain(timeout=30)
    await runtime.revive(SUBJECT)


async def left(runtime: Runtime) -> None:
    runtime.on_domain("partner")(lambda _: None)
    await runtime.send(charge_request())


async def child(runtime: Runtime) -> None:
    await runtime.request(begin(plan("complete", plan("complete"))))


WAYS: dict[str, tuple[Callable[[], System], Work]] = {
    "order": (lambda: shop, order),
    "tier 1": (lambda: shop, declined),
    "tier 2": (lambda: shop, failed),
    "tier 3": (lambda: shop, refused),
    "effect": (make_retried, charged),
    "timer": (make_timer, order),
    "child": (lambda: family, child),
    "compensation": (make_compensating, failed),
    "cancellation": (make_waiting, cancelled),
    "revive": (make_fragile, revived),
    "domain": (lambda: emit_to_domain("partner"), left),
}


@pytest.mark.parametrize("backend", ["memory", "sqlite"])
@pytest.mark.parametrize("way", WAYS)
def test_the_spans_of_a_way_are_those_of_its_file(way: str, backend: str, tmp_path: Path) -> None:
    """What a person sees who looks at the trace, on every backend."""
    make, work = WAYS[way]
    sdk = Sdk()

    url = "memory:" if backend == "memory" else f"sqlite:///{tmp_path}/arvo.db"
    sdk.run(make(), work, url)

    compare(way, sdk.tree())


def test_each_attempt_of_a_message_is_a_span_that_is_linked_to_its_sender() -> None:
    """The attempts may be those of many processes, and be hours apart."""
    backend = MemoryBackend()
    commit, outages = backend.commit, [Unavailable("down")]

    async def commit_later(*arguments: Any) -> Any:
        if outages:
            raise outages.pop()
        return await commit(*arguments)

    sdk = Sdk()
    sdk.run(make_retried(), charged, Replaced(backend, commit=commit_later))

    compare("redelivery", sdk.tree())


def test_a_conflict_is_an_event_of_the_span_in_which_the_step_is_taken_again() -> None:
    """Another worker has committed a turn in between; the attempt goes on with the newer record."""
    backend, conflicts = MemoryBackend(), [Conflict(3)]

    async def commit(*arguments: Any) -> Any:
        return conflicts.pop() if conflicts else await backend.commit(*arguments)

    sdk = Sdk()
    sdk.run(make_waiting(), sent, Replaced(backend, commit=commit))

    compare("conflict", sdk.tree())


def test_a_fenced_attempt_is_an_error_and_another_worker_makes_the_next_one() -> None:
    """The lease expired while the handler worked, so what it decided must not be written."""
    backend, leases = MemoryBackend(), ["expired"]

    async def commit(delivery: Delivery, *arguments: Any) -> Any:
        if not leases:
            return await backend.commit(delivery, *arguments)
        leases.pop()
        await backend.nack(delivery, 0.0)
        return Fenced()

    sdk = Sdk()
    sdk.run(make_waiting(), sent, Replaced(backend, commit=commit))

    compare("fenced", sdk.tree())


class Lossy:
    """The memory broker, but the first event that leaves the system does not arrive."""

    def __init__(self) -> None:
        self._inner, self._outages = MemoryBroker(), [Unavailable("down")]

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        if self._outages and messages[0].queue == OUTBOUND_QUEUE:
            raise self._outages.pop()
        await self._inner.publish(messages)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def test_what_is_sent_again_after_an_outage_has_a_span_of_its_own() -> None:
    """The turn is written, its messages are not: the next attempt sends them, and does no more."""
    sdk = Sdk()

    async def work(runtime: Runtime) -> None:
        runtime.on_domain("partner")(lambda _: None)
        await runtime.send(order_request())

    leaving = make_workflow(lambda _: (Persist(1), Emit(ChargeCard("o1", 1.0), domain="partner")))
    sdk.run(System([leaving]), work, paired(InMemoryMachineMemory(), Lossy()))

    compare("outbox", sdk.tree())
    [forward] = sdk.named("arvo.outbox.forward")
    [turn] = sdk.named("process arvo.orc.order.fulfil")
    # The events are those of the attempt that was written.
    assert [link.context.span_id for link in forward.links] == [turn.context.span_id]


def compare(way: str, tree: str) -> None:
    # What a tick did for all of its deliveries at once has no span of its own.
    text = "\n".join(
        line
        for line in tree.split("\n")
        if line.strip() not in ("arvo.load [INTERNAL]", "arvo.commit [INTERNAL]")
    )
    file = TREES / f"{way}.txt"
    if not file.exists():
        file.write_text(f"{text}\n")
        pytest.fail(f"{file.name} was written: read it, and run the test again")

    assert f"{text}\n" == file.read_text()
