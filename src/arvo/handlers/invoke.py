"""Invoke: calls a handler's function and turns its return value into commands."""

from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias, get_args

from returns.pipeline import is_successful
from returns.result import Result

from arvo.core.command import (
    Cancel,
    CancelChild,
    Command,
    Compensate,
    Complete,
    Emit,
    Fail,
    Log,
    Persist,
    Schedule,
    Violate,
)
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import (
    ConfigViolation,
    ContractViolation,
    ExecutionViolation,
    TransactionViolation,
    Violated,
    Violation,
)
from arvo.handlers.composed import start
from arvo.handlers.effect import Effects, Perform, Performed
from arvo.handlers.generators import close_generator
from arvo.interrupts import is_interrupt

# The return types of a handler's function; a `Result` of commands as well.
Commands: TypeAlias = Command | Sequence[Command] | None
HandlerReturn: TypeAlias = Commands | Result[Any, Any] | Effects[Any]

# A handler that exceeds these is in an endless loop.
COMMANDS_MAX: Final = 10_000
EFFECTS_MAX: Final = 1_000

InvocationResult: TypeAlias = tuple[Command, ...] | Perform[Any] | Violation


def invoke(
    function: Callable[..., Any], argument: object, performed: Sequence[Performed], *, stack: bool
) -> InvocationResult:
    """Call a handler's function with its event or turn.

    *performed* holds the effects performed so far, in order. A generator runs from its beginning
    each time and receives their results, so that a step is a function of its arguments. Returns
    commands, the next effect to perform, or a violation. An exception becomes a `Fail`, with its
    stack trace if *stack*, also `SystemExit`; `Violated` becomes its violation.
    """
    try:
        returned = start(function, argument, stack=stack)
        if type(returned) in _UNCHECKED:
            return (returned,)
        if isinstance(returned, Generator):
            returned = _replay(returned, performed)
            if isinstance(returned, Perform):
                return returned
        return to_commands(returned)
    except Violated as violated:
        return to_violation(violated.violation, "raise")
    except BaseException as error:
        if is_interrupt(error):
            raise
        # Any exception of a handler is a system error (tier 2).
        return (Fail.of(error, stack=stack, unhandled=True),)


def _replay(generator: Generator[Any, Any, Any], performed: Sequence[Performed]) -> Any:
    """Send the results so far; return the next effect, or the generator's return value."""
    try:
        effect = _check_effect(next(generator))
        for position, done in enumerate(performed):
            if not effect.matches(done.effect):
                issue = Issue(
                    f"effects[{position}]", str(done.effect), _difference(effect, done.effect)
                )
                raise Violated(
                    ExecutionViolation("the handler asks for another effect than before", issue)
                )
            if done.error is not None:
                effect = _check_effect(generator.throw(done.error))
            else:
                effect = _check_effect(generator.send(done.value))
        if len(performed) >= EFFECTS_MAX:
            issue = Issue("effects", f"at most {EFFECTS_MAX} in one step", str(effect))
            raise Violated(ExecutionViolation("the handler asks for effects without end", issue))
        return effect
    except StopIteration as stop:
        return stop.value
    finally:
        close_generator(generator)


def _difference(effect: Perform[Any], before: Perform[Any]) -> str:
    if str(effect) != str(before):
        return str(effect)
    # A lambda or a partial made inside the handler is a new object in each run.
    return "another object of that name (define the function outside the handler)"


def _check_effect(yielded: object) -> Perform[Any]:
    if isinstance(yielded, Perform):
        return yielded
    issue = Issue("yield", "an effect, by `yield from call(...)`", _with_type(yielded))
    raise Violated(ExecutionViolation("the handler yields a value that is not an effect", issue))


def to_commands(returned: object) -> tuple[Command, ...]:
    """Convert a function's return value to commands; raises `Violated` where it is no command."""
    if returned is None:
        return ()
    if type(returned) is tuple or type(returned) is list:
        return _from_iterable(returned)
    if isinstance(returned, Command):
        return (_check_command(returned, "return"),)
    match returned:
        case Result():
            return _from_result(returned)
        case Coroutine():
            # Closed here, because Python would warn about it only on garbage collection.
            returned.close()
            issue = Issue("return", "commands, and I/O by `yield from call(...)`", "a coroutine")
            raise Violated(ExecutionViolation("a handler must not be an async function", issue))
        case str() | bytes() | Mapping():
            raise _not_a_command("return", returned)
        case Iterable():
            return _from_iterable(returned)
        case _:
            raise _not_a_command("return", returned)


