"""Baggage: what travels with events, and what does not."""

from typing import Any

import pytest
from attrs import evolve
from opentelemetry import baggage, context

from arvo import Effects, Emit, Event, Runtime, System, Violated, call
from arvo.core.commit import Commit
from arvo.core.events.envelope import EXTENSIONS_MAX
from arvo.core.trace_context import TraceContext, trace_of, with_trace
from arvo.telemetry import observe
from arvo.telemetry.spans.baggage import BYTES_MAX, KEYS_MAX, Baggage
from tests.shop import (
    CardCharged,
    ChargeCard,
    charge_request,
    order_request,
    payment_handler,
    shop,
)
from tests.telemetry.recorded import Sdk

SUBJECT = order_request().subject
PARENT = f"00-{7:032x}-{8:016x}-01"


def held(**entries: str) -> context.Context:
    """Return a context with baggage."""
    current = context.Context()
    for name, value in entries.items():
        current = baggage.set_baggage(name, value, current)
    return current


def send_with(sdk: Sdk, system: System, event: Event[Any], **options: Any) -> list[Event[Any]]:
    """Send an event in a context with baggage; return the events of its workflow."""
    events: list[Event[Any]] = []

    async def work(runtime: Runtime) -> None:
        token = context.attach(held(tenant="acme", secret="s"))  # noqa: S106 - of nobody
        try:
            await runtime.send(event)
        finally:
            context.detach(token)
        await runtime.drain(timeout=30)
        if event.subject == SUBJECT:
            entries = await runtime.history(SUBJECT)
            events.extend(it.event for it in entries if it.event is not None)

    sdk.run(system, work, **options)
    return events


@pytest.mark.parametrize("traceparent", [None, PARENT])
def test_a_named_entry_is_in_each_event_of_the_workflow(traceparent: str | None) -> None:
    """From the client that sends, through every turn; the others stay where they are."""
    event = order_request(traceparent=traceparent)
    events = send_with(Sdk(), shop, event, baggage=["tenant"])

    assert len(events) > 4
    assert {str(event.extensions) for event in events} == {"{'bgtenant': 'acme'}"}


def test_without_names_no_event_has_any() -> None:
    """It may be secret, and brokers keep it."""
    events = send_with(Sdk(), shop, order_request())

    assert not any(event.extensions for event in events)


def test_no_span_shows_it() -> None:
    """Spans go to other places than events do."""
    sdk = Sdk()
    send_with(sdk, shop, order_request(), baggage=["tenant"])

    assert "acme" not in "".join(str(span.attributes) for span in sdk.spans)


def test_an_effect_and_a_listener_see_it() -> None:
    """A client of HTTP sends it on."""
    seen: list[object] = []

    def fetch() -> str:
        seen.append(baggage.get_baggage("tenant"))
        return "r"

    def pay(_: Event[ChargeCard]) -> Effects[Emit]:
        receipt = yield from call(fetch)
        return Emit(CardCharged(receipt), domain="partner")

    async def work(runtime: Runtime) -> None:
        runtime.on_domain("partner")(lambda _: seen.append(baggage.get_baggage("tenant")))
        await runtime.send(evolve(charge_request(), extensions={"bgtenant": "acme"}))

    Sdk().run(System([payment_handler(pay)]), work, baggage=["tenant"])

    assert seen == ["acme", "acme"]


def test_a_replay_makes_the_same_events() -> None:
    """What a turn emitted has the baggage of its time."""
    sdk = Sdk()

    async def work(runtime: Runtime) -> None:
        token = context.attach(held(tenant="acme"))
        try:
            await runtime.send(order_request())
        finally:
            context.detach(token)
        await runtime.drain(timeout=30)
        report = await runtime.replay(SUBJECT)
        assert report.agrees

    sdk.run(shop, work, baggage=["tenant"])


def test_what_is_too_much_is_left_out() -> None:
    """A broker stores each byte, for each event."""
    names = Baggage.of(["a", "b", "c"])

    entries = names.of_context(held(a="x" * (BYTES_MAX - 1), b="yy", c="z"))
    unclean = names.of_context(held(a="x\ny", b="", c="ok"))

    assert [name for name, _ in entries] == ["bga"]
    assert unclean == (("bgb", ""), ("bgc", "ok"))


@pytest.mark.parametrize(
    "keys",
    [["Tenant"], ["tenant-id"], [""], ["x" * 19], "tenant!", [f"k{it}" for it in range(9)]],
)
def test_keys_that_no_extension_can_have_are_refused(keys: Any) -> None:
    """CloudEvents allows lower-case letters and digits."""
    with pytest.raises(Violated, match="baggage: expected"):
        observe(Runtime(shop), baggage=keys)
    assert len(keys) <= KEYS_MAX + 1


def test_an_event_without_room_keeps_its_own_extensions() -> None:
    """Either all events of a turn carry it or none, so that a replay finds it again."""
    full = evolve(charge_request(), extensions={f"x{it}": it for it in range(EXTENSIONS_MAX)})
    commit = Commit(handler="h", event=full, outcome="handled", events=(full, charge_request()))

    traced = with_trace(commit, TraceContext(PARENT, None, (("bgtenant", "acme"),)))

    assert [event.extensions for event in traced.events] == [
        event.extensions for event in commit.events
    ]
    assert trace_of(traced.events) == TraceContext(PARENT)
