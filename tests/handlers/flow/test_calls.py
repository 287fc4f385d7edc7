"""Advance: the calls of a flow, and their recorded results."""

from typing import Any

from attrs import frozen

from arvo import (
    CallFailed,
    Commit,
    Event,
    Flow,
    Perform,
    Performed,
    System,
    call,
    gather,
    run,
    step,
)
from tests.handlers.flow.flows import (
    charge,
    make_flow,
    rate,
)
from tests.shop import (
    NOW,
    CardCharged,
    OrderFulfilled,
    PlaceOrder,
    expect_commit,
    order_request,
    reply_to,
)


@frozen
class Rate:
    currency: str
    value: float


def typed_rate(currency: str) -> Rate:
    raise AssertionError(currency)


def test_the_result_of_a_call_is_recorded() -> None:
    """A replay does not call the function again, and returns the declared class."""
    called: list[str] = []

    def fetch(currency: str) -> Rate:
        called.append(currency)
        return Rate(currency, 1.5)

    def convert(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        result = yield from call(typed_rate, "EUR")
        yield from charge(event)
        return OrderFulfilled(f"{result.currency} {result.value}")

    handler = make_flow(convert)
    system = System([handler])
    begun = run(system, order_request(), effects={typed_rate: fetch})
    handler.cache.clear()
    request = begun.commits[0].events[0]
    rest = expect_commit(system, reply_to(request, CardCharged("r")), begun.commits[0].record)

    assert rest.events[0].data == OrderFulfilled("EUR 1.5")
    assert called == ["EUR"]


def test_the_exception_of_a_call_is_raised_in_the_flow_and_recorded() -> None:
    """The first run and a replay raise equal exceptions."""

    def fetch(currency: str) -> float:
        raise TimeoutError("no route")

    def convert(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        try:
            yield from call(rate, "EUR")
        except CallFailed as failed:
            why = f"{failed.name}: {failed.message}"
        yield from charge(event)
        return OrderFulfilled(why)

    handler = make_flow(convert)
    system = System([handler])
    begun = run(system, order_request(), effects={rate: fetch}).commits[0]
    handler.cache.clear()
    rest = expect_commit(system, reply_to(begun.events[0], CardCharged("r")), begun.record)

    assert rest.events[0].data == OrderFulfilled("TimeoutError: no route")


def test_a_result_that_cannot_be_recorded_is_refused() -> None:
    """It must be JSON, or fit the annotation."""

    def convert(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from call(rate, "EUR")
        raise AssertionError

    trace = run(System([make_flow(convert)]), order_request(), effects={rate: lambda _: object()})

    (violation,) = trace.violations
    assert "a flow cannot record this result" in str(violation)


def test_several_calls_of_a_turn_are_performed_one_after_the_other_and_once() -> None:
    """The flow continues from each call, and is not started again."""
    starts: list[str] = []

    def convert(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        starts.append("started")
        first, second = yield from gather(call(rate, "EUR"), call(rate, "USD"))
        third = yield from call(rate, "JPY")
        return OrderFulfilled(f"{first} {second} {third}")

    system = System([make_flow(convert)])
    performed: list[Performed] = []
    while isinstance(
        stepped := step(system, order_request(), None, now=NOW, performed=performed).unwrap(),
        Perform,
    ):
        performed.append(Performed(stepped, value=float(len(performed))))

    assert stepped.events[0].data == OrderFulfilled("0.0 1.0 2.0")
    assert starts == ["started"]


def test_an_effect_belongs_to_the_event_of_its_turn() -> None:
    """A step depends on its arguments alone, not on the steps before it."""

    def convert(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from call(rate, "EUR")
        return OrderFulfilled(str(event.data.amount))

    system = System([make_flow(convert)])
    effect = step(system, order_request(amount=1.0), None, now=NOW).unwrap()
    assert isinstance(effect, Perform)

    result = step(
        system, order_request(amount=2.0), None, now=NOW, performed=[Performed(effect, 1.0)]
    ).unwrap()

    assert isinstance(result, Commit)
    assert result.events[0].data == OrderFulfilled("2.0")


class Column:
    """Compares item by item, as a NumPy array does."""

    def __eq__(self, other: object) -> Any:
        return Column()

    def __bool__(self) -> bool:
        raise ValueError("which of them?")

    __hash__ = None  # type: ignore[assignment]


def sums(column: Column) -> float:
    raise AssertionError(column)


def test_an_argument_that_cannot_be_compared_is_matched_by_its_text() -> None:
    """A NumPy array raises when it is compared as one value."""

    def convert(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        total = yield from call(sums, Column())
        return OrderFulfilled(str(total))

    handler = make_flow(convert)
    effect = step(System([handler]), order_request(), None, now=NOW).unwrap()
    assert isinstance(effect, Perform)
    handler.cache.clear()
    done = step(
        System([handler]), order_request(), None, now=NOW, performed=[Performed(effect, 1.5)]
    ).unwrap()

    assert isinstance(done, Commit)
    assert done.events[0].data == OrderFulfilled("1.5")
