"""Laws of flows: a replay is the flow, whatever it does and in whatever order it is told."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TypeAlias

import orjson
from attrs import frozen
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Success

from arvo import (
    CallFailed,
    Commit,
    Contract,
    Event,
    Flow,
    FlowHandler,
    OrchestratorContract,
    Record,
    ServiceFailed,
    Stamp,
    System,
    SystemFault,
    Version,
    Workflow,
    ask,
    call,
    compensate_with,
    decide,
    fail,
    flow,
    gather,
    race,
    sleep,
    stamping,
    tell,
    wait_for,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@frozen
class Ask:
    n: int


@frozen
class Answer:
    n: int


@frozen
class Said:
    n: int


@frozen
class Begin:
    n: int


@frozen
class Done:
    said: str


service = Contract(
    uri="#/laws/service",
    type="com.laws.service",
    versions={"1.0.0": Version(accepts=Ask, emits={"evt.laws.answer": Answer})},
)["1.0.0"]
signal = Contract(
    uri="#/laws/signal", type="com.laws.signal", versions={"1.0.0": Version(accepts=Said)}
)["1.0.0"]
workflow = OrchestratorContract(
    uri="#/laws/workflow",
    name="laws.workflow",
    versions={"1.0.0": Workflow(init=Begin, complete=Done)},
)


def double(n: int) -> int:
    """The effect that the flows ask for; answered from a table."""
    raise NotImplementedError(n)


def doubled(n: int) -> int:
    """Answer it, now and then by an exception."""
    if n == 3:
        raise LookupError("three")
    return 2 * n


# A program: a word with a number, several one after the other, side by side, or one that is tried.
Program: TypeAlias = tuple[str, Any]

_WORDS = st.tuples(
    st.sampled_from(["ask", "sleep", "emit", "undo", "call", "hear", "hear soon", "fail"]),
    st.integers(0, 4),
)
_PARTS = st.recursive(
    _WORDS,
    lambda inner: st.one_of(
        st.tuples(st.just("seq"), st.lists(inner, max_size=4)),
        st.tuples(st.sampled_from(["gather", "race"]), st.lists(inner, min_size=1, max_size=3)),
        st.tuples(st.just("try"), inner),
    ),
    max_leaves=10,
)
PROGRAMS: st.SearchStrategy[Program] = st.tuples(
    st.just("seq"), st.lists(_PARTS, min_size=1, max_size=5)
)


def play(program: Program) -> Flow[str]:
    """Do what a program says, and say what came of it."""
    word, what = program
    match word:
        case "seq":
            said = []
            for each in what:
                said += [(yield from play(each))]
            return f"[{' '.join(said)}]"
        case "gather":
            return f"({' '.join((yield from gather(*map(play, what))))})"
        case "race":
            return (yield from race(*map(play, what)))
        case "try":
            try:
                return (yield from play(what))
            except (ServiceFailed, CallFailed) as caught:
                return f"<{caught}>"
        case _:
            return str((yield from _play_word(word, what)))


def _play_word(word: str, number: int) -> Flow[Any]:
    match word:
        case "ask":
            return (yield from ask(Ask(number), Answer)).n
        case "sleep":
            return (yield from sleep(number))
        case "emit":
            return (yield from tell(Ask(number)))
        case "undo":
            return (yield from compensate_with(Ask(100 + number)))
        case "call":
            return (yield from call(double, number))
        case "hear":
            return (yield from wait_for(Said, where=lambda it: it.n != number))
        case "hear soon":
            return (yield from wait_for(Said, deadline=number))
        case _:
            return fail("drawn") if number == 0 else None


def handler_of(program: Program) -> FlowHandler[Begin, Done]:
    """Make a workflow of a program."""

    @flow(workflow, "1.0.0", services=[service], signals=[signal])
    def played(event: Event[Begin]) -> Flow[Done]:
        return Done((yield from play(program)))

    return played


@frozen
class Delivery:
    """Something that may be delivered, and the time before which it must not be."""

    event: Event[Any]
    at: datetime = NOW


def begin() -> Event[Begin]:
    """The event that begins a workflow, always the same."""
    with stamping(lambda: Stamp("begin", NOW.isoformat(timespec="milliseconds"))):
        return workflow["1.0.0"].init(Begin(0), source="com.laws.client")


def signals() -> Iterator[Delivery]:
    """A few things that are said from outside."""
    root = begin()
    for n in (0, 1, 2, 2):
        yield Delivery(
            signal.accepts(
                Said(n),
                source="com.laws.client",
                id=f"s{n}{id(n)}",
                time=NOW,
                subject=root.subject,
                to=workflow.type,
            )
        )


def reply_to(event: Event[Any]) -> Delivery | None:
    """What a service answers: a number, or an error."""
    if event.type != service.type:
        return None
    common: dict[str, Any] = {
        "source": service.type,
        "id": f"re-{event.id}",
        "time": NOW,
        "subject": event.subject,
        "parentid": event.id,
        "to": event.redirectto,
    }
    if event.data.n == 4:
        fault = SystemFault(errorName="Down", errorMessage="four")
        return Delivery(service.system_error(fault, **common))
    return Delivery(service.emits(Answer(event.data.n), **common))


@frozen
class Told:
    """One step of a play: what was delivered, on which record, and what came of it."""

    event: Event[Any]
    before: Record | None
    now: datetime
    commit: Commit


def told(system: System, choices: list[int], *, again: bool = False) -> list[Told]:
    """Deliver replies, timers and signals in a drawn order; *again*: each of them twice."""
    waiting = [Delivery(begin())]
    outside = list(signals())
    record: Record | None = None
    now, steps = NOW, list[Told]()
    for choice in choices:
        if not waiting:
            break
        # The first event begins the workflow; whatever else there is comes in any order.
        chosen = waiting.pop(choice % len(waiting))
        now = max(now, chosen.at)
        for _ in range(2 if again else 1):
            decided = decide(system, chosen.event, record, now=now, effects={double: doubled})
            assert isinstance(decided, Success), decided
            commit = decided.unwrap()
            steps.append(Told(chosen.event, record, now, commit))
            record = commit.record or record
            waiting += (each for each in map(reply_to, commit.events) if each is not None)
            waiting += (Delivery(timer.event, timer.due) for timer in commit.timers)
        waiting += outside
        outside = []
    return steps


CHOICES = st.lists(st.integers(0, 7), min_size=10, max_size=30)


@given(PROGRAMS, CHOICES)
def test_a_flow_replayed_from_its_record_wants_the_same(
    program: Program, choices: list[int]
) -> None:
    """At every prefix of its history: after a kill, another process goes on as this one would."""
    handler = handler_of(program)
    system = System([handler])

    steps = told(system, choices)

    note(f"steps: {len(steps) // 5 * 5}")
    note(f"status: {steps[-1].commit.outcome}")
    for each in steps:
        handler.live.clear()
        stored = None if each.before is None else _stored(each.before)
        again = decide(system, each.event, stored, now=each.now, effects={double: doubled})
        assert again == Success(each.commit)


@given(PROGRAMS, CHOICES)
def test_a_flow_hears_each_event_once(program: Program, choices: list[int]) -> None:
    """I2, I7, B05, B06: whatever is delivered twice, timers too, has been heard once."""
    system = System([handler_of(program)])

    steps = told(system, choices, again=True)

    for first, second in zip(steps[::2], steps[1::2], strict=True):
        if first.event.type == signal.type or second.commit.record is None:
            # The inbox of a backend knows a signal by its id; a record does not.
            continue
        before, after = first.commit.record, second.commit.record
        assert before is not None
        assert (after.journal, after.state, after.status) == (
            before.journal,
            before.state,
            before.status,
        )
        assert second.commit.events == ()


@given(PROGRAMS, CHOICES)
def test_a_timer_that_is_not_waited_for_is_not_in_the_record(
    program: Program, choices: list[int]
) -> None:
    """What a flow waits for and what its record waits for are the same."""
    handler = handler_of(program)

    steps = told(System([handler]), choices)

    for each in steps:
        record = each.commit.record
        if record is None or record.status != "active":
            continue
        view = handler.query(record)
        naps = [said for said in view.waiting if said.startswith("sleep") or ", 0:" in said]
        assert len(record.timers) == len(naps)
        asked = [said for said in view.waiting if said.startswith("ask")]
        assert len(asked) <= len(record.unanswered)


@given(PROGRAMS, CHOICES)
def test_undos_are_sent_last_first_and_only_when_a_flow_fails(
    program: Program, choices: list[int]
) -> None:
    """In reverse order of the steps they undo, each once."""
    handler = handler_of(program)

    steps = told(System([handler]), choices)

    remembered: tuple[int, ...] = ()
    for each in steps:
        record = each.commit.record
        if record is None:
            continue
        sent = [
            event.data.n
            for event in each.commit.events
            if event.type == service.type and event.data.n >= 100
        ]
        if record.status == "failed":
            undone = tuple(reversed(sent))
            assert undone[: len(remembered)] == remembered
            assert record.compensations == ()
        else:
            assert sent == []
            remembered = tuple(undo["data"]["n"] for undo in record.compensations)


def _stored(record: Record) -> Record:
    return Record.from_dict(orjson.loads(orjson.dumps(record.to_dict())))
