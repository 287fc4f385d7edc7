"""Programs: handlers' functions drawn as data, and the outcome of running one."""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from attrs import field, frozen
from hypothesis import strategies as st
from returns.result import Failure, Success

from arvo import (
    Effects,
    Emit,
    Event,
    ExecutionViolation,
    Fail,
    Log,
    Perform,
    Performed,
    Violate,
    Violated,
    Violation,
    call,
)
from arvo.handlers.invoke import invoke, normalise

BROKEN = ExecutionViolation("refused")


@frozen
class Number:
    n: int


@frozen
class Send:
    """Emit a number that is computed from the event's; the options are those of `Emit`."""

    plus: int
    options: dict[str, Any] = field(factory=dict)


@frozen
class Write:
    """Log a text."""

    text: str


@frozen
class Ask:
    """Ask for an effect; where it fails, continue if the error is *caught*."""

    key: str
    caught: bool


@frozen
class End:
    """End in one of the possible ways, if the number divides by *every*."""

    how: Literal["fail", "raise", "violate", "raise violated", "failure"]
    every: int


Op: TypeAlias = Send | Write | Ask | End


@frozen
class Program:
    """A handler's function that runs its operations in order."""

    ops: tuple[Op, ...]
    as_result: bool = False

    @property
    def plain(self) -> bool:
        return not any(isinstance(op, Ask) for op in self.ops)

    def __call__(self, event: Event[Number]) -> Any:
        if not self.plain:
            return self._asking(event)
        commands: list[Any] = []
        for op in self.ops:
            ending = _run_op(op, event.data.n, commands)
            if ending is not None:
                return ending
        return Success(commands) if self.as_result else commands

    def _asking(self, event: Event[Number]) -> Effects[Any]:
        n, commands = event.data.n, list[Any]()
        for op in self.ops:
            if not isinstance(op, Ask):
                ending = _run_op(op, n, commands)
                if ending is not None:
                    return ending
                continue
            try:
                n += yield from call(fetch, f"{op.key}{n}")
            except ConnectionError as error:
                if not op.caught:
                    raise
                commands.append(Log("warning", str(error)))
        return commands


def _run_op(op: Op, n: int, commands: list[Any]) -> Any:
    """Append the command of an operation, or return the ending of the function."""
    match op:
        case Send(plus=plus, options=options):
            commands.append(Emit(Number((2 * n + plus) % 20), **options))
        case Write(text=text):
            commands.append(Log("info", f"{text} {n}"))
        case End(how=how, every=every) if n % every == 0:
            match how:
                case "fail":
                    return [*commands, Fail(f"no {n}")]
                case "raise":
                    raise ValueError(f"broken {n}")
                case "violate":
                    return [*commands, Violate(BROKEN)]
                case "raise violated":
                    raise Violated(BROKEN)
                case "failure":
                    return Failure(f"not {n}")
        case _:
            pass
    return None


def fetch(key: str) -> int:
    """The effect that programs ask for; it raises for some keys."""
    if len(key) % 3 == 0:
        raise ConnectionError(f"down at {key}")
    return len(key)


_OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "to": st.just("com.elsewhere"),
        "accesscontrol": st.just("staff"),
        "domain": st.sampled_from(["ops", None]),
        "executionunits": st.integers(0, 3),
        "extensions": st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 3)),
        "type": st.just("evt.numbers.made"),
    },
)


@st.composite
def programs(draw: st.DrawFn, *, options: bool = False, emits_max: int = 3) -> Program:
    """Draw a function; *options*: whether its events have options beside their payload."""
    drawn_options = _OPTIONS if options else st.just({})
    sends = st.builds(Send, st.integers(0, 5), drawn_options)
    others = st.one_of(
        st.builds(Write, st.sampled_from(["x", "y"])),
        st.builds(Ask, st.sampled_from(["k", "key"]), st.booleans()),
        st.builds(
            End,
            st.sampled_from(["fail", "raise", "violate", "raise violated", "failure"]),
            st.integers(1, 4),
        ),
    )
    ops = [*draw(st.lists(sends, max_size=emits_max)), *draw(st.lists(others, max_size=3))]
    return Program(tuple(draw(st.permutations(ops))), draw(st.booleans()))


@st.composite
def numbers(draw: st.DrawFn) -> Event[Number]:
    """Draw an event whose payload is a number."""
    return Event(
        id="e1",
        source="com.test.client",
        type="com.test.number",
        subject="s1",
        data=Number(draw(st.integers(0, 6))),
        time="2026-01-02T03:04:05.000+00:00",
        to="com.test.number",
    )


# The effects in order, and the commands or the violation.
Outcome: TypeAlias = tuple[list[Perform[Any]], tuple[Any, ...] | Violation]


def outcome(function: Callable[..., Any], event: Event[Any]) -> Outcome:
    """Run a function to its end, as the engine does; a `Violate` becomes its violation."""
    performed: list[Performed] = []
    while True:
        result = invoke(function, event, performed, stack=False)
        if not isinstance(result, Perform):
            break
        try:
            performed.append(Performed(result, value=result.function(*result.args)))
        except ConnectionError as error:
            performed.append(Performed(result, error=error))
    effects = [done.effect for done in performed]
    if not isinstance(result, tuple):
        return effects, result
    match normalise(result):
        case (*_, Violate(violation=violation)):
            return effects, violation
        case commands:
            return effects, commands


def commands_of(got: Outcome) -> tuple[Any, ...]:
    """Return the commands of an outcome, with a violation as `Violate`."""
    result = got[1]
    return result if isinstance(result, tuple) else (Violate(result),)
