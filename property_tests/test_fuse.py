"""Laws of `fuse`: the fused handler answers as the two in a system."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from annotated_types import Lt
from attrs import field, frozen
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from arvo import (
    Contract,
    Domain,
    Effects,
    Emit,
    Event,
    EventHandler,
    ExecutionViolation,
    Fail,
    HandlerDomains,
    Log,
    Subject,
    System,
    Version,
    Violate,
    call,
    run,
)
from arvo.compose import fuse

TIME = "2026-01-02T03:04:05.000+00:00"


@frozen
class Question:
    n: int


@frozen
class Handed:
    n: Annotated[int, Lt(9)]


@frozen
class Other:
    n: Annotated[int, Lt(9)]


@frozen
class Done:
    n: Annotated[int, Lt(9)]


def fetch(key: str) -> int:
    """The effect that both handlers ask for; the tests replace it."""
    raise NotImplementedError(key)


@frozen
class Script:
    """A handler's function that records its events, may call an effect, and answers as drawn."""

    name: str
    calls: bool
    raises: bool
    answers: tuple[tuple[Any, ...], ...]
    seen: list[Any] = field(factory=list, eq=False, repr=False)

    def __call__(self, event: Event[Any]) -> Any:
        return self._answer_with_effect(event) if self.calls else self._answer(event, 0)

    def _answer_with_effect(self, event: Event[Any]) -> Effects[Any]:
        return self._answer(event, (yield from call(fetch, f"{self.name}{event.data.n}")))

    def _answer(self, event: Event[Any], more: int) -> Any:
        attributes = event.to_dict()
        del attributes["id"]
        attributes.pop("parentid", None)
        self.seen.append(attributes)
        if self.raises and event.data.n % 3 == 0:
            raise ValueError(f"{self.name} is broken")
        answers = self.answers[(event.data.n + more) % len(self.answers)]
        return (Log("info", f"{self.name} {event.data.n}"), *answers)


_HANDED_OPTIONS: Mapping[str, Any] = {
    "accesscontrol": st.just("staff"),
    "executionunits": st.integers(0, 3),
    "redirectto": st.sampled_from(["com.back.there", "com.some where"]),
    "extensions": st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 3)),
}
_SENT_OPTIONS: Mapping[str, Any] = {
    **_HANDED_OPTIONS,
    "to": st.just("com.elsewhere.entirely"),
    "domain": st.lists(st.sampled_from(["ops", None, *Domain]), min_size=1, max_size=3),
}


def _emits(payload: type, options: Mapping[str, Any], **fixed: Any) -> st.SearchStrategy[Emit]:
    # Occasionally a value that the contract refuses.
    values = st.builds(payload, n=st.sampled_from([*range(9)] * 4 + [9]))
    drawn = st.fixed_dictionaries({}, optional=dict(options))
    return st.builds(lambda value, more: Emit(value, **fixed, **more), values, drawn)


_ENDS = st.sampled_from([Fail("down"), Violate(ExecutionViolation("refused")), Emit(Question(1))])
_FIRST = st.one_of(
    _emits(Handed, _HANDED_OPTIONS, type="evt.first.handed"),
    _emits(Handed, _HANDED_OPTIONS, type="evt.first.also"),
    _emits(Other, _SENT_OPTIONS),
)
_SECOND = st.one_of(_emits(Done, _SENT_OPTIONS), _emits(Other, _SENT_OPTIONS))


def _scripts(name: str, emits: st.SearchStrategy[Emit]) -> st.SearchStrategy[Script]:
    several = st.lists(emits, min_size=1, max_size=3).map(tuple)
    ended = st.tuples(emits, _ENDS)
    rarely = st.sampled_from([False] * 7 + [True])
    answer = rarely.flatmap(lambda ends: ended if ends else several)
    answers = st.lists(answer, min_size=1, max_size=3).map(tuple)
    return st.builds(Script, st.just(name), st.booleans(), rarely, answers)


@st.composite
def _handlers(draw: st.DrawFn) -> tuple[EventHandler[Any], EventHandler[Any]]:
    domains = st.none() | st.just("far")
    first = Contract(
        uri="#/first",
        type="com.test.first",
        domain=draw(domains),
        versions={
            "1.0.0": Version(
                accepts=Question,
                emits={
                    "evt.first.handed": Handed,
                    "evt.first.also": Handed,
                    "evt.other": Other,
                },
            )
        },
    )
    emits = {"evt.second.done": Done, "evt.other": Other}
    second = Contract(
        uri="#/second",
        type="com.test.second",
        domain=draw(domains),
        versions={"2.0.0": Version(accepts=Handed, emits=emits)},
    )
    rules = st.lists(st.sampled_from([None, "ops", *Domain]), min_size=1, max_size=2)
    return (
        EventHandler(
            first,
            {"1.0.0": draw(_scripts("first", _FIRST))},
            executionunits=draw(st.integers(0, 3)),
            domains=HandlerDomains(
                emits=draw(st.sampled_from([None, Domain.ORCHESTRATION_CONTEXT]))
            ),
        ),
        EventHandler(
            second,
            {"2.0.0": draw(_scripts("second", _SECOND))},
            executionunits=draw(st.integers(0, 3)),
            domains=HandlerDomains(emits=draw(rules)),
        ),
    )


