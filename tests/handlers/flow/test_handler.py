"""Flows: workflows written straight down."""

import gc
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve, frozen

from arvo import (
    CallFailed,
    Cancelled,
    Commit,
    Contract,
    Emit,
    Event,
    EventHandler,
    ExecutionViolation,
    Fail,
    Flow,
    FlowHandler,
    OrchestratorContract,
    Perform,
    Performed,
    Record,
    ServiceFailed,
    Subject,
    System,
    SystemFault,
    Trace,
    UnexpectedReply,
    Version,
    Violated,
    Workflow,
    ask,
    call,
    call_workflow,
    compensate_with,
    continue_as_new,
    fail,
    flow,
    flows,
    gather,
    migrate,
    race,
    run,
    sleep,
    step,
    tell,
    wait_for,
)
from tests.shop import (
    NOW,
    SERVICES,
    BookShipment,
    CardCharged,
    CardDeclined,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    answering,
    committed,
    order,
    paying,
    payments,
    placing,
    refused,
    shipping,
)


@frozen
class Approved:
    by: str


@frozen
class Vetoed:
    by: str


approval = Contract(
    uri="#/contracts/approval",
    type="com.approval.given",
    versions={"1.0.0": Version(accepts=Approved)},
)
veto = Contract(
    uri="#/contracts/veto", type="com.approval.vetoed", versions={"1.0.0": Version(accepts=Vetoed)}
)
SIGNALS = (approval["1.0.0"], veto["1.0.0"])

Script = Callable[[Event[PlaceOrder]], Flow[OrderFulfilled]]


def of(script: Script) -> FlowHandler[PlaceOrder, OrderFulfilled]:
    """Make a flow of the order contract out of any generator function."""
    return flow(order, "1.0.0", services=SERVICES, signals=SIGNALS)(script)


def around(script: Script, *more: Any) -> System:
    """Put a flow beside the services that it asks."""
    return System([payments, shipping, of(script), *more])


def ran(script: Script, *more: Event[Any], **options: Any) -> Trace:
    return run(around(script), placing(), *more, **options)


def answer(trace: Trace) -> Any:
    assert trace.answer is not None, trace.draw()
    return trace.answer.data


def told(record: Record | None) -> Record:
    assert record is not None
    return record


def charge(event: Event[PlaceOrder]) -> Flow[CardCharged | CardDeclined]:
    return ask(ChargeCard(event.data.order_id, event.data.amount), CardCharged, CardDeclined)


def signalling(payload: Approved | Vetoed, after: float = 0.0, key: str = "s1") -> Event[Any]:
    """Say something to the workflow of `placing` from outside, some seconds after it began."""
    contract: Contract[Any] = approval if isinstance(payload, Approved) else veto
    return contract["1.0.0"].accepts(
        payload,
        source="com.ops.desk",
        id=key,
        time=NOW + timedelta(seconds=after),
        subject=placing().subject,
        to=order.type,
    )


def test_a_flow_asks_and_completes() -> None:
    """The whole order system, written straight down."""

    def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        paid = yield from charge(event)
        if isinstance(paid, CardDeclined):
            return fail(f"payment declined: {paid.reason}")
        booked = yield from ask(BookShipment(event.data.order_id), ShipmentBooked)
        return OrderFulfilled(f"{booked.tracking} {paid.receipt}")

    assert answer(ran(fulfil)) == OrderFulfilled("t-o1 r-o1")
    declined = run(around(fulfil), placing(amount=2_000))
    assert answer(declined) == SystemFault(errorName="Fail", errorMessage="payment declined: limit")


def test_a_flow_that_asks_for_nothing_completes_at_once() -> None:
    """A generator is not required where there is nothing to wait for."""
    assert answer(ran(lambda _: OrderFulfilled("none"))) == OrderFulfilled("none")  # type: ignore[arg-type,return-value]


