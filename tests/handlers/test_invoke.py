"""Invoke: the values that a handler's function may return, and those it may not."""

import gc
import re
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from returns.result import Failure, Success

from arvo import (
    Command,
    Commands,
    ContractViolation,
    Effects,
    Emit,
    ExecutionViolation,
    Fail,
    Log,
    Perform,
    Performed,
    Persist,
    Violate,
    Violated,
    call,
)
from arvo.handlers.invoke import invoke, normalise
from tests.shop import CardCharged

YES, NO = Emit(CardCharged("yes")), Emit(CardCharged("no"))
BROKEN = ContractViolation("broken")


def fetch(key: str) -> str:
    return f"fetched {key}"


def invoke_returning(returned: object) -> Any:
    return invoke(lambda _: returned, "event", (), stack=False)


@pytest.mark.parametrize(
    ("returned", "commands"),
    [
        (None, ()),
        (YES, (YES,)),
        ([YES, NO], (YES, NO)),
        ((), ()),
        (Success(None), ()),
        (Success(YES), (YES,)),
        (Success([YES, NO]), (YES, NO)),
        (Success(Success(YES)), (YES,)),
        (Failure(Fail("no")), (Fail("no"),)),
        (Failure(Violate(BROKEN)), (Violate(BROKEN),)),
        (Failure(Violated(BROKEN)), (Violate(BROKEN),)),
        (Failure(BROKEN), (Violate(BROKEN),)),
        (Failure(ValueError("no")), (Fail("no", name="ValueError"),)),
        (Failure("no"), (Fail("no"),)),
    ],
)
def test_nothing_one_many_or_a_result_of_these_are_commands(
    returned: object, commands: tuple[Command, ...]
) -> None:
    """Plain functions and pipelines of `returns` are handlers alike."""
    assert invoke_returning(returned) == commands


def test_an_iterator_is_many_commands() -> None:
    """A handler may return a `map` or a `filter`."""
    assert invoke_returning(iter([YES])) == (YES,)


async def late() -> None:
    """An async function in the place of a handler."""


