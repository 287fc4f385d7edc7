"""Pure: the cost of steps and events without I/O, each with the orjson round trip of its event.

`benchmarks.table` prints them beside other libraries, `benchmarks.check` compares two commits.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final

import orjson
from attrs import frozen

from arvo import (
    Commit,
    Contract,
    Emit,
    Event,
    OrchestratorContract,
    Record,
    Resumable,
    Subject,
    System,
    Turn,
    Version,
    Workflow,
)
from arvo.engine.step.step import step_plain
from arvo.statechart import Chart, State, Transition, assign, initial, transition
from arvo.statechart import Event as ChartEvent
from benchmarks import orchestrator
from benchmarks.shop import (
    NOW,
    CardCharged,
    ChargeCard,
    OrderPaid,
    PlaceOrder,
    charge,
    order,
    reply,
    system,
)

RUN: Final = str(Subject.new("arvo.orc.order", "1.0.0", initiator="com.shop.web", id="run-1"))

Call = Callable[[], object]


def rows() -> Iterator[tuple[str, Call, Call]]:
    """Yield the name of each row, its function, and the orjson round trip to compare it with."""
    event, small = charge_event(), small_trip()
    yield "event: create, serialise, parse", event_round_trip, small
    yield "event: create", charge_event, small
    text = event.to_json()
    yield "event: parse", lambda: Event.parse(text), small
    yield "subject: new and parse, cold", subject_round_trip(), small
    yield "event handler: one in, one out", event_handler(event), small
    yield "resumable: two turns", resumable(), small
    yield "orchestrator: two turns", machine(orchestrator.sequential), small
    yield "orchestrator: parallel, three turns", machine(orchestrator.parallel), small
    for services in (1, 1_000):
        yield f"resumable: first turn, {services} services", first_turn(services), small
    large = Large([f"line {number} of a large order" for number in range(3_500)])
    made = bulk["1.0.0"].accepts(large, source="com.shop.web", subject=RUN)
    yield (
        f"event of {len(made.to_json()) // 1000} KB: create, serialise, parse",
        lambda: Event.parse(
            bulk["1.0.0"].accepts(large, source="com.shop.web", subject=RUN).to_json()
        ),
        json_round_trip(made),
    )
    yield "statechart: flat", sender(flat_chart()), small
    yield "statechart: 3×3 parallel", sender(parallel_chart()), small
    yield "statechart: an `always` that loops", always_loop(), small


@frozen
class Large:
    lines: list[str]


bulk = Contract(
    uri="#/contracts/bulk",
    type="com.bulk.order",
    versions={"1.0.0": Version(accepts=Large, emits={})},
)


def charge_event() -> Event[Any]:
    return charge["1.0.0"].accepts(ChargeCard("order-42", 12.5), source="com.shop.web", subject=RUN)


def event_round_trip() -> Event[Any]:
    return Event.parse(charge_event().to_json())


@cache
def small_trip() -> Call:
    """Return the round trip of the event that most rows take."""
    return json_round_trip(charge_event())


def json_round_trip(event: Event[Any]) -> Call:
    """Return the reference: a function that reads and writes *event* with orjson alone."""
    text = event.to_json().encode()
    return lambda: orjson.dumps(orjson.loads(text))


def subject_round_trip() -> Call:
    """Return a function that makes a new subject, and then reads it as another process would."""
    number = 0

    def run() -> Subject:
        nonlocal number
        number += 1
        made = Subject.new(
            "arvo.orc.order", "1.0.0", initiator="com.shop.web", id=f"run-{number}-4b1b-9f0a"
        )
        return Subject.parse(str(made))

    return run


def event_handler(event: Event[Any]) -> Call:
    parsed = Event.parse(event.to_json())
    return lambda: _commit(system, parsed, None)


def resumable() -> Call:
    return _turns(system, order, charge, CardCharged("r"))


def machine(chart: System) -> Call:
    if chart is orchestrator.sequential:
        return _turns(chart, orchestrator.order, charge, CardCharged("r"))
    booked = orchestrator.ShipmentBooked("t")
    return _turns(chart, orchestrator.order, charge, CardCharged("r"), orchestrator.ship, booked)


def _turns(steps: System, contract: OrchestratorContract[Any, Any], *answers: Any) -> Call:
    """Return a function that takes a workflow from its first event through the given replies.

    *answers* alternate: the contract of a service, and the payload of its reply.
    """
    first = contract["1.0.0"].init(PlaceOrder("order-42", 12.5), source="com.shop.web")
    requests = _commit(steps, first, None).events
    replies = [
        reply(service, request, payload)
        for service, payload, request in zip(answers[::2], answers[1::2], requests, strict=True)
    ]
    events = [Event.parse(event.to_json()) for event in (first, *replies)]

    def run() -> Record | None:
        record: Record | None = None
        for event in events:
            record = _commit(steps, event, record).record
        return record

    finished = run()
    assert finished is not None
    assert finished.status == "done"
    return run


def first_turn(number: int) -> Call:
    """Return a function that takes the first turn of a workflow with *number* services."""
    services = [charge["1.0.0"], *(idle_service(n)["1.0.0"] for n in range(number - 1))]

    def ask(turn: Turn[Any]) -> Emit:
        return Emit(ChargeCard(turn.event.id, 1.0))

    steps = System([Resumable(wide, {"1.0.0": ask}, services=services)])
    event = wide["1.0.0"].init(PlaceOrder("order-42", 12.5), source="com.shop.web")
    return lambda: _commit(steps, event, None)


wide: OrchestratorContract[Any, Any] = OrchestratorContract(
    uri="#/orchestrators/wide",
    name="order.wide",
    versions={"1.0.0": Workflow(init=PlaceOrder, complete=OrderPaid)},
)


def idle_service(position: int) -> Contract[Any]:
    """Return a contract that differs from others in its number alone."""
    return Contract(
        uri=f"#/contracts/{position}",
        type=f"com.service.n{position}",
        versions={"1.0.0": Version(accepts={"type": "object"}, emits={})},
    )


def flat_chart() -> Chart[None]:
    """Two states that alternate."""
    return Chart(
        initial="off", states={"off": State(on={"GO": "on"}), "on": State(on={"GO": "off"})}
    )


def parallel_chart() -> Chart[None]:
    """Three regions of three levels, all of which move at each event."""
    region = State(initial="a", states={"a": _branch("b"), "b": _branch("a")})
    return Chart(type="parallel", states={f"r{number}": region for number in range(3)})


def _branch(other: str) -> State:
    inner = State(initial="z", states={"z": State()})
    return State(initial="y", states={"y": inner}, on={"GO": other})


def sender(chart: Chart[Any]) -> Call:
    """Return a function that sends one event to *chart*."""
    event = ChartEvent("GO")
    snapshot, _ = initial(chart)

    def send() -> None:
        nonlocal snapshot
        snapshot, _ = transition(chart, snapshot, event)

    return send


def always_loop() -> Call:
    """Return a function that starts a chart which never becomes stable."""
    chart = Chart(
        initial="a",
        context=0,
        states={
            "a": State(always=[Transition("b", actions=[assign(lambda context, event: 1)])]),
            "b": State(always="a"),
        },
    )
    return lambda: initial(chart)


def _commit(steps: System, event: Event[Any], record: Record | None) -> Commit:
    commit = step_plain(steps, event, record, now=NOW)
    assert isinstance(commit, Commit), commit
    return commit
