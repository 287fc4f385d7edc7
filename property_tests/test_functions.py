"""Laws of decorated functions: they make the contracts and handlers that one would write out."""

import re
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st

from arvo import (
    Contract,
    Emit,
    EventHandler,
    OrchestratorContract,
    System,
    Version,
    Workflow,
    run,
    service,
    workflow,
)
from arvo.core.events.envelope import is_event_type

WORDS = st.from_regex(re.compile("[A-Za-z0-9]{1,6}"), fullmatch=True)
CLASS_NAMES = st.lists(WORDS, min_size=1, max_size=4).map(
    lambda words: "C" + "".join(word.capitalize() for word in words)
)
SEGMENTS = st.from_regex(re.compile("[a-z0-9]{1,6}"), fullmatch=True)
TYPES = st.lists(SEGMENTS, min_size=2, max_size=4).map(lambda it: ".".join(["com", *it]))


def make_class(name: str) -> type[Any]:
    return attrs.make_class(name, {"number": attrs.field(type=int)}, frozen=True)


CLASSES = st.lists(CLASS_NAMES, min_size=1, max_size=4, unique_by=str.lower).map(
    lambda names: [make_class(name) for name in names]
)


def annotated(accepts: type[Any], returns: list[type[Any]]) -> Any:
    """Return a function that answers with the class that its payload's number points to."""

    def function(request: Any) -> Any:
        return returns[request.number % len(returns)](request.number)

    union: Any = returns[0]
    for kind in returns[1:]:
        union = union | kind
    function.__annotations__ = {"request": accepts, "return": union}
    return function


@given(TYPES, CLASS_NAMES.map(make_class), CLASSES, st.integers(0, 100))
def test_a_function_is_the_handler_that_is_written_out(
    type_: str, accepts: type[Any], returns: list[type[Any]], number: int
) -> None:
    function = annotated(accepts, returns)
    made = service(type_)(function)
    emits: dict[str, Any] = {name: payload.type for name, payload in made["1.0.0"].emitted.items()}
    contract = Contract(
        uri="#/" + type_.replace(".", "/"),
        type=type_,
        versions={"1.0.0": Version(accepts=accepts, emits=emits)},
    )
    written = EventHandler(contract, {"1.0.0": lambda event: Emit(function(event.data))})

    assert made.contract == contract
    assert list(emits.values()) == returns
    assert all(is_event_type(name) and name.startswith(f"evt.{type_}.") for name in emits)
    event = contract["1.0.0"].accepts(accepts(number), source="com.test.caller")
    assert run(System([made]), event).answers == run(System([written]), event).answers


@given(TYPES, CLASS_NAMES.map(make_class), CLASSES)
def test_a_workflow_has_the_contract_that_is_written_out(
    name: str, init: type[Any], classes: list[type[Any]]
) -> None:
    complete = classes[0]
    made = workflow(name)(annotated(init, [complete]))
    assert made.contract == OrchestratorContract(
        uri=f"#/arvo/orc/{name.replace('.', '/')}",
        name=name,
        versions={"1.0.0": Workflow(init=init, complete=complete)},
    )
