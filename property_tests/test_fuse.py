"""Laws of `fuse`: one handler answers as the two it was made of."""

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
class Asked:
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
    """The effect that both handlers ask for; the runs answer it from a table."""
    raise NotImplementedError(key)


@frozen
class Script:
    """A handler's function that says what it saw, perhaps asks, and answers what was drawn."""

    name: str
    asks: bool
    raises: bool
    answers: tuple[tuple[Any, ...], ...]
    seen: list[Any] = field(factory=list, eq=False, repr=False)

    def __call__(self, event: Event[Any]) -> Any:
        return self._asking(event) if self.asks else self._answer(event, 0)

    def _asking(self, event: Event[Any]) -> Effects[Any]:
        return self._answer(event, (yield from call(fetch, f"{self.name}{event.data.n}")))

    def _answer(self, event: Event[Any], more: int) -> Any:
        said = event.to_dict()
        self.seen.append({name: said[name] for name in said if name not in ("id", "parentid")})
        if self.raises and event.data.n % 3 == 0:
            raise ValueError(f"{self.name} is broken")
        answers = self.answers[(event.data.n + more) % len(self.answers)]
        return (Log("info", f"{self.name} {event.data.n}"), *answers)


_FREE: Mapping[str, Any] = {
    "accesscontrol": st.just("staff"),
    "executionunits": st.integers(0, 3),
    "redirectto": st.sampled_from(["com.back.there", "com.some where"]),
    "extensions": st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 3)),
}
_SENT: Mapping[str, Any] = {
    **_FREE,
    "to": st.just("com.elsewhere.entirely"),
    "domain": st.lists(st.sampled_from(["ops", None, *Domain]), min_size=1, max_size=3),
}


def _emits(payload: type, options: Mapping[str, Any], **said: Any) -> st.SearchStrategy[Emit]:
    # Now and then what the contract refuses.
    values = st.builds(payload, n=st.sampled_from([*range(9)] * 4 + [9]))
    told = st.fixed_dictionaries({}, optional=dict(options))
    return st.builds(lambda value, more: Emit(value, **said, **more), values, told)


_ENDS = st.sampled_from([Fail("down"), Violate(ExecutionViolation("refused")), Emit(Asked(1))])
_FIRST = st.one_of(
    _emits(Handed, _FREE, type="evt.first.handed"),
    _emits(Handed, _FREE, type="evt.first.also"),
    _emits(Other, _SENT),
)
_SECOND = st.one_of(_emits(Done, _SENT), _emits(Other, _SENT))


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
                accepts=Asked,
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
def _envelopes(draw: st.DrawFn) -> dict[str, Any]:
    domains = st.none() | st.sampled_from(["ops", "human"])
    subject = Subject.new(
        "arvo.orc.asker", "1.0.0", initiator="com.test.client", id="run", domain=draw(domains)
    )
    return {
        "source": "com.test.client",
        "id": "asked",
        "time": TIME,
        "subject": subject,
        "domain": draw(domains),
        "redirectto": draw(st.none() | st.just("com.test.desk")),
        "accesscontrol": draw(st.none() | st.just("all")),
        "executionunits": draw(st.none() | st.integers(0, 3)),
        "traceparent": draw(st.none() | st.just("00-1-2-01")),
    }


# What an asker sees of it: "violated" and why (by class), "failed" and the reason, or the events.
Seen: TypeAlias = tuple[str, Any]


@frozen
class Watched:
    """Runs one event at a time, and keeps what is said and asked on the way."""

    system: System
    logs: list[Log] = field(factory=list)
    asked: list[str] = field(factory=list)

    def run(self, event: Event[Any]) -> Seen:
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
        self.asked.append(key)
        if key.endswith("8"):
            raise ConnectionError(f"down at {key}")
        return len(key)


def _relayed(watched: Watched, handlers: Any, payload: Asked, envelope: dict[str, Any]) -> Seen:
    """Ask the first; ask the second with each answer that it takes; stop at what goes wrong."""
    first, second = handlers
    kind, seen = watched.run(first.contract["1.0.0"].accepts(payload, **envelope))
    if kind != "answered":
        return kind, seen
    answers: list[Event[Any]] = []
    for answer in seen:
        if not isinstance(answer.data, Handed):
            answers.append(answer)
            continue
        request = second.contract["2.0.0"].accepts(
            answer.data,
            **{
                **envelope,
                "id": answer.id,
                "redirectto": answer.redirectto or envelope["redirectto"],
                "accesscontrol": answer.accesscontrol,
                "executionunits": answer.executionunits,
                "extensions": answer.extensions,
            },
        )
        kind, seen = watched.run(request)
        if kind != "answered":
            return kind, seen
        answers += seen
    return "answered", answers


def _told(seen: Seen) -> Seen:
    kind, told = seen
    if kind != "answered":
        return seen
    # Who sent it, by which contract and with what id is what differs.
    names = ("id", "parentid", "source", "dataschema")
    return kind, [
        {key: value for key, value in event.to_dict().items() if key not in names} for event in told
    ]


@given(_handlers(), st.integers(0, 5).map(Asked), _envelopes())
def test_a_fused_handler_answers_as_the_two_in_a_system(
    handlers: tuple[EventHandler[Any], EventHandler[Any]], payload: Asked, envelope: dict[str, Any]
) -> None:
    """Whoever asks need not know, and pays for one step where there were two and a round trip."""
    first, second = handlers
    fused = fuse(first, second, uri="#/fused")
    apart, together = Watched(System(handlers)), Watched(System([fused]))

    expected = _told(_relayed(apart, handlers, payload, envelope))
    saw_apart = [_seen_by(handler) for handler in handlers]
    got = _told(together.run(fused.contract["1.0.0"].accepts(payload, **envelope)))

    note(f"{expected[0]}, asked {min(len(apart.asked), 2)}")
    assert got == expected
    assert together.asked == apart.asked
    assert [_seen_by(handler) for handler in handlers] == saw_apart
    if expected[0] != "violated":
        assert together.logs == apart.logs


def _seen_by(handler: EventHandler[Any]) -> list[Any]:
    """Tell what events a handler's script saw since it was last asked, each once."""
    [script] = handler.functions.values()
    assert isinstance(script, Script)
    distinct = [each for n, each in enumerate(script.seen) if each not in script.seen[:n]]
    script.seen.clear()
    return distinct
