"""Log: what an operator reads of a running system, each happening in one line."""

import asyncio
import inspect
import logging
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from arvo import (
    Commands,
    Compensate,
    ContractViolation,
    Effects,
    Emit,
    Event,
    Fail,
    Log,
    MemoryBackend,
    Persist,
    Retry,
    Runtime,
    System,
    Turn,
    Violate,
    call,
)
from arvo.interpreters.ports.results import Duplicate, Fenced
from arvo.interpreters.worker.blocking import TimedStep
from tests.interpreters.runtime.running import (
    FAST,
    Replaced,
    run_runtime,
)
from tests.logged import Line, lines_of, logged
from tests.shop import (
    BookShipment,
    CardCharged,
    ChargeCard,
    PlaceOrder,
    charge_request,
    make_workflow,
    order_request,
    payment_handler,
    payments,
    shipping,
    shop,
)

pytestmark = pytest.mark.usefixtures("each_backend")

DECLINED = order_request("o1", amount=5_000.0)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Collect all records of ours, from level debug on."""
    with caplog.at_level(logging.DEBUG, logger="arvo"):
        yield caplog


def warnings_in(records: list[logging.LogRecord]) -> list[Line]:
    return [line for line in lines_of(records) if line[0] not in ("debug", "info")]


async def send_twice(runtime: Runtime) -> None:
    """Send a request again after its workflow has ended."""
    for _ in range(2):
        await runtime.send(DECLINED)
        await runtime.drain(timeout=60)


def alone() -> Any:
    """Return a backend on which each delivery is processed by itself."""
    return Replaced(MemoryBackend())


@pytest.mark.parametrize("is_alone", [False, True])
def test_a_failed_workflow_is_one_line_with_its_reason(
    log: pytest.LogCaptureFixture, is_alone: bool
) -> None:
    """An operator must see why; a redelivery of its last event is no second failure."""
    options = {"backend": alone()} if is_alone else {}
    run_runtime(shop, send_twice, **options)

    [(level, message, found)] = warnings_in(log.records)
    assert (level, message) == ("warning", "a workflow failed")
    assert (found["reason"], found["error"]) == ("payment declined: limit", "Fail")
    assert found["subject"] == DECLINED.subject
    assert found["handler"] == "arvo.orc.order.fulfil"
    assert found["type"] == "evt.payment.declined"
    assert found["revision"] == 2
    assert "arvo revive" in found["remedy"]


@pytest.mark.parametrize("is_alone", [False, True])
def test_the_failure_of_an_event_handler_is_a_line_of_its_own(
    log: pytest.LogCaptureFixture, is_alone: bool
) -> None:
    """Its caller gets the system error, and decides whether that matters."""

    def refuse(_: Event[ChargeCard]) -> Commands:
        raise LookupError("no such card")

    async def work(runtime: Runtime) -> None:
        await runtime.send(charge_request("c1"))

    options = {"backend": alone()} if is_alone else {}
    run_runtime(System([payment_handler(refuse)]), work, **options)

    [found] = logged(log.records, "a handler failed")
    assert (found["error"], found["reason"]) == ("LookupError", "no such card")
    assert (found["event"], found["handler"]) == ("c1", "com.payment.charge")
    assert warnings_in(log.records) == []


def test_a_refused_event_is_one_line_with_its_remedy(log: pytest.LogCaptureFixture) -> None:
    """The command can be copied from the line."""

    async def work(runtime: Runtime) -> str:
        await runtime.send(charge_request("c1"))
        await runtime.drain(timeout=60)
        [dead_letter] = await runtime.dead_letters()
        return dead_letter.id

    id_, stats = run_runtime(System([payment_handler(violate)]), work)

    [(level, message, found)] = warnings_in(log.records)
    assert (level, message) == ("warning", "dead letter stored")
    assert (found["event"], found["dead_letter"]) == ("c1", id_)
    assert (found["error"], found["attempts"]) == ("ContractViolation", 1)
    assert found["handler"] == "com.payment.charge"
    assert found["remedy"] == f"remove the cause, then: arvo dead-letters redrive {id_}"
    assert stats.dead_lettered == 1


def violate(_: Event[ChargeCard]) -> Violate:
    return Violate(ContractViolation("no such order"))


@pytest.mark.parametrize("is_alone", [False, True])
def test_a_dead_letter_of_a_commit_is_one_line(
    log: pytest.LogCaptureFixture, is_alone: bool
) -> None:
    """The event that a handler emits to an unknown workflow is stored with the commit."""
    emit = Emit(CardCharged("r"), to="arvo.orc.unknown")

    async def work(runtime: Runtime) -> None:
        await runtime.send(charge_request("c1"))

    options = {"backend": alone()} if is_alone else {}
    _, stats = run_runtime(System([payment_handler(lambda _: emit)]), work, **options)

    [(level, message, found)] = warnings_in(log.records)
    assert (level, message) == ("warning", "dead letter stored")
    assert (found["type"], found["handler"]) == ("evt.payment.charged", "com.payment.charge")
    assert (stats.handled, stats.dead_lettered) == (1, 1)


@pytest.mark.parametrize("result", [Fenced(), Duplicate()])
def test_a_dead_letter_that_another_worker_decides_is_not_logged(
    log: pytest.LogCaptureFixture, result: Fenced | Duplicate
) -> None:
    """That worker logs it, if it comes to that; two lines would count it twice."""

    async def refuse(delivery: Any, _: Any) -> Fenced | Duplicate:
        await memory.ack(delivery)
        return result

    async def work(runtime: Runtime) -> None:
        await runtime.send(charge_request("c1"))

    memory = MemoryBackend()
    system = System([payment_handler(lambda _: Emit(CardCharged("r"), domain="ops"))])
    backend: Any = Replaced(memory, dead_letter=refuse)
    _, stats = run_runtime(system, work, backend=backend)

    assert warnings_in(log.records) == []
    assert (stats.dead_lettered, stats.fenced + stats.duplicates) == (0, 1)


def test_an_effect_that_is_retried_is_logged_with_its_cause(
    log: pytest.LogCaptureFixture,
) -> None:
    """Not its arguments, which may be secret."""
    attempts = count(1)

    async def flaky(secret: str) -> str:
        if next(attempts) < 3:
            raise ConnectionError("no route")
        return secret

    def handler(event: Event[ChargeCard]) -> Effects[Emit]:
        receipt = yield from call(flaky, "s3cret", retry=Retry(attempts=5, delay=0.0))
        return Emit(CardCharged(receipt))

    async def work(runtime: Runtime) -> None:
        await runtime.send(charge_request("c1"))

    run_runtime(System([payment_handler(handler)]), work)

    found = logged(log.records, "effect retried")
    assert [(each["attempt"], each["attempts_max"], each["wait"]) for each in found] == [
        (1, 5, 0.0),
        (2, 5, 0.0),
    ]
    assert {each["reason"] for each in found} == {"ConnectionError: no route"}
    assert {each["event"] for each in found} == {"c1"}
    assert {each["handler"] for each in found} == {"com.payment.charge"}
    assert all(each["effect"].endswith("flaky") for each in found)
    assert "s3cret" not in str(lines_of(log.records))


def test_a_delivery_that_is_retried_is_logged_with_its_cause(
    log: pytest.LogCaptureFixture,
) -> None:
    """And once more as a dead letter, when its attempts are used up."""

    async def fail(_: Event[Any]) -> None:
        raise ConnectionError("no route")

    async def work(runtime: Runtime) -> None:
        runtime.on_domain("ops")(fail)
        await runtime.send(charge_request("c1"))

    system = System([payment_handler(lambda _: Emit(CardCharged("r"), domain="ops"))])
    run_runtime(system, work, retry=FAST)

    [retried] = logged(log.records, "delivery retried")
    assert (retried["attempt"], retried["attempts_max"]) == (1, 2)
    assert "ConnectionError('no route')" in retried["reason"]
    [dead] = logged(log.records, "dead letter stored")
    assert (dead["attempts"], dead["event"]) == (2, retried["event"])


def test_a_reply_to_a_compensation_is_no_line_for_an_operator(
    log: pytest.LogCaptureFixture,
) -> None:
    """A thousand failed orders would be a thousand further warnings, all of them ordinary."""

    def compensated(turn: Turn[Any]) -> Commands:
        match turn.event.data:
            case PlaceOrder():
                return Persist(1), Compensate(BookShipment("o1")), Emit(ChargeCard("o1", 5_000.0))
            case _:
                return Fail("declined")

    async def work(runtime: Runtime) -> None:
        await runtime.send(order_request())

    run_runtime(System([make_workflow(compensated), payments, shipping]), work)

    assert [message for _, message, _ in warnings_in(log.records)] == ["a workflow failed"]
    [late] = logged(log.records, "event without effect")
    assert late["type"] == "evt.shipping.booked"
    assert [
        level for level, text, _ in lines_of(log.records) if text == "event without effect"
    ] == ["debug"]


def test_the_attributes_of_a_log_command_are_fields(log: pytest.LogCaptureFixture) -> None:
    """Names that logging or we use get an underscore, so that no event is handled again for it."""
    attributes = {"name": "x", "message": "y", "args": 1, "arvo_event": 2, "order": {"a": ["\n"]}}
    command = Log("info", "charged %s", attributes)

    async def work(runtime: Runtime) -> None:
        await runtime.send(charge_request("c1"))

    _, stats = run_runtime(System([payment_handler(lambda _: command)]), work)

    [found] = logged(log.records, "charged %s")
    assert found == {
        "name_": "x",
        "message_": "y",
        "args_": 1,
        "event_": 2,
        "order": {"a": ["\n"]},
        "event": "c1",
        "type": "com.payment.charge",
        "subject": charge_request("c1").subject,
        "workflow_id": "c1",
        "handler": "com.payment.charge",
    }
    assert stats.handled == 1


@pytest.mark.parametrize("is_alone", [False, True])
@pytest.mark.parametrize(("seconds", "number"), [(0.2, 0), (0.3, 1)])
def test_a_handler_that_blocks_the_event_loop_is_logged_with_its_place(
    log: pytest.LogCaptureFixture, seconds: float, number: int, is_alone: bool
) -> None:
    """All other deliveries wait for it, so an operator has to know which one it is."""
    offset = 0.0

    def slow(_: Event[ChargeCard]) -> Emit:
        nonlocal offset
        offset = seconds
        return Emit(CardCharged("r"))

    async def work(runtime: Runtime) -> None:
        loop = asyncio.get_running_loop()
        time, began = loop.time, loop.time()
        # Only the handler sets this clock forward: a busy machine adds nothing to its time.
        loop.time = lambda: (began if is_within_step() else time()) + offset  # type: ignore[method-assign]
        await runtime.send(charge_request("c1"))
        await runtime.drain(timeout=60)
        loop.time = time  # type: ignore[method-assign]

    options = {"backend": alone()} if is_alone else {}
    run_runtime(System([payment_handler(slow)]), work, **options)

    found = logged(log.records, "a handler blocked the event loop")
    assert len(found) == number
    for each in found:
        assert (each["handler"], each["event"]) == ("com.payment.charge", "c1")
        assert each["seconds"] == seconds
        assert each["function"].endswith("slow")
        assert each["code"] == f"{__name__}:{slow.__code__.co_firstlineno}"


def is_within_step() -> bool:
    """Return whether the step asks for the time."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code is TimedStep.__call__.__code__:
            return True
        frame = frame.f_back
    return False
