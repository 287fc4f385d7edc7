"""Laws of flows: a replay equals the flow, for every flow and every order of events."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TypeAlias

import orjson
import pytest
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
class Note:
    n: int


@frozen
class Begin:
    n: int


@frozen
class Done:
    text: str


service = Contract(
    uri="#/laws/service",
    type="com.laws.service",
    versions={"1.0.0": Version(accepts=Ask, emits={"evt.laws.answer": Answer})},
)["1.0.0"]
signal = Contract(
    uri="#/laws/signal", type="com.laws.signal", versions={"1.0.0": Version(accepts=Note)}
)["1.0.0"]
workflow = OrchestratorContract(
    uri="#/laws/workflow",
    name="laws.workflow",
    versions={"1.0.0": Workflow(init=Begin, complete=Done)},
)


def double(n: int) -> int:
    """The effect that the flows ask for; the tests replace it."""
    raise NotImplementedError(n)


def doubled(n: int) -> int:
    """Return the double, or raise for one number."""
    if n == 3:
        raise LookupError("three")
    return 2 * n


# A program: an operation with a number, or a sequence, `gather`, `race` or `try` of programs.
Program: TypeAlias = tuple[str, Any]

_OPERATIONS = st.tuples(
    st.sampled_from(["ask", "sleep", "tell", "compensate", "call", "wait", "wait until", "fail"]),
    st.integers(0, 4),
)
_PARTS = st.recursive(
    _OPERATIONS,
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


def execute(program: Program) -> Flow[str]:
    """Run a program; return its results as text."""
    operation, argument = program
    match operation:
        case "seq":
            results = []
            for part in argument:
                results += [(yield from execute(part))]
            return f"[{' '.join(results)}]"
        case "gather":
            return f"({' '.join((yield from gather(*map(execute, argument))))})"
        case "race":
            return (yield from race(*map(execute, argument)))
        case "try":
            try:
                return (yield from execute(argument))
            except (ServiceFailed, CallFailed) as caught:
                return f"<{caught}>"
        case _:
            return str((yield from _perform(operation, argument)))


def _perform(operation: str, number: int) -> Flow[Any]:
    match operation:
        case "ask":
            return (yield from ask(Ask(number), Answer)).n
        case "sleep":
            return (yield from sleep(number))
        case "tell":
            return (yield from tell(Ask(number)))
        case "compensate":
            return (yield from compensate_with(Ask(100 + number)))
        case "call":
            return (yield from call(double, number))
        case "wait":
            return (yield from wait_for(Note, where=lambda it: it.n != number))
        case "wait until":
            return (yield from wait_for(Note, deadline=number))
        case _:
            return fail("drawn") if number == 0 else None


def make_handler(program: Program) -> FlowHandler[Begin, Done]:
    """Make a workflow that runs a program."""

    @flow(workflow, "1.0.0", services=[service], signals=[signal])
    def run_program(event: Event[Begin]) -> Flow[Done]:
        return Done((yield from execute(program)))

    return run_program


@frozen
class Delivery:
    """An event to deliver, not before *at*."""

    event: Event[Any]
    at: datetime = NOW


def begin() -> Event[Begin]:
    """Return the event that begins the workflow, always the same."""
    with stamping(lambda: Stamp("begin", NOW.isoformat(timespec="milliseconds"))):
        return workflow["1.0.0"].init(Begin(0), source="com.laws.client")


def signals() -> Iterator[Delivery]:
    """Yield a few signals."""
    root = begin()
    for n in (0, 1, 2, 2):
        yield Delivery(
            signal.accepts(
                Note(n),
                source="com.laws.client",
                id=f"s{n}{id(n)}",
                time=NOW,
                subject=root.subject,
                to=workflow.type,
            )
        )


def reply_to(event: Event[Any]) -> Delivery | None:
    """Return the reply of the service: a number, or a system error."""
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
class Step:
    """One step: the delivered event, the record before it, and the commit."""

    event: Event[Any]
    before: Record | None
    now: datetime
    commit: Commit


def run_steps(system: System, choices: list[int], *, again: bool = False) -> list[Step]:
    """Deliver replies, timers and signals in a drawn order; *again*: each twice."""
    waiting = [Delivery(begin())]
    outside = list(signals())
    record: Record | None = None
    now, steps = NOW, list[Step]()
    for choice in choices:
        if not waiting:
            break
        # The first event begins the workflow; the others are delivered in any order.
        chosen = waiting.pop(choice % len(waiting))
        now = max(now, chosen.at)
        for _ in range(2 if again else 1):
            decided = decide(system, chosen.event, record, now=now, effects={double: doubled})
            assert isinstance(decided, Success), decided
            commit = decided.unwrap()
            steps.append(Step(chosen.event, record, now, commit))
            record = commit.record or record
            waiting += filter(None, map(reply_to, commit.events))
            waiting += (Delivery(timer.event, timer.due) for timer in commit.timers)
        waiting += outside
        outside = []
    return steps


CHOICES = st.lists(st.integers(0, 7), min_size=10, max_size=30)


@given(PROGRAMS, CHOICES)
def test_a_flow_replayed_from_its_record_takes_the_same_step(
    program: Program, choices: list[int]
) -> None:
    """After a crash at any point, another process continues as this one would."""
    handler = make_handler(program)
    system = System([handler])

    steps = run_steps(system, choices)

    note(f"steps: {len(steps) // 5 * 5}")
    note(f"status: {steps[-1].commit.outcome}")
    for taken in steps:
        handler.cache.clear()
        stored = None if taken.before is None else _stored(taken.before)
        again = decide(system, taken.event, stored, now=taken.now, effects={double: doubled})
        assert again == Success(taken.commit)


@pytest.mark.promise("I2", "I7")
@given(PROGRAMS, CHOICES)
def test_a_flow_receives_each_event_once(program: Program, choices: list[int]) -> None:
    """I2, I7; B05, B06, redelivered events: a second delivery of any event changes nothing."""
    system = System([make_handler(program)])

    steps = run_steps(system, choices, again=True)

    for first, second in zip(steps[::2], steps[1::2], strict=True):
        if first.event.type == signal.type or second.commit.record is None:
            # A backend detects a duplicate signal by its id, in the inbox; a record cannot.
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
def test_the_record_holds_exactly_the_timers_and_the_requests_that_the_flow_waits_for(
    program: Program, choices: list[int]
) -> None:
    """A `tell` waits for no reply, and a flow that has ended or failed waits for nothing."""
    handler = make_handler(program)

    steps = run_steps(System([handler]), choices)

    for taken in steps:
        record = taken.commit.record
        if record is None:
            continue
        if record.status != "active":
            assert record.open_requests == ()
            continue
        view = handler.query(record)
        delays = [line for line in view.waiting if line.startswith("sleep") or ", 0:" in line]
        assert len(record.timers) == len(delays)
        requests = [line for line in view.waiting if line.startswith("ask")]
        assert len(requests) == len(record.open_requests)


@given(PROGRAMS, CHOICES)
def test_compensations_are_sent_last_first_and_only_when_a_flow_fails(
    program: Program, choices: list[int]
) -> None:
    """In reverse order of the steps that they compensate, each once."""
    handler = make_handler(program)

    steps = run_steps(System([handler]), choices)

    registered: tuple[int, ...] = ()
    for taken in steps:
        record = taken.commit.record
        if record is None:
            continue
        sent = [
            event.data.n
            for event in taken.commit.events
            if event.type == service.type and event.data.n >= 100
        ]
        if record.late_replies:
            # It has failed before, and keeps a reply.
            assert sent == []
        elif record.status == "failed":
            compensated = tuple(reversed(sent))
            assert compensated[: len(registered)] == registered
            assert record.compensations == ()
        else:
            assert sent == []
            registered = tuple(entry["data"]["n"] for entry in record.compensations)


def _stored(record: Record) -> Record:
    return Record.from_dict(orjson.loads(orjson.dumps(record.to_dict())))