@st.composite
def _request_options(draw: st.DrawFn) -> dict[str, Any]:
    domains = st.none() | st.sampled_from(["ops", "human"])
    subject = Subject.new(
        "arvo.orc.caller", "1.0.0", initiator="com.test.client", id="run", domain=draw(domains)
    )
    return {
        "source": "com.test.client",
        "id": "request",
        "time": TIME,
        "subject": subject,
        "domain": draw(domains),
        "redirectto": draw(st.none() | st.just("com.test.inbox")),
        "accesscontrol": draw(st.none() | st.just("all")),
        "executionunits": draw(st.none() | st.integers(0, 3)),
        "traceparent": draw(st.none() | st.just("00-1-2-01")),
    }


# The result for the caller: "violated" and the class, "failed" and the fault, or the events.
Result: TypeAlias = tuple[str, Any]


@frozen
class Runner:
    """Runs one event at a time, and records the logs and effects."""

    system: System
    logs: list[Log] = field(factory=list)
    effects: list[str] = field(factory=list)

    def run(self, event: Event[Any]) -> Result:
        trace = run(self.system, event, effects={fetch: self._fetch})
        for commit in trace.commits:
            self.logs.extend(commit.logs)
        if trace.violations:
            return "violated", type(trace.violations[0])
        [commit] = trace.commits
        if commit.outcome == "failed":
            [fault] = commit.events
            return "failed", (fault.data, fault.to, fault.subject)
        return "answered", commit.events

    def _fetch(self, key: str) -> int:
        self.effects.append(key)
        if key.endswith("8"):
            raise ConnectionError(f"down at {key}")
        return len(key)


def _run_in_turn(
    runner: Runner, handlers: Any, payload: Question, options: dict[str, Any]
) -> Result:
    """Send the request to the first handler and each answer that fits to the second.

    Stops at a failure or a violation.
    """
    first, second = handlers
    kind, events = runner.run(first.contract["1.0.0"].accepts(payload, **options))
    if kind != "answered":
        return kind, events
    answers: list[Event[Any]] = []
    for answer in events:
        if not isinstance(answer.data, Handed):
            answers.append(answer)
            continue
        request = second.contract["2.0.0"].accepts(
            answer.data,
            **{
                **options,
                "id": answer.id,
                "redirectto": answer.redirectto or options["redirectto"],
                "accesscontrol": answer.accesscontrol,
                "executionunits": answer.executionunits,
                "extensions": answer.extensions,
            },
        )
        kind, sent = runner.run(request)
        if kind != "answered":
            return kind, sent
        answers += sent
    return "answered", answers


def _comparable(result: Result) -> Result:
    kind, events = result
    if kind != "answered":
        return result
    # Only the sender, the contract and the ids differ.
    names = ("id", "parentid", "source", "dataschema")
    return kind, [
        {key: value for key, value in event.to_dict().items() if key not in names}
        for event in events
    ]


@given(_handlers(), st.integers(0, 5).map(Question), _request_options())
def test_a_fused_handler_answers_as_the_two_in_a_system(
    handlers: tuple[EventHandler[Any], EventHandler[Any]],
    payload: Question,
    options: dict[str, Any],
) -> None:
    """The caller sees no difference, and one step replaces two and a round trip."""
    first, second = handlers
    fused = fuse(first, second, uri="#/fused")
    apart, together = Runner(System(handlers)), Runner(System([fused]))

    expected = _comparable(_run_in_turn(apart, handlers, payload, options))
    seen_apart = [_take_seen(handler) for handler in handlers]
    got = _comparable(together.run(fused.contract["1.0.0"].accepts(payload, **options)))

    note(f"{expected[0]}, effects {min(len(apart.effects), 2)}")
    assert got == expected
    assert together.effects == apart.effects
    assert [_take_seen(handler) for handler in handlers] == seen_apart
    if expected[0] != "violated":
        assert together.logs == apart.logs


def _take_seen(handler: EventHandler[Any]) -> list[Any]:
    """Return the distinct events that a handler saw since the last call, and forget them."""
    [script] = handler.functions.values()
    assert isinstance(script, Script)
    distinct = [event for n, event in enumerate(script.seen) if event not in script.seen[:n]]
    script.seen.clear()
    return distinct
