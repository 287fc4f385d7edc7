"""Threads: a bounded pool of threads, in which calls that hang occupy a thread each."""

import asyncio
import logging
import subprocess
import sys
import threading
from contextvars import ContextVar
from pathlib import Path

import pytest

from arvo.interpreters.calls.threads import ThreadPool, ThreadsExhausted
from tests.interpreters.until import until
from tests.interpreters.within import within
from tests.logged import logged

ROOT = Path(__file__).parents[3]
SHARED: ContextVar[str] = ContextVar("shared", default="")


async def abandon(pool: ThreadPool, release: threading.Event) -> None:
    """Call a function that hangs until *release* is set, and stop waiting for it."""
    began = threading.Event()

    def hang() -> None:
        began.set()
        release.wait()

    calling = asyncio.create_task(pool.run(hang, text="hang()"))
    await until(began.is_set)
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)


def test_a_call_returns_its_result_and_raises_its_exception() -> None:
    """As if it had been called in place; it sees the context variables of its caller."""

    async def go() -> tuple[int, str, int]:
        pool = ThreadPool("com.shop.web", 2)
        SHARED.set("trace")
        with pytest.raises(ZeroDivisionError):
            await pool.run(lambda: 1 // 0, text="divide()")
        result = await pool.run(pow, 2, 5, text="pow(2, 5)")
        shared = await pool.run(SHARED.get, text="get()")
        idents = {await pool.run(threading.get_ident, text="get_ident()") for _ in range(5)}
        pool.close()
        return result, shared, len(idents)

    # One thread serves calls that follow each other: drivers keep connections by thread.
    assert within(go()) == (32, "trace", 1)


@pytest.mark.parametrize(
    "kind", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, TimeoutError]
)
def test_an_exception_of_any_class_reaches_the_caller(kind: type[BaseException]) -> None:
    """It must not close the coroutine that waits, nor end the thread."""
    error = kind("ends")

    def fail() -> None:
        raise error

    async def go() -> BaseException | None:
        pool = ThreadPool("com.shop.web", 1)
        try:
            await pool.run(fail, text="fail()")
        except BaseException as raised:  # noqa: BLE001 - any class
            assert await pool.run(pow, 2, 2, text="pow(2, 2)") == 4
            pool.close()
            return raised
        return None

    assert within(go()) is error


def test_no_more_calls_run_than_there_are_threads() -> None:
    """The others wait, and all of them run in the end."""
    running, most, lock = 0, 0, threading.Lock()
    gate = threading.Semaphore(0)

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        gate.acquire()
        with lock:
            running -= 1

    async def go() -> None:
        pool = ThreadPool("com.shop.web", 3)
        calls = [asyncio.create_task(pool.run(work, text="work()")) for _ in range(10)]
        for _ in calls:
            gate.release()
        await asyncio.gather(*calls)
        pool.close()

    within(go())

    assert most <= 3


def test_a_pool_whose_threads_all_hang_refuses_calls_until_one_returns(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A caller that waits for a thread is refused too; the error names what hangs."""
    release = threading.Event()

    async def go() -> tuple[str, int]:
        pool = ThreadPool("com.shop.web", 2)
        await abandon(pool, release)
        assert await pool.run(pow, 2, 2, text="pow(2, 2)") == 4
        await abandon(pool, release)
        with pytest.raises(ThreadsExhausted) as refused:
            await pool.run(pow, 2, 3, text="pow(2, 3)")
        release.set()
        await until(lambda: not pool._calls)
        result = await pool.run(pow, 2, 3, text="pow(2, 3)")
        pool.close()
        return str(refused.value), result

    with caplog.at_level(logging.INFO, "arvo"):
        text, result = within(go())

    assert text == (
        "all 2 threads of com.shop.web run calls that have not returned: hang() for 0 s, "
        "hang() for 0 s"
    )
    assert result == 8
    abandoned = {"pool": "com.shop.web", "threads": 2, "call": "hang() for 0 s"}
    message = "a call was abandoned and occupies a thread until it returns"
    assert logged(caplog.records, message) == [abandoned] * 2
    returned = {"pool": "com.shop.web", "call": "hang() for 0 s"}
    assert logged(caplog.records, "a call returned after it was abandoned") == [returned] * 2


def test_a_caller_that_waits_for_a_thread_is_refused_once_all_hang() -> None:
    """It would otherwise wait as long as they hang."""
    release = threading.Event()

    async def go() -> None:
        pool = ThreadPool("com.shop.web", 1)
        began = threading.Event()

        def hang() -> None:
            began.set()
            release.wait()

        hanging = asyncio.create_task(pool.run(hang, text="hang()"))
        await until(began.is_set)
        waiting = asyncio.create_task(pool.run(pow, 2, 3, text="pow(2, 3)"))
        await until(lambda: bool(pool._waiters))
        hanging.cancel()
        with pytest.raises(ThreadsExhausted):
            await waiting
        release.set()

    within(go())


PROGRAM = """
import asyncio, logging, threading
from arvo import Effects, Emit, Runtime, System, call
from tests.shop import CardCharged, charge_request, payment_handler

logging.basicConfig(level="WARNING", format="%(message)s: %(arvo_pool)s %(arvo_calls)s")
begun, never = threading.Event(), threading.Event()

def hang():
    begun.set()
    never.wait()

def pay(event) -> Effects[Emit]:
    yield from call(hang)
    return Emit(CardCharged("r"))

async def main():
    runtime = Runtime(System([payment_handler(pay)]))
    async with runtime:
        await runtime.send(charge_request())
        await asyncio.to_thread(begun.wait)
        await runtime.stop(timeout=0)

asyncio.run(main())
"""


def test_a_call_that_hangs_does_not_keep_the_process_alive() -> None:
    """A deployment would wait for it until it is killed; the log names what hangs."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    line = "calls have not returned at the end: com.payment.charge hang() for 0 s"
    assert line in ended.stderr
