"""Order: the events of a workflow are taken in the order in which they were sent."""

from typing import Any

import pytest

from arvo import Event, Retry, Runtime, Stats, Unavailable
from arvo.interpreters.runtime.backends import backend_from_url
from tests.interpreters.runtime.running import Replaced, new_backend, within
from tests.interpreters.until import until
from tests.ordered import (
    SIGNALS,
    ledger_subject,
    mark_ledger,
    open_ledger,
    ordered_system,
)

pytestmark = pytest.mark.usefixtures("each_backend")

NAME = "one"
QUICK = Retry(attempts=4, delay=0.02)


async def state_of(runtime: Runtime, name: str = NAME) -> tuple[object, ...]:
    """Return the status and the state of a workflow."""
    record = await runtime.record(ledger_subject(name))
    return () if record is None else (record.status, record.state)


async def send_all(runtime: Runtime, name: str = NAME) -> None:
    """Begin a workflow, and send its signals."""
    await runtime.send(open_ledger(name))
    for number in range(SIGNALS):
        await runtime.send(mark_ledger(name, number))


def fail_commits(*ids: str) -> Any:
    """Make a backend that raises `Unavailable` at the first commit of each of these events."""
    backend = new_backend()
    inner = backend_from_url(backend) if isinstance(backend, str) else backend
    pending = set(ids)

    async def commit(delivery: Any, *rest: Any) -> Any:
        if delivery.message.event.id in pending:
            pending.discard(delivery.message.event.id)
            raise Unavailable("an outage of one commit")
        return await inner.commit(delivery, *rest)

    return Replaced(inner, commit=commit)


@pytest.mark.promise("I4")
def test_an_outage_at_one_commit_lets_no_event_of_the_workflow_overtake() -> None:
    """I4: at the commit of the first event, or of a signal; no signal becomes a dead letter."""

    async def go() -> tuple[tuple[object, ...], Stats]:
        backend = fail_commits(f"open-{NAME}", f"mark-{NAME}-1", f"mark-{NAME}-3")
        async with Runtime(ordered_system, backend, retry=QUICK) as runtime:
            await send_all(runtime)
            stats = await runtime.drain(timeout=60)
            return await state_of(runtime), stats

    state, stats = within(go())

    assert state == ("done", [0, 1, 2, 3, 4])
    assert (stats.handled, stats.retried, stats.dead_lettered) == (6, 3, 0)


def test_an_event_that_waits_for_its_retry_holds_back_no_other_workflow() -> None:
    """Its delay is an hour here."""

    async def go() -> list[tuple[object, ...]]:
        backend, hour = fail_commits(f"open-{NAME}"), Retry(attempts=4, delay=3_600.0)
        async with Runtime(ordered_system, backend, retry=wait_as_long(hour)) as runtime:
            await send_all(runtime)
            await send_all(runtime, "two")

            async def is_done() -> bool:
                return await state_of(runtime, "two") == ("done", [0, 1, 2, 3, 4])

            await until(is_done)
            return [await state_of(runtime), (len(await runtime.dead_letters()),)]

    assert within(go()) == [(), (0,)]


def wait_as_long(retry: Retry) -> Retry:
    """Let a policy wait as long as its delay."""
    return Retry(retry.attempts, retry.delay, retry.factor, longest=retry.delay)


def test_signals_that_come_before_their_workflow_wait_for_it() -> None:
    """Their sends overlapped, or the broker is not ours: they are not dead letters at once."""

    async def go() -> tuple[tuple[object, ...], Stats]:
        retry = Retry(attempts=10, delay=0.05, jitter=0.0)
        async with Runtime(ordered_system, new_backend(), retry=retry) as runtime:
            await runtime.send(mark_ledger(NAME, 0))
            await until(lambda: runtime.stats().retried > 0)
            await runtime.send(open_ledger(NAME))
            for number in range(1, SIGNALS):
                await runtime.send(mark_ledger(NAME, number))
            stats = await runtime.drain(timeout=60)
            return await state_of(runtime), stats

    (status, numbers), stats = within(go())

    assert status == "done"
    assert isinstance(numbers, list)
    assert sorted(numbers) == [0, 1, 2, 3, 4]
    assert (stats.handled, stats.dead_lettered) == (6, 0)


@pytest.mark.promise("I8")
def test_a_signal_of_an_unknown_workflow_is_a_dead_letter_after_the_last_attempt() -> None:
    """I8: a stray event is retried as often as the policy allows, and not for ever."""

    async def go() -> tuple[list[tuple[int, str]], Stats]:
        async with Runtime(ordered_system, new_backend(), retry=QUICK) as runtime:
            await runtime.send(mark_ledger(NAME, 0))
            stats = await runtime.drain(timeout=60)
            return [(each.attempts, each.reason) for each in await runtime.dead_letters()], stats

    dead_letters, stats = within(go())

    assert dead_letters == [(4, "no workflow with this subject has started")]
    assert (stats.retried, stats.dead_lettered) == (3, 1)


def test_a_cancellation_that_comes_before_its_workflow_cancels_its_first_turn() -> None:
    """It holds back nothing meanwhile, and the workflow does nothing once it starts."""

    async def go() -> tuple[tuple[object, ...], Stats]:
        async with Runtime(ordered_system, new_backend(), retry=QUICK) as runtime:
            begin: Event[Any] = open_ledger(NAME)
            await runtime.cancel(begin.subject, "enough")
            await until(lambda: runtime.stats().retried > 0)
            await runtime.send(begin)
            stats = await runtime.drain(timeout=60)
            return await state_of(runtime), stats

    state, stats = within(go())

    assert state == ("cancelled", None)
    assert (stats.cancelled, stats.dead_lettered) == (1, 0)


@pytest.mark.promise("I1")
def test_a_deferral_whose_answer_is_lost_settles_the_delivery() -> None:
    """To return it once more ended the worker, or gave its key to two workers."""

    async def go() -> tuple[tuple[object, ...], Stats]:
        backend = new_backend()
        inner = backend_from_url(backend) if isinstance(backend, str) else backend
        lost: list[str] = []

        async def defer(delivery: Any, delay: float) -> None:
            await inner.defer(delivery, delay)
            if not lost:
                lost.append(delivery.message.event.id)
                raise Unavailable("the answer was lost")

        replaced: Any = Replaced(inner, defer=defer)
        async with Runtime(ordered_system, replaced, retry=QUICK) as runtime:
            begin: Event[Any] = open_ledger(NAME)
            await runtime.cancel(begin.subject, "enough")
            await until(lambda: bool(lost))
            await runtime.send(begin)
            stats = await runtime.drain(timeout=60)
            return await state_of(runtime), stats

    state, stats = within(go())

    assert state == ("cancelled", None)
    assert (stats.cancelled, stats.dead_lettered) == (1, 0)