def _from_iterable(returned: Iterable[object]) -> tuple[Command, ...]:
    commands: list[Command] = []
    for position, item in enumerate(returned):
        if type(item) in _UNCHECKED and position < COMMANDS_MAX:
            commands.append(item)  # type: ignore[arg-type]  # a command, by its type
            continue
        if not isinstance(item, Command):
            raise _not_a_command(f"return[{position}]", item)
        if position >= COMMANDS_MAX:
            issue = Issue("return", f"at most {COMMANDS_MAX} commands", "more")
            raise Violated(ExecutionViolation("the handler returns too many commands", issue))
        commands.append(_check_command(item, f"return[{position}]"))
    return tuple(commands)


def _check_command(command: Command, path: str) -> Command:
    """Check at run time the fields whose types a handler without mypy may get wrong."""
    match command:
        case Emit() | Persist() | Complete() | Fail() | Compensate():
            return command
        case Schedule() | Cancel() | CancelChild():
            return command
        case Violate(violation=violation):
            return Violate(to_violation(violation, path))
        case Log(level=level, message=message):
            if not _is_loggable(level, message):
                expected = f"a string, at one of {', '.join(_LEVELS)}"
                issue = Issue(path, expected, _with_type((level, message)))
                raise Violated(ExecutionViolation("the handler returns an invalid Log", issue))
            return command


def to_violation(value: object, path: str) -> Violation:
    """Return the violation that was raised or returned at *path*.

    Any other value becomes an `ExecutionViolation` that reports it.
    """
    match value:
        case (
            ContractViolation() | ConfigViolation() | ExecutionViolation() | TransactionViolation()
        ):
            return value
        case Violated(violation=violation):
            return to_violation(violation, path)
        case _:
            issue = Issue(path, "a violation", _with_type(value))
            return ExecutionViolation("the handler raises or returns an invalid violation", issue)


def _is_loggable(level: object, message: object) -> bool:
    return isinstance(level, str) and level in _LEVELS and isinstance(message, str)


# The commands that `_check_command` returns as they are.
_UNCHECKED: Final = frozenset(get_args(Command)) - {Violate, Log}
_LEVELS: Final = ("debug", "info", "warning", "error", "critical")


def _from_result(result: Result[Any, Any]) -> tuple[Command, ...]:
    if is_successful(result):
        return to_commands(result.unwrap())
    match result.failure():
        case Fail() | Violate() as command:
            return (_check_command(command, "return"),)
        case Violated(violation=violation):
            return (Violate(to_violation(violation, "return")),)
        case (
            ContractViolation() | ConfigViolation() | ExecutionViolation() | TransactionViolation()
        ) as violation:
            return (Violate(violation),)
        case Exception() as error:
            return (Fail.of(error),)
        case other:
            return (Fail(str(other)),)


def _not_a_command(path: str, value: object) -> Violated:
    expected = f"commands: {', '.join(kind.__name__ for kind in get_args(Command))}"
    return Violated(
        ExecutionViolation(
            "the handler returns no command", Issue(path, expected, _with_type(value))
        )
    )


def _with_type(value: object) -> str:
    return f"{short_repr(value)} ({type(value).__name__})"


def normalise(commands: tuple[Command, ...]) -> tuple[Command, ...]:
    """Drop all other commands of a turn that violates or fails.

    A turn applies whole or not at all, as with an exception halfway. `Log` stays, and beside a
    `Fail` so does `Compensate`, which exists for this case.

    >>> normalise((Emit({}), Fail("no")))
    (Fail(reason='no', name='Fail', stack=None, executionunits=None),)
    """
    kinds = set(map(type, commands))
    if kinds.isdisjoint(_ENDINGS):
        return commands
    for kind in _ENDINGS:
        if kind in kinds:
            first = next(command for command in commands if isinstance(command, kind))
            return (*(other for other in commands if _is_retained(other, kind)), first)
    return commands


_ENDINGS: Final = (Violate, Fail)


def _is_retained(command: Command, ending: type[Violate | Fail]) -> bool:
    match command:
        case Log():
            return True
        case Compensate():
            return ending is Fail
        case Emit() | Persist() | Complete() | Fail() | Violate():
            return False
        case Schedule() | Cancel() | CancelChild():
            return False
