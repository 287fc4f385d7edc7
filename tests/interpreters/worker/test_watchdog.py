"""Watchdog: names what blocks the event loop, before it returns."""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from arvo import Effects, Emit, Event, MemoryBackend, Runtime, System, call
from arvo.engine.step.step import step_plain
from arvo.interpreters.runtime import worker_tasks
from arvo.interpreters.worker.blocking import TimedStep
from arvo.interpreters.worker.watchdog import MISSED_MAX, Watchdog
from tests.interpreters.runtime.running import Replaced, run_runtime
from tests.interpreters.until import until
from tests.logged import logged
from tests.shop import CardCharged, ChargeCard, charge_request, payment_handler

MESSAGE = "the event loop is blocked"
# How long a test waits for the log at the most.
LIMIT_SECONDS = 60.0


def is_here(place: str) -> bool:
    """Return whether a place in the code is the one at which `Hang` blocks."""
    return place.startswith("threading:")


class Hang(logging.Handler):
    """Code that blocks its thread until the log has a line about it."""

    def __init__(self) -> None:
        super().__init__()
        self._is_logged = threading.Event()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        # A busy machine may add lines about other code.
        if record.msg == MESSAGE and is_here(vars(record)["arvo_at"]):
            self.records.append(record)
            self._is_logged.set()

    def __call__(self) -> None:
        assert self._is_logged.wait(LIMIT_SECONDS)


@pytest.fixture
def hang(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make something that blocks, while a watchdog that looks all the time is on."""
    monkeypatch.setattr(
        worker_tasks, "Watchdog", lambda loop, step: Watchdog(loop, step, look_seconds=0.001)
    )
    handler = Hang()
    logging.getLogger("arvo").addHandler(handler)
    yield handler
    logging.getLogger("arvo").removeHandler(handler)


def idle_step() -> TimedStep:
    return TimedStep(step_plain, lambda: 0.0)


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "arvo watchdog"]


def charge_in(function: Callable[[Event[ChargeCard]], Any], is_alone: bool) -> None:
    async def work(runtime: Runtime) -> None:
        await runtime.send(charge_request("c1"))

    backend: Any = MemoryBackend()
    run_runtime(
        System([payment_handler(function)]),
        work,
        backend=Replaced(backend) if is_alone else backend,
    )


@pytest.mark.parametrize("is_alone", [False, True])
def test_a_handler_that_does_not_return_is_logged(hang: Hang, is_alone: bool) -> None:
    """All of the process waits for it, and no other line would ever name it."""

    def charge(_: Event[ChargeCard]) -> Emit:
        hang()
        return Emit(CardCharged("r"))

    charge_in(charge, is_alone)

    found = logged(hang.records, MESSAGE)[0]
    assert (found["handler"], found["event"]) == ("com.payment.charge", "c1")
    assert found["function"].endswith("charge")
    assert found["code"] == f"{__name__}:{charge.__code__.co_firstlineno}"


def test_an_effect_that_blocks_the_loop_is_logged(hang: Hang) -> None:
    """Its timeout cannot help, because that runs in the same loop."""

    async def fetch() -> str:
        hang()
        return "r"

    def charge(_: Event[ChargeCard]) -> Effects[Emit]:
        return Emit(CardCharged((yield from call(fetch))))

    charge_in(charge, is_alone=False)

    found = logged(hang.records, MESSAGE)[0]
    assert (found["handler"], found["event"]) == ("com.payment.charge", "c1")
    assert found["function"].endswith("fetch")


def test_a_listener_that_blocks_the_loop_is_logged(hang: Hang) -> None:
    """A listener is the user's code as well."""

    async def work(runtime: Runtime) -> None:
        @runtime.on_domain("bank")
        async def listen(_: Event[Any]) -> None:
            hang()

        await runtime.send(charge_request("c1"))

    system = System([payment_handler(lambda _: Emit(CardCharged("r"), domain="bank"))])
    run_runtime(system, work, backend="memory:")

    found = logged(hang.records, MESSAGE)[0]
    assert found["type"] == "evt.payment.charged"
    assert found["function"] == "the listener of bank"


def test_what_blocks_for_long_is_logged_at_growing_distances(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One that never returns must not fill the log, and a loop that ran again starts anew."""

    async def go() -> list[int]:
        dog = Watchdog(asyncio.get_running_loop(), idle_step())
        numbers = []
        for _ in range(2):
            for look in range(8 * MISSED_MAX + 1):
                before = len(caplog.records)
                dog.look()
                if len(caplog.records) > before:
                    numbers.append(look)
            await asyncio.sleep(0)
            dog.look()
            await asyncio.sleep(0)
        return numbers

    expected = [times * MISSED_MAX for times in (1, 2, 4, 8)]
    assert asyncio.run(go()) == [*expected, *expected]
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_a_loop_that_waits_is_neither_woken_nor_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An idle process costs nothing."""
    loop = asyncio.new_event_loop()
    dog = Watchdog(loop, idle_step())

    for _ in range(3 * MISSED_MAX):
        dog.look()

    assert caplog.records == []
    loop.close()


def test_the_thread_ends_with_the_runtime() -> None:
    """A program that makes many runtimes keeps no thread of theirs."""

    async def go() -> None:
        before = threads()
        async with Runtime(System([])):
            started = [each for each in threads() if each not in before]
        assert len(started) == 1
        await until(lambda: not started[0].is_alive())

    asyncio.run(go())


def test_the_thread_ends_with_the_loop() -> None:
    """A program that ends without stopping its runtime is not held by it."""
    loop, before = asyncio.new_event_loop(), threads()
    loop.close()

    Watchdog(loop, idle_step(), look_seconds=0.001).start()

    for thread in threads():
        if thread not in before:
            thread.join(LIMIT_SECONDS)
            assert not thread.is_alive()
