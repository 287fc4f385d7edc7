"""Programs: handlers' functions drawn as data, and what comes of one."""

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
from arvo.handlers.invoke import reply, settled

BROKEN = ExecutionViolation("refused")


@frozen
class Number:
    n: int


@frozen
class Send:
    """Emit a number that follows from the one at hand; the rest as in `Emit`."""

    plus: int
    options: dict[str, Any] = field(factory=dict)


@frozen
class Say:
    text: str


@frozen
class Ask:
    """Ask for an effect; where it fails, go on if that is *caught*."""

    key: str
    caught: bool


@frozen
class End:
    """End in one of the ways there are, if the number divides by *every*."""

    how: Literal["fail", "raise", "violate", "raise violated", "failure"]
    every: int


Op: TypeAlias = Send | Say | Ask | End


@frozen
class Program:
    """A handler's function that does one thing after the other."""

    ops: tuple[Op, ...]
    as_result: bool = False

    @property
    def plain(self) -> bool:
        return not any(isinstance(op, Ask) for op in self.ops)

    def __call__(self, event: Event[Number]) -> Any:
        if not self.plain:
            return self._asking(event)
        wanted: list[Any] = []
        for op in self.ops:
            ended = _done(op, event.data.n, wanted)
            if ended is not None:
                return ended
        return Success(wanted) if self.as_result else wanted

    def _asking(self, event: Event[Number]) -> Effects[Any]:
        n, wanted = event.data.n, list[Any]()
        for op in self.ops:
            if not isinstance(op, Ask):
                ended = _done(op, n, wanted)
                if ended is not None:
                    return ended
                continue
            try:
                n += yield from call(fetch, f"{op.key}{n}")
            except ConnectionError as error:
                if not op.caught:
                    raise
                wanted.append(Log("warning", str(error)))
        return wanted


def _done(op: Op, n: int, wanted: list[Any]) -> Any:
    match op:
        case Send(plus=plus, options=options):
            wanted.append(Emit(Number((2 * n + plus) % 20), **options))
        case Say(text=text):
            wanted.append(Log("info", f"{text} {n}"))
        case End(how=how, every=every) if n % every == 0:
            match how:
                case "fail":
                    return [*wanted, Fail(f"no {n}")]
                case "raise":
                    raise ValueError(f"broken {n}")
                case "violate":
                    return [*wanted, Violate(BROKEN)]
                case "raise violated":
                    raise Violated(BROKEN)
                case "failure":
                    return Failure(f"not {n}")
        case _:
            pass
    return None


def fetch(key: str) -> int:
    """The effect that programs ask for: down for some keys."""
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
    """Draw a function; *options*: whether its events say more than their payload."""
    told = _OPTIONS if options else st.just({})
    sends = st.builds(Send, st.integers(0, 5), told)
    others = st.one_of(
        st.builds(Say, st.sampled_from(["x", "y"])),
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
    """Draw an event that carries a number."""
    return Event(
        id="e1",
        source="com.test.client",
        type="com.test.number",
        subject="s1",
        data=Number(draw(st.integers(0, 6))),
        time="2026-01-02T03:04:05.000+00:00",
        to="com.test.number",
    )


# The effects that were asked for, in order, and the commands or the violation.
Outcome: TypeAlias = tuple[list[Perform[Any]], tuple[Any, ...] | Violation]


def outcome(function: Callable[..., Any], event: Event[Any]) -> Outcome:
    """Run a function to its end, as the engine would; `Violate` and a raised violation are one."""
    performed: list[Performed] = []
    while True:
        replied = reply(function, event, performed, stack=False)
        if not isinstance(replied, Perform):
            break
        try:
            performed.append(Performed(replied, value=replied.function(*replied.args)))
        except ConnectionError as error:
            performed.append(Performed(replied, error=error))
    asked = [each.effect for each in performed]
    if not isinstance(replied, tuple):
        return asked, replied
    match settled(replied):
        case (*_, Violate(violation=violation)):
            return asked, violation
        case commands:
            return asked, commands


def commands_of(got: Outcome) -> tuple[Any, ...]:
    """Give the commands of an outcome, a violation as `Violate`."""
    wanted = got[1]
    return wanted if isinstance(wanted, tuple) else (Violate(wanted),)
