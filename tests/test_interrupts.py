"""Interrupts: what a signal handler raises passes through, what code raises itself does not."""

import asyncio
import functools
import os
import signal
import sys
import time
from collections.abc import Callable, Generator, Iterator
from types import FrameType
from typing import Any

import pytest

from arvo.interrupts import is_interrupt

Handler = Callable[[int, FrameType | None], Any]


class Custom(BaseException):
    """An exception that is no `Exception`."""


@pytest.fixture
def handle() -> Iterator[Callable[[Any], None]]:
    """Install a handler of SIGUSR1, for the length of a test."""
    before = signal.getsignal(signal.SIGUSR1)

    def install(handler: Any) -> None:
        signal.signal(signal.SIGUSR1, handler)

    yield install
    signal.signal(signal.SIGUSR1, before)


def catch(function: Callable[[], object]) -> BaseException:
    """Call a function, and return what it raises."""
    try:
        function()
    except BaseException as error:  # noqa: BLE001 - the tests look at it
        return error
    raise AssertionError("it raised nothing")


def raise_(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    "error", [SystemExit(1), KeyboardInterrupt(), Custom(), GeneratorExit(), MemoryError()]
)
def test_an_exception_that_code_raises_is_no_interrupt(error: BaseException) -> None:
    """Also from deep within, and raised again on the way."""

    def again() -> None:
        try:
            raise_(error)
        except BaseException:
            time.monotonic()
            raise

    assert not is_interrupt(catch(again))


def test_sys_exit_is_no_interrupt() -> None:
    """C code raises it, but the code asked for it."""
    assert not is_interrupt(catch(sys.exit))


class Stopper:
    """Signal handlers of all shapes."""

    def method(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        raise SystemExit(number)

    def partial(self, text: str, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        raise Custom(text, number)


@pytest.mark.parametrize(
    "handler",
    [
        Stopper().method,
        functools.partial(Stopper().partial, "stop"),
        lambda *_: sys.exit(0),
        lambda number, frame: raise_(KeyboardInterrupt()),
        signal.default_int_handler,
    ],
    ids=["method", "partial", "variadic", "nested", "default"],
)
def test_an_exception_of_a_signal_handler_is_an_interrupt(
    handler: Handler, handle: Callable[[Handler], None]
) -> None:
    """Wherever the signal arrives: here in a loop, and in a call."""
    handle(handler)

    def work() -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        for _ in range(1_000_000):
            time.monotonic()

    assert is_interrupt(catch(work))


def test_ctrl_c_under_asyncio_is_an_interrupt() -> None:
    """The second one: the first one cancels the main task."""
    caught: list[BaseException] = []

    def work() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        time.monotonic()

    async def main() -> None:
        caught.append(catch(work))

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        catch(lambda: asyncio.run(main()))
    finally:
        signal.signal(signal.SIGINT, before)
    [error] = caught
    assert isinstance(error, KeyboardInterrupt)
    assert is_interrupt(error)


def test_closing_a_generator_is_an_interrupt() -> None:
    """Its `GeneratorExit` has to reach the generator that is closed."""
    caught: list[BaseException] = []

    def inner() -> Generator[None, None, None]:
        yield

    def outer() -> Generator[None, None, None]:
        try:
            yield from inner()
        except BaseException as error:
            caught.append(error)
            raise

    generator = outer()
    next(generator)
    generator.close()

    [error] = caught
    assert is_interrupt(error)


def test_closing_a_coroutine_is_an_interrupt() -> None:
    """As an event loop does that ends before its tasks."""
    caught: list[BaseException] = []

    async def work() -> None:
        try:
            await asyncio.Future()
        except BaseException as error:
            caught.append(error)
            raise

    async def main() -> None:
        coroutine = work()
        coroutine.send(None)
        coroutine.close()

    asyncio.run(main())
    [error] = caught
    assert isinstance(error, GeneratorExit)
    assert is_interrupt(error)
