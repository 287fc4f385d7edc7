"""Wrong arguments: whatever a caller passes that no type checker reads, an error names it."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from arvo import (
    Client,
    Contract,
    Effects,
    Emit,
    Event,
    EventHandler,
    Fail,
    Flow,
    HandlerPolicy,
    Machine,
    Orchestrator,
    OrchestratorContract,
    Resumable,
    Retention,
    Retry,
    Runtime,
    Schedule,
    SimpleContract,
    Subject,
    System,
    Version,
    Violated,
    Workflow,
    ZodSchema,
    flow,
    run,
    service,
    sleep,
    workflow,
)
from arvo.console import console, read_only
from arvo.console.requests.access import scope_user
from arvo.http import asgi_app
from arvo.telemetry import observe


@frozen
class Number:
    value: int


def check(request: Number) -> Number:
    return request


def wait(request: Any) -> Flow[Number]:
    yield from sleep(1)
    return Number(1)


def wait_for(request: Number) -> Flow[Number]:
    yield from sleep(request.value)
    return request


def returning(command: object) -> EventHandler[Number]:
    def handle(_: Event[Number]) -> Any:
        return command

    return EventHandler(numbers, {"1.0.0": handle})


def answer_with(make: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that makes a command, and runs a handler that returns it."""
    return lambda **arguments: run(System([returning(make(**arguments))]), event)


def afresh(argument: Any) -> Any:
    """Return a runtime for its system, as each is observed once; others as they are."""
    return Runtime(argument, "memory:") if argument is SYSTEM else argument