def test_a_function_that_is_no_generator_may_end_the_flow_as_well() -> None:
    """Whatever it raises is the flow's, and not the step's."""

    def strict(event: Event[PlaceOrder]) -> Any:
        if event.data.amount > 100:
            raise ValueError("too much")
        if event.data.amount > 10:
            return fail("much")
        if event.data.amount > 1:
            return continue_as_new(evolve(event.data, amount=1.0))
        return OrderFulfilled("little")

    said = [answer(run(around(strict), placing(amount=amount))) for amount in (1000.0, 50.0, 5.0)]

    assert said == [
        SystemFault(errorName="ValueError", errorMessage="too much"),
        SystemFault(errorName="Fail", errorMessage="much"),
        OrderFulfilled("little"),
    ]


def test_branches_run_side_by_side_and_answer_in_the_order_given() -> None:
    """Fan-out, fan-in: whichever reply comes first."""

    def both(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        booked, paid = yield from gather(
            ask(BookShipment(event.data.order_id), ShipmentBooked),
            ask(ChargeCard(event.data.order_id, 1.0), CardCharged),
        )
        return OrderFulfilled(f"{booked.tracking} {paid.receipt}")

    system = System([of(both)])
    begun = committed(system, placing())
    replies = {
        "com.shipping.book": ShipmentBooked("t"),
        "com.payment.charge": CardCharged("r"),
    }
    for asked in (begun.events, begun.events[::-1]):
        first = committed(
            system, answering(asked[0], replies[asked[0].type], key="a0"), begun.record
        )
        second = committed(
            system, answering(asked[1], replies[asked[1].type], key="a1"), first.record
        )

        assert first.events == ()
        assert [each.data for each in second.events] == [OrderFulfilled("t r")]


def test_branches_are_flows_of_their_own() -> None:
    """A branch may take as many steps as it likes."""

    def one(event: Event[PlaceOrder], wait: int) -> Flow[str]:
        yield from sleep(wait)
        paid = yield from ask(ChargeCard(f"{event.data.order_id}-{wait}", 1.0), CardCharged)
        return paid.receipt

    def many(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        receipts = yield from gather(*(one(event, wait) for wait in (3, 1, 2)))
        return OrderFulfilled(" ".join(receipts))

    assert answer(ran(many)) == OrderFulfilled("r-o1-3 r-o1-1 r-o1-2")


def test_a_branch_that_raises_ends_the_others() -> None:
    """What nobody waits for any more is not waited for; a timer is cleared."""

    def broken(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        try:
            yield from gather(charge(event), sleep(60), ask(BookShipment("x"), ShipmentBooked))
        except ServiceFailed as failed:
            return OrderFulfilled(f"{failed.service}: {failed.fault.message}")
        raise AssertionError

    def down(_: object) -> Fail:
        return Fail("out of order")

    trace = run(System([paying(down), of(broken)]), placing())

    assert answer(trace) == OrderFulfilled("com.payment.charge: out of order")
    assert trace.now == NOW


def test_a_flow_that_is_under_way_is_no_branch() -> None:
    """A generator that is given twice would be told the answers of its other self."""

    def twice(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        paying = charge(event)
        yield from gather(paying, paying)
        raise AssertionError

    assert "a flow that has not begun" in str(refused(System([of(twice)]), placing()))


def test_a_branch_that_loses_may_raise_what_it_likes_while_it_ends() -> None:
    """It has been ended; an exception that left the step would stop a worker."""

    def loser(last: Callable[[], Any]) -> Flow[None]:
        try:
            yield from sleep(60)
        finally:
            last()

    def cancelled() -> None:
        raise Cancelled("too late")

    def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        anew = lambda: continue_as_new(event.data)  # noqa: E731
        yield from race(sleep(1), loser(cancelled), loser(anew))
        return OrderFulfilled("done")

    assert answer(ran(fulfil)) == OrderFulfilled("done")


def test_a_race_of_many_timers_may_end() -> None:
    """Timers that are cleared do not count as timers that are waited for."""

    def patient(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from race(sleep(1), *(sleep(100) for _ in range(700)))
        return OrderFulfilled("done")

    assert answer(ran(patient)) == OrderFulfilled("done")


def test_a_race_is_won_by_the_first() -> None:
    """A request that may take a minute: the late reply is nobody's, and does no harm."""

    def patient(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        paid = yield from race(charge(event), sleep(60))
        return OrderFulfilled("too late" if paid is None else "in time")

    assert answer(ran(patient)) == OrderFulfilled("in time")
    assert ran(patient).now == NOW

    alone = System([of(patient)])
    trace = run(alone, placing())
    assert answer(trace) == OrderFulfilled("too late")
    assert trace.now == NOW + timedelta(seconds=60)


def test_a_late_reply_to_a_race_that_is_over_changes_nothing() -> None:
    """B07 the other way round: who lost is not collected as if it had won."""

    def patient(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from race(charge(event), sleep(60))
        yield from sleep(60)
        return OrderFulfilled("done")

    system = System([of(patient)])
    begun = committed(system, placing())
    due = begun.timers[0]
    later = step(system, due.event, begun.record, now=due.due).unwrap()
    assert isinstance(later, Commit)
    late = committed(system, answering(begun.events[0], CardCharged("r")), later.record)

    assert told(late.record).journal == told(later.record).journal
    assert told(later.record).pending_requests == {}
    assert "nobody waits" in late.logs[0].message


def test_what_was_never_sent_is_not_sent_when_its_branch_is_ended() -> None:
    """A race that is decided at once."""

    def hasty(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        def at_once() -> Flow[str]:
            yield from ()
            return "at once"

        return OrderFulfilled(str((yield from race(charge(event), sleep(9), at_once()))))

    commit = committed(System([of(hasty)]), placing())

    assert [each.type for each in commit.events] == ["arvo.orc.order.fulfil.done"]
    assert commit.timers == ()


def test_an_unexpected_reply_is_raised_where_it_is_waited_for() -> None:
    """A flow that names one reply is told of the other."""

    def narrow(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        try:
            yield from ask(ChargeCard(event.data.order_id, 2_000), CardCharged)
        except UnexpectedReply as other:
            return OrderFulfilled(f"{other.event_type} {other.reply}")
        raise AssertionError

    said = "evt.payment.declined CardDeclined(reason='limit')"
    assert answer(ran(narrow)) == OrderFulfilled(said)


def test_a_flow_that_asks_for_what_no_service_takes_is_refused() -> None:
    """Bad wiring is named, and nothing changes."""

    def lost(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from ask(CardCharged("r"))
        raise AssertionError

    assert "no event with such a payload" in str(refused(System([of(lost)]), placing()))


def test_an_exception_that_escapes_is_a_system_error() -> None:
    """Tier 2, as with every handler."""

    def broken(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from charge(event)
        raise LookupError("no stock")

    trace = ran(broken)

    assert answer(trace) == SystemFault(errorName="LookupError", errorMessage="no stock")
    assert trace.records[placing().subject].status == "failed"


def test_a_violation_that_is_raised_is_the_flows_answer() -> None:
    """Tier 3: nothing changes."""
    broken = ExecutionViolation("broken")

    def violating(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from ()
        raise Violated(broken)

    assert refused(System([of(violating)]), placing()) == broken


def test_an_event_is_emitted_without_waiting_and_once() -> None:
    """A replay does not send it again."""

    def chatty(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from tell(BookShipment("hint"))
        paid = yield from charge(event)
        return OrderFulfilled(str(paid))

    trace = ran(chatty)

    assert [each.type for each in trace.events].count("com.shipping.book") == 1


# Signals


def waiting(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    said = yield from wait_for(Approved, Vetoed, where=lambda it: it.by != "nobody", deadline=60)
    return OrderFulfilled("no answer" if said is None else f"{type(said).__name__} by {said.by}")


def test_a_flow_waits_for_a_signal() -> None:
    """An event from outside, by contract."""
    trace = ran(waiting, signalling(Approved("ann"), after=10))

    assert answer(trace) == OrderFulfilled("Approved by ann")
    assert trace.now == NOW + timedelta(seconds=10)


def test_a_signal_that_the_predicate_refuses_is_left_for_others() -> None:
    """Matched by type and predicate, with a deadline."""
    nobody = signalling(Approved("nobody"), after=10)
    trace = ran(waiting, nobody, signalling(Vetoed("bob"), after=20, key="s2"))

    assert answer(trace) == OrderFulfilled("Vetoed by bob")
    assert answer(ran(waiting, nobody)) == OrderFulfilled("no answer")


def test_a_signal_that_comes_early_waits_for_the_flow() -> None:
    """Nothing is lost because the flow was not there yet; oldest first, from the record as well."""

    def slow(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from sleep(60)
        first = yield from wait_for(Approved)
        second = yield from wait_for(Approved)
        return OrderFulfilled(f"{first.by} {second.by}")

    handler = of(slow)
    system = System([handler])
    events = [signalling(Approved("ann"), 1), signalling(Approved("bob"), 2, key="s2")]

    assert answer(run(system, placing(), *events)) == OrderFulfilled("ann bob")

    halfway = run(system, placing(), *events, until=NOW + timedelta(seconds=5))
    handler.live.clear()
    rest = run(system, signalling(Vetoed("x"), 6), records=halfway.records)
    assert rest.outside == ()
    assert rest.events[-1].data == OrderFulfilled("ann bob")


def test_a_predicate_that_raises_fails_the_flow() -> None:
    """It cannot be caught in the flow, for a replay would not meet it."""

    def wary(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        with suppress(ZeroDivisionError):
            yield from wait_for(Approved, where=lambda it: 1 / 0 > 1)
        return OrderFulfilled("never")

    trace = ran(wary, signalling(Approved("ann")))

    assert answer(trace).name == "ZeroDivisionError"


# Calls


def rate(currency: str) -> float:
    raise AssertionError(currency)


@frozen
class Rate:
    currency: str
    value: float


def typed_rate(currency: str) -> Rate:
    raise AssertionError(currency)


def test_what_a_call_returned_is_remembered() -> None:
    """A replay does not run it again, and gives back the class that the function says."""
    called: list[str] = []

    def fetch(currency: str) -> Rate:
        called.append(currency)
        return Rate(currency, 1.5)

    def convert(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        found = yield from call(typed_rate, "EUR")
        yield from charge(event)
        return OrderFulfilled(f"{found.currency} {found.value}")

    handler = of(convert)
    system = System([handler])
    begun = run(system, placing(), effects={typed_rate: fetch})
    handler.live.clear()
    asked = begun.commits[0].events[0]
    rest = committed(system, answering(asked, CardCharged("r")), begun.commits[0].record)

    assert rest.events[0].data == OrderFulfilled("EUR 1.5")
    assert called == ["EUR"]


def test_a_call_that_raises_is_raised_in_the_flow_and_remembered() -> None:
    """The same exception the first time and in a replay."""

    def fetch(currency: str) -> float:
        raise TimeoutError("no route")

    def convert(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        try:
            yield from call(rate, "EUR")
        except CallFailed as failed:
            why = f"{failed.name}: {failed.message}"
        yield from charge(event)
        return OrderFulfilled(why)

    handler = of(convert)
    system = System([handler])
    begun = run(system, placing(), effects={rate: fetch}).commits[0]
    handler.live.clear()
    rest = committed(system, answering(begun.events[0], CardCharged("r")), begun.record)

    assert rest.events[0].data == OrderFulfilled("TimeoutError: no route")


def test_what_cannot_be_remembered_is_refused() -> None:
    """JSON, or what the annotation says."""

    def convert(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from call(rate, "EUR")
        raise AssertionError

    trace = run(System([of(convert)]), placing(), effects={rate: lambda _: object()})

    (violation,) = trace.violations
    assert "a flow cannot remember this" in str(violation)


def test_several_calls_of_a_turn_are_performed_one_after_the_other_and_once() -> None:
    """Each is asked for with those before it performed; the flow goes on where it stood."""
    asked: list[str] = []

    def convert(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        asked.append("begun")
        first, second = yield from gather(call(rate, "EUR"), call(rate, "USD"))
        third = yield from call(rate, "JPY")
        return OrderFulfilled(f"{first} {second} {third}")

    system = System([of(convert)])
    performed: list[Performed] = []
    while isinstance(
        stepped := step(system, placing(), None, now=NOW, performed=performed).unwrap(), Perform
    ):
        performed.append(Performed(stepped, value=float(len(performed))))

    assert stepped.events[0].data == OrderFulfilled("0.0 1.0 2.0")
    assert asked == ["begun"]


def test_an_effect_is_given_to_the_event_that_asked_for_it() -> None:
    """A step depends on its arguments alone, whatever was stepped before."""

    def convert(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from call(rate, "EUR")
        return OrderFulfilled(str(event.data.amount))

    system = System([of(convert)])
    asked = step(system, placing(amount=1.0), None, now=NOW).unwrap()
    assert isinstance(asked, Perform)

    given = step(
        system, placing(amount=2.0), None, now=NOW, performed=[Performed(asked, 1.0)]
    ).unwrap()

    assert isinstance(given, Commit)
    assert given.events[0].data == OrderFulfilled("2.0")


class Column:
    """Compares its items, and not itself, as columns of numbers do."""

    def __eq__(self, other: object) -> Any:
        return Column()

    def __bool__(self) -> bool:
        raise ValueError("which of them?")

    __hash__ = None  # type: ignore[assignment]


def sums(column: Column) -> float:
    raise AssertionError(column)


def test_an_argument_that_cannot_be_compared_is_told_by_its_text() -> None:
    """Columns of numbers are compared item by item, and are neither equal nor not."""

    def convert(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        total = yield from call(sums, Column())
        return OrderFulfilled(str(total))

    handler = of(convert)
    asked = step(System([handler]), placing(), None, now=NOW).unwrap()
    assert isinstance(asked, Perform)
    handler.live.clear()
    done = step(
        System([handler]), placing(), None, now=NOW, performed=[Performed(asked, 1.5)]
    ).unwrap()

    assert isinstance(done, Commit)
    assert done.events[0].data == OrderFulfilled("1.5")


# Cancellation, undos, children


def cancelling(after: float = 1.0) -> Event[Any]:
    return order["1.0.0"].cancel(
        "changed my mind",
        source="com.shop.web",
        subject=placing().subject,
        id="c1",
        time=NOW + timedelta(seconds=after),
    )


def test_a_cancelled_flow_says_its_last_and_waits_no_more() -> None:
    """Raised where it waits, in every branch; what it emits is sent."""
    heard: list[str] = []

    def branch(name: str) -> Flow[None]:
        try:
            yield from sleep(60)
        except Cancelled as cancelled:
            heard.append(f"{name}: {cancelled.reason}")
            yield from tell(BookShipment(f"return {name}"))
            yield from sleep(60)
            heard.append("never")

    def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        try:
            yield from gather(branch("a"), branch("b"))
        finally:
            heard.append("finally")
        raise AssertionError

    trace = ran(fulfil, cancelling())

    assert heard == ["a: changed my mind", "b: changed my mind", "finally"]
    assert answer(trace) == SystemFault(errorName="Cancelled", errorMessage="changed my mind")
    assert trace.records[placing().subject].status == "cancelled"
    sent = [each.data.order_id for each in trace.events if each.type == "com.shipping.book"]
    assert sent == ["return a", "return b"]
    assert trace.now == NOW + timedelta(seconds=1)


def test_a_cancelled_flow_does_not_begin_anew() -> None:
    """What it would ask for then, nobody would wait for."""

    def page(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        if event.data.amount == 1.0:
            yield from charge(event)
        try:
            yield from sleep(60)
        except Cancelled:
            return continue_as_new(evolve(event.data, amount=1.0))
        raise AssertionError

    trace = ran(page, cancelling())

    assert answer(trace).name == "Cancelled"
    assert [each.type for each in trace.events if each.type == "com.payment.charge"] == []


def test_undos_are_sent_last_first_when_a_flow_fails() -> None:
    """A step names its undo next to it: by a value from now on, by a function once it is done."""

    def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from ask(ChargeCard("a", 1.0), CardCharged, undo=BookShipment("undo a"))
        yield from ask(
            ChargeCard("b", 1.0), CardCharged, undo=lambda it: BookShipment(f"undo {it.receipt}")
        )
        yield from ask(ChargeCard("c", 2_000), CardDeclined, undo=lambda it: None)
        yield from compensate_with(BookShipment("undo d"))
        return fail("no stock")

    trace = ran(fulfil)

    sent = [each.data.order_id for each in trace.events if each.type == "com.shipping.book"]
    assert sent == ["undo d", "undo r-b", "undo a"]
    assert answer(trace) == SystemFault(errorName="Fail", errorMessage="no stock")
    assert trace.records[placing().subject].compensations == ()


@frozen
class Pack:
    order_id: str


@frozen
class Packed:
    boxes: int


packing = OrchestratorContract(
    uri="#/orchestrators/packing",
    name="order.pack",
    versions={"1.0.0": Workflow(init=Pack, complete=Packed)},
)


def test_a_flow_begins_another_and_waits_for_it() -> None:
    """The types hold: what `call_workflow` gives is what the child completes with."""

    @flow(packing, "1.0.0", services=[SERVICES[1]])
    def pack(event: Event[Pack]) -> Flow[Packed]:
        yield from ask(BookShipment(event.data.order_id), ShipmentBooked)
        return Packed(2)

    @flow(order, "1.0.0", services=[packing["1.0.0"]])
    def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        packed = yield from call_workflow(packing["1.0.0"], Pack(event.data.order_id))
        return OrderFulfilled(f"{packed.boxes} boxes")

    trace = run(System([shipping, pack, fulfil]), placing())

    assert answer(trace) == OrderFulfilled("2 boxes")
    (child,) = trace.records[placing().subject].children.values()
    assert trace.records[child.subject].status == "done"
    assert trace.records[child.subject].parent == placing().subject


def test_a_child_that_loses_a_race_is_cancelled() -> None:
    """Nobody waits for it, so it should not go on."""

    @flow(packing, "1.0.0")
    def pack(event: Event[Pack]) -> Flow[Packed]:
        yield from sleep(3_600)
        return Packed(2)

    @flow(order, "1.0.0", services=[packing["1.0.0"]])
    def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        packed = yield from race(
            call_workflow(packing["1.0.0"], Pack(event.data.order_id)), sleep(60)
        )
        return OrderFulfilled(str(packed))

    trace = run(System([pack, fulfil]), placing())

    assert answer(trace) == OrderFulfilled("None")
    (child,) = trace.records[placing().subject].children.values()
    assert trace.records[child.subject].status == "cancelled"
    assert trace.now == NOW + timedelta(seconds=60)
    assert trace.violations == ()


# History


def test_a_flow_may_begin_anew_with_an_empty_history() -> None:
    """A workflow that runs for ever keeps one line for each page, not for all."""

    def page(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from charge(event)
        if event.data.amount < 5:
            return continue_as_new(evolve(event.data, amount=event.data.amount + 1))
        return OrderFulfilled(f"page {event.data.amount}")

    trace = run(around(page), placing(amount=1.0))

    assert answer(trace) == OrderFulfilled("page 5.0")
    record = trace.records[placing().subject]
    assert isinstance(record.state, dict)
    assert record.state["generation"] == 4
    assert len(record.journal) == 2
    amounts = [each.data.amount for each in trace.events if each.type == "com.payment.charge"]
    assert amounts == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_flow_that_begins_anew_forgets_what_it_asked() -> None:
    """A service that never answers would else end, one day, a flow that runs for ever."""

    @flow(packing, "1.0.0")
    def pack(event: Event[Pack]) -> Flow[Packed]:
        yield from sleep(60)
        return Packed(2)

    @flow(order, "1.0.0", services=[*SERVICES, packing["1.0.0"]])
    def page(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from tell(BookShipment("of old"))
        yield from tell(Pack("of old"))
        yield from sleep(1)
        if event.data.amount < 5:
            return continue_as_new(evolve(event.data, amount=event.data.amount + 1))
        return OrderFulfilled("done")

    begun = placing(amount=4.0)
    trace = run(System([pack, page]), begun, until=NOW + timedelta(seconds=1))

    record = trace.records[begun.subject]
    assert len(record.children) == 2
    sent = {each.id: each.type for each in trace.events}
    pack_type, book_type = packing.type, "com.shipping.book"
    assert [sent[id_] for id_ in record.pending_requests] == [pack_type, book_type, pack_type]


def test_a_flow_that_begins_anew_without_end_is_stopped() -> None:
    """Everything is bounded."""

    def spin(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from ()
        return continue_as_new(event.data)

    assert "begins anew without end" in str(refused(System([of(spin)]), placing()))


def test_a_changed_flow_is_told_what_differs_and_where() -> None:
    """An ExecutionViolation that shows both sides and the position."""

    def before(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from charge(event)
        yield from ask(BookShipment("a"), ShipmentBooked)
        raise AssertionError

    def after(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from charge(event)
        yield from ask(BookShipment("b"), ShipmentBooked)
        raise AssertionError

    def longer(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from tell(BookShipment("a"))
        yield from charge(event)
        raise AssertionError

    old = System([of(before)])
    begun = committed(old, placing())
    charged = committed(old, answering(begun.events[0], CardCharged("r")), begun.record)
    reply = answering(charged.events[0], ShipmentBooked("t"), key="a2")

    said = str(refused(System([of(after)]), reply, charged.record))
    assert 'journal[1]: expected ask BookShipment {"order_id":"a"}, got ask BookShipment' in said
    assert "keep the old version, or migrate" in said
    said = str(refused(System([of(longer)]), reply, charged.record))
    assert 'journal[0]: expected ask ChargeCard {"amount":10.0,"order_id":"o1"}, got emit' in said


def test_a_flow_that_is_let_go_of_is_closed() -> None:
    """Or Python says, far from here, that a generator that it collects goes on."""
    said: list[object] = []

    def tidy(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        try:
            yield from sleep(60)
        finally:
            yield from tell(BookShipment("return"))
        raise AssertionError

    handler = of(tidy)
    begun = committed(System([handler]), placing())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "unraisablehook", said.append)
        handler.query(told(begun.record))
        migrate(handler, told(begun.record), to="1.0.0", state=None)
        step(System([handler]), cancelling(), evolve(told(begun.record), state={}), now=NOW)
        handler.live.clear()
        gc.collect()

    assert said == []


def test_an_emit_may_say_more_than_a_payload() -> None:
    """What is said beside it counts too."""

    def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from tell(Emit(ChargeCard("o", 1.0), accesscontrol="a"), to="com.payment.other")
        return OrderFulfilled("done")

    sent = committed(System([of(fulfil)]), placing()).events[0]

    assert (sent.to, sent.accesscontrol) == ("com.payment.other", "a")


def test_a_query_tells_where_a_flow_stands() -> None:
    """A pure function of the record: what it waits for, and its variables."""

    def fulfil(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        stage = "paying"
        yield from charge(event)
        stage = "shipping"
        yield from ask(BookShipment(stage), ShipmentBooked)
        raise AssertionError

    handler = of(fulfil)
    system = System([handler])
    begun = committed(system, placing())
    charged = committed(system, answering(begun.events[0], CardCharged("r")), begun.record)

    view = handler.query(told(charged.record))

    assert view.waiting == ('ask BookShipment {"order_id":"shipping"}',)
    assert view.variables["stage"] == "shipping"
    assert handler.query(told(begun.record)).variables["stage"] == "paying"


def test_versions_stand_side_by_side() -> None:
    """A workflow stays on the version that its subject names."""
    both = OrchestratorContract(
        uri="#/orchestrators/order",
        name="order.fulfil",
        versions={
            "1.0.0": Workflow(init=PlaceOrder, complete=OrderFulfilled),
            "2.0.0": Workflow(init=PlaceOrder, complete=OrderFulfilled),
        },
    )

    @flow(both, "1.0.0", services=SERVICES)
    def first(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from charge(event)
        return OrderFulfilled("first")

    @flow(both, "2.0.0")
    def second(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from sleep(1)
        return OrderFulfilled("second")

    system = System([payments, flows(first, second)])
    for version, said in (("1.0.0", "first"), ("2.0.0", "second")):
        event = both[version].init(PlaceOrder("o1"), source="com.shop.web", id="i1")
        assert answer(run(system, event)) == OrderFulfilled(said)

    with pytest.raises(Violated, match="a version of its own"):
        flows(first, first)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: flow(order, "9.9.9"), "one of 1.0.0"),
        (lambda: flow(payments.contract, "1.0.0"), "an OrchestratorContract"),  # type: ignore[arg-type]
        (lambda: flow(order, "1.0.0", services=[order["1.0.0"]]), "another contract"),
        (
            lambda: flow(order, "1.0.0", services=SERVICES, signals=[SERVICES[0], SERVICES[0]]),
            "own",
        ),
    ],
)
def test_bad_wiring_is_refused_at_construction(wrong: Any, said: str) -> None:
    """Before the first event."""
    with pytest.raises(Violated, match=said):
        wrong()(lambda _: None)


def test_a_flow_is_no_async_function() -> None:
    """What it awaited would be done where it stands."""

    async def fulfil(event: Event[PlaceOrder]) -> OrderFulfilled:
        raise AssertionError

    async def streaming(event: Event[PlaceOrder]) -> Any:
        yield event

    for wrong in (fulfil, streaming):
        with pytest.raises(Violated, match="a generator function"):
            flow(order, "1.0.0")(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda _: sleep(-1), "not below 0"),
        (lambda _: sleep(until=NOW.replace(tzinfo=None)), "with an offset"),
        (lambda _: sleep(), "seconds or a timedelta"),
        (lambda _: wait_for(), "at least one class"),  # type: ignore[call-overload]
        (lambda _: wait_for(Approved | Vetoed), "a class, got"),  # type: ignore[arg-type]
        (lambda _: wait_for(Approved, "Vetoed"), "wait_for[1]"),  # type: ignore[call-overload]
        (lambda _: ask(ChargeCard("o", 1.0), "CardCharged"), "a class, got"),  # type: ignore[call-overload]
        (lambda _: ask(Emit(ChargeCard("o", 1.0), id="mine")), "no id"),
        (lambda _: gather(sleep(1), charge), "a flow that has not begun"),  # type: ignore[call-overload]
        (lambda _: sleep(timedelta.max), "years 1 to 9999"),
        (lambda _: race(), "at least one flow"),
        (lambda _: gather(*(sleep(1) for _ in range(1_001))), "at most 1000 branches"),
        (lambda _: iter_of(7), "what `yield from`"),
    ],
)
def test_what_a_flow_cannot_wait_for_is_refused(wrong: Any, said: str) -> None:
    """With the word that would do."""
    assert said in str(refused(System([of(wrong)]), placing()))


def iter_of(value: object) -> Flow[Any]:
    yield value  # type: ignore[misc]


def test_a_record_that_is_no_flows_is_refused() -> None:
    """Another handler's, or damaged."""
    handler = of(waiting)
    begun = told(committed(System([handler]), placing()).record)
    handler.live.clear()

    state: Any = begun.state
    asked = state["waiting"]["0"]
    for broken in (
        evolve(begun, journal=()),
        evolve(begun, state=[1]),
        evolve(begun, state={}),
        evolve(begun, state={**state, "waiting": {"first": "a"}}),
        evolve(begun, journal=(*begun.journal, {"at": 0, "asked": asked, "got": "x"})),
    ):
        assert "no flow's record" in str(
            refused(System([handler]), signalling(Approved("a")), broken)
        )


def test_the_subject_names_the_flow() -> None:
    """As with every workflow."""
    assert Subject.parse(placing().subject).orchestrator.name == of(waiting).source
    assert isinstance(payments, EventHandler)


def test_a_commit_tells_how_much_of_the_journal_stood_before() -> None:
    """A store then writes what is new, and no more."""

    def page(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from charge(event)
        if event.data.amount < 12:
            return continue_as_new(evolve(event.data, amount=event.data.amount + 1))
        return OrderFulfilled("done")

    trace = run(around(page), placing(amount=10.0))

    kept = [
        (commit.journal_offset, len(told(commit.record).journal))
        for commit in trace.commits
        if commit.handler == order.type
    ]
    assert kept == [(0, 1), (0, 1), (0, 1), (1, 2)]