@pytest.mark.promise("I3")
@pytest.mark.parametrize(
    ("returned", "issue"),
    [
        ("text", "return: .*Emit, Persist.*got 'text' \\(str\\)"),
        (b"x", "got b'x' \\(bytes\\)"),
        (5, "got 5 \\(int\\)"),
        (object(), "got <object object> \\(object\\)"),
        (Emit, "\\(type\\)"),
        ({"a": 1}, "got {'a': 1} \\(dict\\)"),
        ([YES, 5], "return\\[1\\]: .*got 5 \\(int\\)"),
        ([[YES]], "return\\[0\\]: .*\\(list\\)"),
        (Success(5), "got 5 \\(int\\)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_other_value_is_a_violation_that_shows_it(returned: object, issue: str) -> None:
    """Without a memory address: the same step twice returns the same violation (I3)."""
    result = invoke_returning(returned)

    assert isinstance(result, ExecutionViolation)
    assert re.search(issue, str(result)), str(result)


def test_a_yielded_command_is_a_violation_that_names_effects() -> None:
    """A generator asks for effects; its commands are what it returns."""
    result = invoke_returning(each for each in [YES])

    assert isinstance(result, ExecutionViolation)
    assert "yield: expected an effect, by `yield from call" in str(result)


def test_an_async_handler_is_a_violation_that_names_the_remedy() -> None:
    """The most likely mistake, and Python must not warn of a coroutine that was never awaited."""
    result = invoke_returning(late())
    gc.collect()

    assert isinstance(result, ExecutionViolation)
    assert "I/O by `yield from call(...)`, got a coroutine" in str(result)


def forever() -> Iterator[Emit]:
    while True:
        yield YES


def test_a_handler_that_does_not_end_is_stopped() -> None:
    """Everything is bounded."""

    def asks(_: object) -> Effects[None]:
        while True:
            yield from call(fetch, "x")

    performed = [Performed(Perform(fetch, ("x",)), value="y")] * 1_000

    assert "at most 10000 commands" in str(invoke_returning(map(lambda _: YES, forever())))  # noqa: C417
    assert "effects: expected at most 1000" in str(invoke(asks, None, performed, stack=False))


def raising(error: BaseException) -> Callable[[object], Commands]:
    def handler(_: object) -> Commands:
        raise error

    return handler


def test_an_exception_is_a_failure_and_a_violation_stays_one() -> None:
    """An exception is a system error (tier 2); `Violated` is a violation (tier 3)."""
    failed = invoke(raising(ValueError("no")), None, (), stack=False)
    traced = invoke(raising(ValueError("no")), None, (), stack=True)
    violated = invoke(raising(Violated(BROKEN)), None, (), stack=False)

    assert failed == (Fail("no", name="ValueError"),)
    assert isinstance(traced, tuple)
    assert isinstance(traced[0], Fail)
    assert "Traceback" in (traced[0].stack or "")
    assert violated == BROKEN


class Custom(BaseException):
    """An exception that is no `Exception`."""


@pytest.mark.parametrize(
    "kind", [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError, Custom], ids=str
)
def test_an_exception_of_any_class_is_a_failure(kind: type[BaseException]) -> None:
    """A server that let it pass would end with each delivery of the event."""
    fail = (Fail("no", name=kind.__name__),)

    def generator(_: object) -> Effects[None]:
        yield from call(fetch, "x")
        raise kind("no")

    def closing(_: object) -> Effects[None]:
        try:
            yield from call(fetch, "x")
        finally:
            raise kind("too early")

    performed = [Performed(Perform(fetch, ("x",)), value="y")]
    assert invoke(raising(kind("no")), None, (), stack=False) == fail
    assert invoke(generator, None, performed, stack=False) == fail
    assert invoke(closing, None, (), stack=False) == Perform(fetch, ("x",))


def test_an_interrupt_passes_through() -> None:
    """A signal handler stops the process, in whatever code it is called."""

    def interrupted(_: object) -> Commands:
        signal.raise_signal(signal.SIGUSR1)
        return None

    before = signal.signal(signal.SIGUSR1, lambda *_: sys.exit("stop"))
    try:
        with pytest.raises(SystemExit, match="stop"):
            invoke(interrupted, None, (), stack=False)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_generator_runs_from_its_beginning_with_the_known_results() -> None:
    """A step is a function of its arguments: the same effects, the same commands."""

    def handler(event: str) -> Effects[Emit]:
        first = yield from call(fetch, event)
        second = yield from call(fetch, first)
        return Emit(CardCharged(second))

    one = Performed(Perform(fetch, ("event",)), value="1")
    two = Performed(Perform(fetch, ("1",)), value="2")

    assert invoke(handler, "event", (), stack=False) == Perform(fetch, ("event",))
    assert invoke(handler, "event", (one,), stack=False) == Perform(fetch, ("1",))
    assert invoke(handler, "event", (one, two), stack=False) == (Emit(CardCharged("2")),)


def test_an_effects_error_is_raised_where_it_was_asked_for() -> None:
    """An ordinary `try` catches it; an uncaught error is a failure."""

    def careful(event: str) -> Effects[Emit]:
        try:
            yield from call(fetch, event)
        except ConnectionError as error:
            return Emit(CardCharged(f"without: {error}"))
        return YES

    def careless(event: str) -> Effects[Emit]:
        yield from call(fetch, event)
        return YES

    failed = [Performed(Perform(fetch, ("event",)), error=ConnectionError("down"))]

    assert invoke(careful, "event", failed, stack=False) == (Emit(CardCharged("without: down")),)
    assert invoke(careless, "event", failed, stack=False) == (Fail("down", name="ConnectionError"),)


@pytest.mark.promise("I10")
def test_a_handler_that_asks_for_another_effect_than_before_is_not_pure() -> None:
    """I10: it would receive the result of another effect."""

    def handler(event: str) -> Effects[None]:
        yield from call(fetch, event)

    result = invoke(handler, "b", [Performed(Perform(fetch, ("a",)), value="x")], stack=False)

    assert isinstance(result, ExecutionViolation)
    assert "effects[0]: expected fetch('a'), got fetch('b')" in str(result)


def test_a_finally_may_ask_for_effects_of_its_own() -> None:
    """Cleaning up is I/O too, and each effect is asked for in its turn."""

    def handler(event: str) -> Effects[Emit]:
        try:
            yield from call(fetch, event)
        finally:
            try:
                yield from call(fetch, "cleanup")
            finally:
                yield from call(fetch, "lights out")
        return YES

    performed = [
        Performed(Perform(fetch, (key,)), value="x") for key in ("event", "cleanup", "lights out")
    ]

    steps = [invoke(handler, "event", performed[:n], stack=False) for n in range(4)]
    gc.collect()

    assert steps == [*(each.effect for each in performed), (YES,)]


def test_a_finally_that_has_nothing_to_close_yet_does_no_harm() -> None:
    """A generator is closed at each effect, and its `finally` runs then."""

    def handler(event: str) -> Effects[Emit]:
        connection: Any = None
        try:
            connection = yield from call(fetch, event)
        finally:
            connection.upper()
        return YES

    assert invoke(handler, "e", (), stack=False) == Perform(fetch, ("e",))
    done = [Performed(Perform(fetch, ("e",)), value="c")]
    assert invoke(handler, "e", done, stack=False) == (YES,)


def test_a_violation_or_a_failure_drops_the_other_commands_but_logs() -> None:
    """A turn applies whole or not at all, as with an exception halfway."""
    log = Log("info", "x")

    assert normalise((YES, log, Fail("no"), Violate(BROKEN))) == (log, Violate(BROKEN))
    assert normalise((YES, log, Fail("first"), Fail("second"))) == (log, Fail("first"))
    assert normalise((YES, Persist(1))) == (YES, Persist(1))


@pytest.mark.parametrize(
    "returned",
    [Violate(cast("Any", "no")), Log(cast("Any", ["info"]), "x"), Log("info", cast("Any", 1))],
)
def test_a_command_with_invalid_fields_is_a_violation(returned: Any) -> None:
    """A handler may run without a type checker, and a step must still return a result."""
    replied = invoke(lambda _: returned, None, (), stack=False)

    match replied:
        case (Violate(violation=violation),):
            assert isinstance(violation, ExecutionViolation)
        case other:
            assert isinstance(other, ExecutionViolation)
