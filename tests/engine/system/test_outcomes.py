"""Outcomes: the end of a workflow is reported to each subscription to its contract."""

from typing import Any

import pytest
from attrs import evolve, frozen

from arvo import Client, Event, Flow, System, Violated, call_workflow, fail, run, workflow
from arvo.core.history import HistoryEntry
from arvo.engine.history.replay import replay
from arvo.engine.step.doors import check_outside
from arvo.engine.step.route import ToHandler


@frozen
class Order:
    amount: int


@frozen
class Shipped:
    amount: int


@workflow("shop.part")
def part(request: Order) -> Flow[Shipped]:
    yield from ()
    return Shipped(request.amount)


@workflow("shop.order", services=[part])
def order(request: Order) -> Flow[Shipped]:
    if request.amount < 0:
        return fail("the amount is negative")
    shipped = yield from call_workflow(part, request)
    return shipped


BILLING = "com.shop.billing"
AUDIT = "com.shop.audit"
SYSTEM = System([order, part], subscriptions={BILLING: [order], AUDIT: [order.contract, part]})


def begin(amount: int = 3) -> Event[Any]:
    return order["1.0.0"].init(Order(amount), source="com.shop.web", workflow_id="order-1")


def reports(name: str, event: Event[Any]) -> list[Event[Any]]:
    return [it for it in run(SYSTEM, event).events if it.to == name]


def test_each_subscription_gets_a_completion_with_an_id_of_its_own() -> None:
    trace = run(SYSTEM, begin())
    [answer] = trace.answers
    [billed] = [it for it in trace.events if it.to == BILLING]
    assert (billed.type, billed.data, billed.subject) == (answer.type, Shipped(3), begin().subject)
    assert dict(trace.sent)[billed] == ToHandler(BILLING, None)
    assert billed in trace.remote
    audited = [it for it in trace.events if it.to == AUDIT]
    assert [it.source for it in audited] == [part.source, order.source]
    assert len({it.id for it in (answer, billed, *audited)}) == 4
    assert trace.at_rest
    assert not trace.violations


def test_a_failure_is_an_outcome() -> None:
    event = begin(-1)
    trace = run(SYSTEM, event)
    [failed] = [it for it in trace.events if it.to == BILLING]
    assert failed.type == order.contract.system_error_type
    assert failed.data.message == "the amount is negative"
    [audited] = [it for it in trace.events if it.to == AUDIT]
    assert audited == evolve(failed, id=audited.id, to=AUDIT)


def test_the_outcome_of_a_child_names_the_child_and_not_its_parent() -> None:
    child = next(it for it in reports(AUDIT, begin()) if it.source == part.source)
    [request] = [it for it in run(SYSTEM, begin()).events if it.type == part.source]
    assert child.subject == request.subject != begin().subject


def test_a_system_without_subscriptions_sends_the_same_other_events() -> None:
    event = begin()
    others = [it for it in run(SYSTEM, event).events if it.to not in (BILLING, AUDIT)]
    assert others == [*run(System([order, part]), event).events]


def test_a_replay_does_not_depend_on_the_subscriptions() -> None:
    """A system may get or lose subscriptions while its workflows run."""
    for then, now in [(SYSTEM, System([order, part])), (System([order, part]), SYSTEM)]:
        trace = run(then, begin())
        history: list[HistoryEntry] = []
        for commit in trace.commits:
            if commit.record is None or commit.record.subject != begin().subject:
                continue
            events = [("consumed", commit.event), *(("produced", it) for it in commit.events)]
            for kind, event in events:
                history.append(
                    HistoryEntry(
                        position=len(history),
                        revision=commit.record.revision,
                        kind=kind,  # type: ignore[arg-type]
                        at=trace.now,
                        event=event,
                    )
                )
        assert len(history) >= 4
        assert replay(now, history, record=trace.records[begin().subject]).agrees


def test_outsiders_can_neither_report_an_outcome_nor_ask_for_one() -> None:
    [billed] = reports(BILLING, begin())
    with pytest.raises(Violated, match="no handler answers event"):
        Client(SYSTEM, "memory:")._destination(billed)
    redirected = order["1.0.0"].init(Order(3), source="com.shop.web", redirectto=BILLING)
    assert "an address outside of this system" in str(check_outside(SYSTEM, redirected, None))
    named = order["1.0.0"].init(Order(3), source=BILLING)
    assert "an address outside of this system" in str(check_outside(SYSTEM, named, None))
