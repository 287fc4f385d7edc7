"""Reply: what a handler's function answers, made into commands."""

from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from returns.pipeline import is_successful
from returns.result import Result

from arvo.core.command import (
    Cancel,
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
from arvo.core.violations.issue import Issue, short
from arvo.core.violations.violation import (
    ConfigViolation,
    ContractViolation,
    ExecutionViolation,
    TransactionViolation,
    Violated,
    Violation,
)
from arvo.handlers.composed import begun
from arvo.handlers.effect import Effects, Perform, Performed

# What a handler may return; a `Result` of these as well.
Commands: TypeAlias = Command | Sequence[Command] | None
Reply: TypeAlias = Commands | Result[Any, Any] | Effects[Any]

# A turn that says more is a loop that does not end.
COMMANDS_MAX: Final = 10_000
EFFECTS_MAX: Final = 1_000

_COMMANDS: Final = (Emit, Persist, Complete, Fail, Violate, Schedule, Cancel, Compensate, Log)

Replied: TypeAlias = tuple[Command, ...] | Perform[Any] | Violation


def reply(
    function: Callable[..., Any], argument: object, performed: Sequence[Performed], *, stack: bool
) -> Replied:
    """Run a handler's function on its event or turn.

    *performed* are the effects that were performed so far, in order: a generator is run from its
    beginning and given their results. So a step is a function of its arguments, and the same effect
    asked for twice is the same question. An exception that escapes becomes a `Fail`, with its
    *stack* where asked for; `Violated` becomes its violation.
    """
    try:
        returned = begun(function, argument, stack=stack)
        if isinstance(returned, Generator):
            returned = _played(returned, performed)
            if isinstance(returned, Perform):
                return returned
        return commands_of(returned)
    except Violated as violated:
        return violation_of(violated.violation, "raise")
    except Exception as error:  # noqa: BLE001 - tier 2 is defined as whatever escapes (F097)
        return (Fail.of(error, stack=stack),)


def _played(generator: Generator[Any, Any, Any], performed: Sequence[Performed]) -> Any:
    """Give the generator the results so far; return the next effect, or what it returned."""
    try:
        wanted = _perform(next(generator))
        for position, done in enumerate(performed):
            if not wanted.same(done.effect):
                issue = Issue(
                    f"effects[{position}]", str(done.effect), _unlike(wanted, done.effect)
                )
                raise Violated(
                    ExecutionViolation("the handler asks for another effect than before", issue)
                )
            if done.error is not None:
                wanted = _perform(generator.throw(done.error))
            else:
                wanted = _perform(generator.send(done.value))
        if len(performed) >= EFFECTS_MAX:
            issue = Issue("effects", f"at most {EFFECTS_MAX} in one step", str(wanted))
            raise Violated(ExecutionViolation("the handler does not come to an end", issue))
        return wanted
    except StopIteration as stop:
        return stop.value
    finally:
        closed(generator)


def _unlike(wanted: Perform[Any], before: Perform[Any]) -> str:
    if str(wanted) != str(before):
        return str(wanted)
    # A lambda or a partial made inside the handler is another one each time it runs.
    return "another object of that name (define the function outside the handler)"


def closed(generator: Generator[Any, Any, Any]) -> None:
    """End a run that has told what it wants.

    A `finally` of the handler's own runs as well then, too early: what it raises says nothing, and
    what it asks for nobody performs any more.
    """
    for _ in range(EFFECTS_MAX):
        try:
            generator.close()
            return
        except RuntimeError:
            continue  # it asked for one more effect, and stands at the next `yield`
        except Exception:  # noqa: BLE001 - of a `finally` that has not got what it needs
            return


def _perform(wanted: object) -> Perform[Any]:
    if isinstance(wanted, Perform):
        return wanted
    issue = Issue("yield", "an effect, by `yield from call(...)`", _shown(wanted))
    raise Violated(ExecutionViolation("the handler yields what nobody can perform", issue))


def commands_of(returned: object) -> tuple[Command, ...]:
    """Take what a function returned as commands; raises `Violated` where it is none."""
    if isinstance(returned, _COMMANDS):
        return (_checked(returned, "return"),)
    match returned:
        case None:
            return ()
        case Result():
            return _from_result(returned)
        case Coroutine():
            # Closed, or Python warns of it when it is collected, far from here.
            returned.close()
            issue = Issue("return", "commands, and I/O by `yield from call(...)`", "a coroutine")
            raise Violated(ExecutionViolation("a handler is no async function", issue))
        case str() | bytes() | Mapping():
            raise _not_a_command("return", returned)
        case Iterable():
            return _each(returned)
        case _:
            raise _not_a_command("return", returned)


def _each(returned: Iterable[object]) -> tuple[Command, ...]:
    commands: list[Command] = []
    for position, item in enumerate(returned):
        if not isinstance(item, _COMMANDS):
            raise _not_a_command(f"return[{position}]", item)
        if position >= COMMANDS_MAX:
            issue = Issue("return", f"at most {COMMANDS_MAX} commands", "more")
            raise Violated(ExecutionViolation("the handler does not come to an end", issue))
        commands.append(_checked(item, f"return[{position}]"))
    return tuple(commands)


def _checked(command: Command, path: str) -> Command:
    """Refuse what types would have: a handler need not have met mypy."""
    if isinstance(command, Violate):
        return Violate(violation_of(command.violation, path))
    if isinstance(command, Log) and not _is_said(command.level, command.message):
        said = _shown((command.level, command.message))
        issue = Issue(path, f"a text, at one of {', '.join(_LEVELS)}", said)
        raise Violated(ExecutionViolation("the handler says what no log takes", issue))
    return command


def violation_of(given: object, path: str) -> Violation:
    """Take what was raised or returned at *path* as a violation, or say that it is none."""
    match given:
        case (
            ContractViolation() | ConfigViolation() | ExecutionViolation() | TransactionViolation()
        ):
            return given
        case Violated(violation=violation):
            return violation_of(violation, path)
        case _:
            issue = Issue(path, "a violation", _shown(given))
            return ExecutionViolation("the handler violates by no violation", issue)


def _is_said(level: object, message: object) -> bool:
    return isinstance(level, str) and level in _LEVELS and isinstance(message, str)


_LEVELS: Final = ("debug", "info", "warning", "error", "critical")


def _from_result(result: Result[Any, Any]) -> tuple[Command, ...]:
    if is_successful(result):
        return commands_of(result.unwrap())
    match result.failure():
        case Fail() | Violate() as command:
            return (_checked(command, "return"),)
        case Violated(violation=violation):
            return (Violate(violation_of(violation, "return")),)
        case (
            ContractViolation() | ConfigViolation() | ExecutionViolation() | TransactionViolation()
        ) as violation:
            return (Violate(violation),)
        case Exception() as error:
            return (Fail.of(error),)
        case other:
            return (Fail(str(other)),)


def _not_a_command(path: str, got: object) -> Violated:
    expected = f"commands: {', '.join(kind.__name__ for kind in _COMMANDS)}"
    return Violated(
        ExecutionViolation("the handler returns no command", Issue(path, expected, _shown(got)))
    )


def _shown(value: object) -> str:
    return f"{short(value)} ({type(value).__name__})"


def settled(commands: tuple[Command, ...]) -> tuple[Command, ...]:
    """Let `Violate` and `Fail` speak alone: what a turn wants beside them is not carried out.

    All or nothing, as with an exception after half the work (F098). `Log` is kept, and so is an
    `Compensate` beside a `Fail`, which it is there for.

    >>> settled((Emit({}), Fail("no")))
    (Fail(reason='no', name='Fail', stack=None),)
    """
    for kind in (Violate, Fail):
        for command in commands:
            if isinstance(command, kind):
                kept = (Log, Compensate) if kind is Fail else Log
                return (*(each for each in commands if isinstance(each, kept)), command)
    return commands