VERSION: Version[Number] = Version(accepts=Number, emits={"evt.number": Number})
numbers = Contract(uri="#/numbers", type="com.numbers", versions={"1.0.0": VERSION})
order = OrchestratorContract(
    uri="#/order", name="order", versions={"1.0.0": Workflow(init=Number, complete=Number)}
)
machine = Machine.from_xstate(
    {"id": "order", "initial": "a", "states": {"a": {"type": "final"}}}, contract=order["1.0.0"]
)
handler = returning(None)
event = numbers["1.0.0"].accepts(Number(1), source="com.shop.web")
check_service = service("com.check")(check)
SYSTEM = System([handler])
TEXTS: dict[str, object] = {"domain": None, "description": None, "metadata": {}}
POLICY: dict[str, object] = {"retry": None, "on_error": "fail"}
TIMED: dict[str, object] = {**POLICY, "timeout": None}
LISTS: dict[str, object] = {"services": [], "signals": []}
EMITTED: dict[str, object] = dict.fromkeys(
    ("id", "to", "redirectto", "accesscontrol", "executionunits")
)
ENVELOPE: dict[str, object] = {
    **EMITTED,
    "source": "com.shop.web",
    "domain": None,
    "time": None,
    "extensions": {},
}
# Each function of the table, and arguments that it takes: one of them at a time is replaced.
FUNCTIONS: dict[str, tuple[Callable[..., Any], Mapping[str, Any]]] = {
    "Contract": (
        Contract,
        {"uri": "#/a", "type": "com.a", "versions": {"1.0.0": VERSION}, **TEXTS},
    ),
    "Version": (
        lambda **it: Contract(uri="#/a", type="com.a", versions={"1.0.0": Version(**it)}),
        {"accepts": Number, "emits": {"evt.a": Number}},
    ),
    "SimpleContract": (
        SimpleContract,
        {"uri": "#/a", "type": "a.b", "versions": {"1.0.0": Version(accepts=Number, emits=Number)}}
        | TEXTS,
    ),
    "OrchestratorContract": (
        OrchestratorContract,
        {"uri": "#/a", "name": "a", "versions": {"1.0.0": Workflow(init=Number, complete=Number)}}
        | TEXTS,
    ),
    "Workflow": (
        lambda **it: OrchestratorContract(uri="#/a", name="a", versions={"1.0.0": Workflow(**it)}),
        {"init": Number, "complete": Number},
    ),
    "Contract.version": (numbers.version, {"version": "1.0.0"}),
    "Contract.from_json_schema": (Contract.from_json_schema, {"document": {}, "unknown": None}),
    "EventHandler": (
        EventHandler,
        {"contract": numbers, "functions": {"1.0.0": check}, "executionunits": 0} | TIMED,
    ),
    "Resumable": (
        Resumable,
        {"contract": order, "functions": {"1.0.0": check}, "executionunits": 0} | LISTS | TIMED,
    ),
    "Orchestrator": (Orchestrator, {"machines": [machine], "executionunits": 0} | POLICY),
    "flow": (
        lambda **it: flow(it.pop("contract"), it.pop("version"), **it)(wait),
        {"contract": order, "version": "1.0.0", "executionunits": 0} | LISTS | TIMED,
    ),
    "service": (
        lambda **it: service(it.pop("type"), **it)(check),
        {"type": "com.check", "version": "1.0.0", "emits": {}, "uri": None, "earlier": None}
        | {"executionunits": 0, **TIMED},
    ),
    "@service": (service("com.check"), {"function": check}),
    "workflow": (
        lambda **it: workflow(it.pop("name"), **it)(wait_for),
        {"name": "wait", "version": "1.0.0", "earlier": None, "executionunits": 0} | LISTS | TIMED,
    ),
    "@workflow": (workflow("wait"), {"function": wait_for}),
    "System": (System, {"handlers": [handler], "remote": [], "stacks": False}),
    "Runtime": (
        Runtime,
        {"system": System([handler]), "backend": "memory:", "prefetch": 1, "grace": None}
        | {"middleware": [], "retry": Retry()},
    ),
    "Client": (Client, {"system": System([handler]), "backend": "memory:"}),
    "Retry": (Retry, {"attempts": 5, "delay": 0.1}),
    "HandlerPolicy": (HandlerPolicy, TIMED),
    "Retention": (
        Retention,
        {"inbox": None, "finished": None, "history": None, "dead_letters": None, "audit": None}
        | {"dead_letters_max": 5},
    ),
    "asgi_app": (
        asgi_app,
        {"runtime": Runtime(System([handler]), "memory:"), "allow": None, "secrets": None},
    ),
    "console": (
        console,
        {"client": Client(System([handler]), "memory:"), "user": scope_user, "allow": read_only}
        | {"backend": "", "label": ""},
    ),
    "observe": (
        lambda **it: observe(afresh(it.pop("runtime")), **it),
        {"runtime": SYSTEM, "baggage": (), "waits": 1.0}
        | dict.fromkeys(("tracer_provider", "meter_provider", "join", "attributes", "payloads"))
        | {"enduser": None, "reference_attributes": False, "gauges": True, "logs": False},
    ),
    "ZodSchema": (ZodSchema, {"schema": {}, "strips": True}),
    "accepts": (
        lambda **it: numbers["1.0.0"].accepts(it.pop("payload"), **it),
        {"payload": Number(1), "subject": None, "parentid": None, **ENVELOPE},
    ),
    "init": (
        lambda **it: order["1.0.0"].init(it.pop("payload"), **it),
        {"payload": Number(1), "workflow_id": None, "parent": None, "id_reuse_policy": None}
        | ENVELOPE,
    ),
    "Event.parse": (Event.parse, {"text": "{}"}),
    "Event.from_dict": (Event.from_dict, {"content": {}}),
    "Subject.parse": (Subject.parse, {"text": str(event.subject)}),
    "Subject.new": (
        Subject.new,
        {"orchestrator": "com.a.b", "version": "1.0.0", "initiator": "com.a.b", "domain": None}
        | {"meta": {}, "id": None},
    ),
    "run": (
        lambda **it: run(it["system"], it["event"]),
        {"system": System([handler]), "event": event},
    ),
    "Emit": (
        answer_with(lambda **it: Emit(it.pop("payload"), **it)),
        {"payload": Number(1), "type": None, "domain": (), "workflow_id": None, "extensions": {}}
        | EMITTED,
    ),
    "Fail": (
        answer_with(Fail),
        {"reason": "closed", "name": "Fail", "stack": None, "executionunits": None},
    ),
    "Schedule": (answer_with(Schedule), {"name": "due", "after": 1, "payload": None}),
    "a handler": (answer_with(lambda command: command), {"command": None}),
}


def plain() -> Effects[None]:
    yield from ()


WRONG = st.sampled_from(
    (
        *(None, 5, -1, 0.5, float("nan"), True, "", "x", b"x", "arvo.orc.x", timedelta(1)),
        *((), [], [5], {}, {5: 5}, {"a": 5}, {"1.0.0": 5}, set(), object(), int, Number),
        *(Number(1), plain, event, handler),
    )
)


@pytest.mark.parametrize("name", FUNCTIONS)
@given(data=st.data())
def test_a_wrong_argument_is_refused_by_name(name: str, data: st.DataObject) -> None:
    """Another exception would tell where our code tripped, and not what to change."""
    function, arguments = FUNCTIONS[name]
    argument = data.draw(st.sampled_from(sorted(arguments)))
    value = data.draw(WRONG)

    try:
        function(**{**arguments, argument: value})
    except Violated as violated:
        assert violated.violation.issues
