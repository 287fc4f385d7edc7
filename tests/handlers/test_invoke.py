"""Reply: everything a handler's function may return, and what it must not."""

import gc
import re
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
from arvo.handlers.invoke import reply, settled
from tests.shop import CardCharged

YES, NO = Emit(CardCharged("yes")), Emit(CardCharged("no"))
BROKEN = ContractViolation("broken")


def fetch(key: str) -> str:
    return f"fetched {key}"


def replied(returned: object) -> Any:
    return reply(lambda _: returned, "event", (), stack=False)


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
    assert replied(returned) == commands


def test_what_can_be_read_once_is_many_commands() -> None:
    """`map` and `filter` are at home here."""
    assert replied(iter([YES])) == (YES,)


async def late() -> None:
    """A handler that waits."""


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
def test_anything_else_is_the_authors_mistake_and_named(returned: object, issue: str) -> None:
    """No memory address in it: the same step twice gives the same violation (I3)."""
    found = replied(returned)

    assert isinstance(found, ExecutionViolation)
    assert re.search(issue, str(found)), str(found)


def test_a_command_that_is_yielded_is_told_what_is_yielded() -> None:
    """A generator asks for effects; its commands are what it returns."""
    found = replied(each for each in [YES])

    assert isinstance(found, ExecutionViolation)
    assert "yield: expected an effect, by `yield from call" in str(found)


def test_an_async_handler_is_told_how_it_is_done() -> None:
    """The most likely mistake of all; and no warning of a coroutine that nobody awaited."""
    found = replied(late())
    gc.collect()

    assert isinstance(found, ExecutionViolation)
    assert "I/O by `yield from call(...)`, got a coroutine" in str(found)


def forever() -> Iterator[Emit]:
    while True:
        yield YES


def test_a_handler_that_does_not_end_is_stopped() -> None:
    """Everything is bounded."""

    def asks(_: object) -> Effects[None]:
        while True:
            yield from call(fetch, "x")

    performed = [Performed(Perform(fetch, ("x",)), value="y")] * 1_000

    assert "at most 10000 commands" in str(replied(map(lambda _: YES, forever())))  # noqa: C417
    assert "effects: expected at most 1000" in str(reply(asks, None, performed, stack=False))


def raising(error: BaseException) -> Callable[[object], Commands]:
    def handler(_: object) -> Commands:
        raise error

    return handler


def test_an_exception_is_a_failure_and_a_violation_stays_one() -> None:
    """F097: tier 2 is whatever escapes, tier 3 what is said to be."""
    failed = reply(raising(ValueError("no")), None, (), stack=False)
    told = reply(raising(ValueError("no")), None, (), stack=True)
    violated = reply(raising(Violated(BROKEN)), None, (), stack=False)

    assert failed == (Fail("no", name="ValueError"),)
    assert isinstance(told, tuple)
    assert isinstance(told[0], Fail)
    assert "Traceback" in (told[0].stack or "")
    assert violated == BROKEN
    with pytest.raises(KeyboardInterrupt):
        reply(raising(KeyboardInterrupt()), None, (), stack=False)


def test_a_generator_is_played_from_its_beginning_with_what_is_known() -> None:
    """A step is a function of its arguments: the same effects, the same commands."""

    def handler(event: str) -> Effects[Emit]:
        first = yield from call(fetch, event)
        second = yield from call(fetch, first)
        return Emit(CardCharged(second))

    one = Performed(Perform(fetch, ("event",)), value="1")
    two = Performed(Perform(fetch, ("1",)), value="2")

    assert reply(handler, "event", (), stack=False) == Perform(fetch, ("event",))
    assert reply(handler, "event", (one,), stack=False) == Perform(fetch, ("1",))
    assert reply(handler, "event", (one, two), stack=False) == (Emit(CardCharged("2")),)


def test_an_effects_error_is_raised_where_it_was_asked_for() -> None:
    """An ordinary `try` catches it, and what is not caught is a failure."""

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

    assert reply(careful, "event", failed, stack=False) == (Emit(CardCharged("without: down")),)
    assert reply(careless, "event", failed, stack=False) == (Fail("down", name="ConnectionError"),)


def test_a_handler_that_asks_for_something_else_than_before_is_not_pure() -> None:
    """I10: the results would be given to other questions."""

    def handler(event: str) -> Effects[None]:
        yield from call(fetch, event)

    found = reply(handler, "b", [Performed(Perform(fetch, ("a",)), value="x")], stack=False)

    assert isinstance(found, ExecutionViolation)
    assert "effects[0]: expected fetch('a'), got fetch('b')" in str(found)


def test_a_finally_may_ask_for_effects_of_its_own() -> None:
    """Cleaning up is I/O too; it is asked for when its turn comes and not before."""

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

    steps = [reply(handler, "event", performed[:n], stack=False) for n in range(4)]
    gc.collect()

    assert steps == [*(each.effect for each in performed), (YES,)]


def test_a_finally_that_has_nothing_to_close_yet_does_no_harm() -> None:
    """A generator is ended at each effect, and its `finally` runs then."""

    def handler(event: str) -> Effects[Emit]:
        connection: Any = None
        try:
            connection = yield from call(fetch, event)
        finally:
            connection.upper()
        return YES

    assert reply(handler, "e", (), stack=False) == Perform(fetch, ("e",))
    done = [Performed(Perform(fetch, ("e",)), value="c")]
    assert reply(handler, "e", done, stack=False) == (YES,)


def test_a_violation_or_a_failure_speaks_alone() -> None:
    """F098: all or nothing, as with an exception after half the work; logs are kept."""
    said = Log("info", "x")

    assert settled((YES, said, Fail("no"), Violate(BROKEN))) == (said, Violate(BROKEN))
    assert settled((YES, said, Fail("first"), Fail("second"))) == (said, Fail("first"))
    assert settled((YES, Persist(1))) == (YES, Persist(1))


@pytest.mark.parametrize(
    "returned",
    [Violate(cast("Any", "no")), Log(cast("Any", ["info"]), "x"), Log("info", cast("Any", 1))],
)
def test_a_command_with_junk_in_it_is_the_authors_violation(returned: Any) -> None:
    """Handlers need not have met mypy, and a step must answer all the same."""
    replied = reply(lambda _: returned, None, (), stack=False)

    match replied:
        case (Violate(violation=violation),):
            assert isinstance(violation, ExecutionViolation)
        case other:
            assert isinstance(other, ExecutionViolation)
