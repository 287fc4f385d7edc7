"""Tasks: background tasks that fail visibly, and work that ends with its caller."""

import asyncio
from contextlib import suppress

import pytest
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    Span,
    SpanContext,
    get_current_span,
    use_span,
)

from arvo.interpreters.delivery import tasks
from arvo.interpreters.delivery.tasks import (
    end_task,
    end_within,
    gather_all,
    poll_until_idle,
    supervise,
)
from arvo.interpreters.ports.errors import Unavailable
from tests.interpreters.within import within
from tests.logged import lines_of


async def fails(error: Exception) -> None:
    raise error


def test_a_supervised_task_that_fails_is_logged_and_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Otherwise asyncio would report it when the task is garbage collected, perhaps never."""
    error = ZeroDivisionError("a bug")

    async def go() -> Exception:
        failed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        task = supervise(fails(error), name="arvo test", on_failure=failed.set_result)
        await asyncio.wait({task})
        return await failed

    assert within(go()) is error
    [record] = caplog.records
    assert lines_of([record]) == [("error", "a task failed", {"task": "arvo test"})]
    assert record.exc_info is not None
    assert record.exc_info[1] is error


def test_an_error_that_several_tasks_raise_is_reported_to_each_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A corrupt store fails every waiting worker with the same exception."""
    error = ZeroDivisionError("a bug")

    async def go() -> list[Exception]:
        reported: list[Exception] = []
        failing = [
            supervise(fails(error), name=f"arvo {number}", on_failure=reported.append)
            for number in range(3)
        ]
        await asyncio.gather(*failing, return_exceptions=True)
        return reported

    assert within(go()) == [error] * 3
    assert len(caplog.records) == 1


def test_a_supervised_task_has_not_the_span_of_the_one_that_starts_it() -> None:
    """It outlives the span: what a driver does days later would be shown below it."""
    span = NonRecordingSpan(SpanContext(7, 8, is_remote=False))

    async def current() -> Span:
        return get_current_span()

    async def go() -> tuple[Span, Span]:
        with use_span(span):
            task = supervise(current(), name="arvo test", on_failure=lambda _: None)
            return get_current_span(), await task

    assert within(go()) == (span, INVALID_SPAN)


def test_a_task_that_ends_or_is_cancelled_is_not_reported() -> None:
    """Both are what its owner expects."""

    async def go() -> tuple[str, list[Exception]]:
        reported: list[Exception] = []
        waits = supervise(asyncio.sleep(3600), name="waits", on_failure=reported.append)
        returns = supervise(asyncio.sleep(0, "result"), name="returns", on_failure=reported.append)
        waits.cancel()
        await asyncio.gather(waits, return_exceptions=True)
        return await returns, reported

    assert within(go()) == ("result", [])


def test_ending_a_task_waits_for_it_and_then_cancels_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its error belongs to its owner, and not to the code that ends it."""
    monkeypatch.setattr(tasks, "END_SECONDS", 0.01)

    async def go() -> tuple[bool, bool]:
        endless = asyncio.create_task(asyncio.sleep(3600))
        failing = asyncio.create_task(fails(ValueError("no")))
        await end_task(endless)
        await end_task(failing)
        return endless.cancelled(), isinstance(failing.exception(), ValueError)

    assert within(go()) == (True, True)


def test_gathering_ends_all_work_before_it_raises() -> None:
    """A caller that handles the error must not race with work that still runs."""

    async def go() -> list[str]:
        done: list[str] = []

        async def slow() -> None:
            await asyncio.sleep(0.01)
            done.append("slow")

        with pytest.raises(ValueError, match="no"):
            await gather_all([fails(ValueError("no")), slow()])
        with pytest.raises(ValueError, match="alone"):
            await gather_all([fails(ValueError("alone"))])
        await gather_all([])
        return done

    assert within(go()) == ["slow"]


def test_work_that_swallows_one_cancellation_ends_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A driver did, at the timeout of its own call; the log says where it went on waiting."""

    async def never_answers() -> None:
        with suppress(TimeoutError, asyncio.CancelledError):
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        await asyncio.Event().wait()

    async def go() -> None:
        with pytest.raises(Unavailable, match="commit did not end within 0 s"):
            await end_within(0.02, never_answers(), call="commit")

    within(go())
    [record] = caplog.records
    assert lines_of([record]) == [
        ("warning", "a call did not end", {"call": "commit", "seconds": 0})
    ]
    assert record.exc_info is not None


def test_the_errors_of_the_work_are_its_own() -> None:
    async def go() -> int:
        with pytest.raises(TimeoutError, match="mine"):
            await end_within(60, fails(TimeoutError("mine")), call="commit")
        return await end_within(60, asyncio.sleep(0, 5), call="commit")

    assert within(go()) == 5


def test_polling_ends_when_nothing_is_busy() -> None:
    """It asks at least once, and no more often than needed."""

    async def go() -> list[bool]:
        answers = [True, True, False, True]

        async def is_busy() -> bool:
            return answers.pop(0)

        await poll_until_idle(is_busy)
        return answers

    assert within(go()) == [True]
