"""Observe: the options, and what holds whatever happens."""

import asyncio
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor

from arvo import (
    Client,
    Complete,
    Effects,
    Emit,
    Event,
    MemoryBackend,
    Persist,
    Runtime,
    System,
    Turn,
    Violated,
    call,
)
from arvo.core.events.envelope import ARVO_CONTENT_TYPE
from arvo.telemetry import observe
from arvo.telemetry.conventions import names
from arvo.telemetry.observe import messaging_system
from arvo.telemetry.spans.workflow import derived_span_id
from tests.interpreters.runtime.running import Replaced
from tests.interpreters.within import within
from tests.shop import (
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    charge_request,
    make_workflow,
    order_request,
    payment_handler,
    payments,
    reply_to,
    shop,
)
from tests.telemetry.recorded import Sdk
from tests.telemetry.test_trees import (
    cancelled,
    charged,
    failed,
    make_timer,
    make_waiting,
    order,
    refused,
)
from tests.versions import versions

SUBJECT = order_request().subject
ORDER = "arvo.orc.order.fulfil"


def test_a_span_describes_its_event_and_its_handler() -> None:
    """By the names of the conventions and of the TypeScript packages; without what is missing."""
    sdk = Sdk()
    sdk.run(shop, order)

    first = dict(sdk.named(f"process {ORDER}")[0].attributes or {})
    assert first.pop(names.STEP_SECONDS) > 0  # type: ignore[operator]
    assert first == {
        "messaging.system": "arvo.memory",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": ORDER,
        "messaging.message.id": "i1",
        "messaging.message.conversation_id": SUBJECT,
        "messaging.message.body.size": 54,
        "cloudevents.event_id": "i1",
        "cloudevents.event_source": "com.shop.web",
        "cloudevents.event_spec_version": "1.0",
        "cloudevents.event_subject": SUBJECT,
        "cloudevents.event_type": ORDER,
        "cloudevents.event_time": "2026-01-02T03:04:05.000+00:00",
        "cloudevents.event_datacontenttype": ARVO_CONTENT_TYPE,
        "cloudevents.event_dataschema": "#/orchestrators/order/1.0.0",
        "cloudevents.arvo.event_to": ORDER,
        "arvo.handler.source": ORDER,
        "arvo.handler.execution.type": "resumable",
        "arvo.handler.execution.status": "normal",
        "arvo.contract.uri": "#/orchestrators/order",
        "arvo.contract.version": "1.0.0",
        "arvo.span.kind": "handler.orchestrator.imperative",
        "openinference.span.kind": "CHAIN",
        "arvo.parsed.subject.orchestrator.name": ORDER,
        "arvo.parsed.subject.orchestrator.version": "1.0.0",
        "arvo.outcome": "handled",
        "arvo.workflow.subject": SUBJECT,
        "arvo.workflow.id": "i1",
        "arvo.workflow.type": ORDER,
        "arvo.workflow.status": "active",
        "arvo.workflow.revision": 1,
    }


def test_a_violation_names_each_field() -> None:
    """Tier 3: the sender has to act, and needs to know on what."""
    sdk = Sdk()
    sdk.run(shop, refused)

    [span] = sdk.named("process com.payment.charge")
    attributes = dict(span.attributes or {})
    assert attributes["arvo.issue.0"] == "data.amount: expected a value (required), got nothing"
    assert attributes["arvo.issue.1"] == "data.order_id: expected a string, got 1"


def test_no_span_shows_data_unless_a_function_does() -> None:
    """Data may be secret."""
    sdk, open_sdk = Sdk(), Sdk()
    sdk.run(shop, order)
    open_sdk.run(shop, charged, payloads=lambda event: {**event.raw, "order_id": "***"})

    assert "o1" not in "".join(str(span.attributes) for span in sdk.spans)
    [span] = open_sdk.named("process com.payment.charge")
    assert dict(span.attributes or {})[names.EVENT_DATA] == '{"order_id":"***","amount":10.0}'


def test_further_attributes_are_those_of_a_function() -> None:
    """A tenant, say."""
    sdk = Sdk()
    sdk.run(shop, charged, attributes=lambda event: {"tenant": event.source})

    [span] = sdk.named("process com.payment.charge")
    assert dict(span.attributes or {})["tenant"] == "com.shop.web"


def test_the_attributes_of_the_typescript_packages_are_there_on_demand() -> None:
    """By their names and with their `N/A`, so that a dashboard for them shows ours."""
    sdk = Sdk()
    sdk.run(shop, charged, reference_attributes=True)

    [span] = sdk.named("process com.payment.charge")
    attributes = dict(span.attributes or {})
    expected = {
        **charge_request().otel_attributes,
        "cloudevents.event_time": attributes[names.EVENT_TIME],
    }
    assert attributes["cloudevents.event_dataschema"] == "#/contracts/payment/charge/1.0.0"
    assert attributes["cloudevents.arvo.event_domain"] == "N/A"
    assert {name: attributes[f"consumable.0.{name}"] for name in expected} == expected
    assert {name: attributes[name] for name in expected} == expected
    assert attributes["emittables.0.cloudevents.event_type"] == "evt.payment.charged"
    assert span.dropped_attributes == 0


def test_the_command_of_an_operator_names_who_acts() -> None:
    """An audit asks for it."""
    sdk = Sdk()
    sdk.run(make_waiting(), cancelled, enduser=lambda: "ada")

    [span] = sdk.named("client cancel")
    assert dict(span.attributes or {})["enduser.id"] == "ada"


@pytest.mark.parametrize("url", ["memory:", "memory: memory:"])
def test_a_migration_is_linked_to_the_last_turn(url: str) -> None:
    """A pair has no history, and migrates all the same."""
    sdk = Sdk()

    async def work(runtime: Runtime) -> None:
        await runtime.send(order_request())
        await runtime.drain(timeout=30)
        await runtime.migrate(SUBJECT, to="2.0.0")

    sdk.run(System([versions()]), work, url)

    [span] = sdk.named("client migrate")
    [turn, *_] = sdk.named(f"process {ORDER}")
    links = [(it.context.span_id, (it.attributes or {})[names.LINK]) for it in span.links]
    assert links == ([(turn.context.span_id, "migrated")] if url == "memory:" else [])


def broken(*_: Any) -> Any:
    raise KeyError("tenant")


@pytest.mark.parametrize("option", ["attributes", "payloads", "join", "enduser"])
def test_a_function_that_raises_stops_no_delivery(option: str) -> None:
    """Telemetry must not be what fails."""
    sdk = Sdk()
    options: dict[str, Any] = {option: broken}

    sdk.run(shop, order, **options)

    assert len(sdk.named(f"process {ORDER}")) == 3


class Broken(SpanProcessor):
    """A processor of the application that does not work."""

    def __init__(self, when: str) -> None:
        self.when = when

    def on_start(self, span: Any, parent_context: Any = None) -> None:  # noqa: ARG002 - the SDK's
        if self.when == "start":
            raise OSError("no collector")

    def on_end(self, span: Any) -> None:  # noqa: ARG002 - the SDK's
        if self.when == "end":
            raise OSError("no collector")


@pytest.mark.parametrize("when", ["start", "end"])
@pytest.mark.parametrize("url", ["memory:", "memory: memory:"])
def test_a_processor_that_raises_stops_no_delivery(when: str, url: str) -> None:
    """The order is done; its spans are not shown."""
    sdk, answers = Sdk(), list[str]()
    sdk.tracers.add_span_processor(Broken(when))

    async def work(runtime: Runtime) -> None:
        answers.append((await runtime.request(order_request(), timeout=20)).type)

    sdk.run(shop, work, url)

    assert answers == ["arvo.orc.order.fulfil.done"]


def test_a_late_reply_begins_a_new_trace() -> None:
    """A trace of days breaks the sampling of a collector."""
    sdk = Sdk()

    async def work(runtime: Runtime) -> None:
        await runtime.send(order_request())
        await runtime.drain(timeout=30)
        [request] = [
            entry.event
            for entry in await runtime.history(SUBJECT)
            if entry.event is not None and entry.event.type == "com.payment.charge"
        ]
        late = evolve(reply_to(request, CardCharged("r")), traceparent=request.traceparent)
        # A broker that was down for a year has it now.
        await runtime._send(late)

    sdk.run(System([make_workflow(first_turn), payments]), work)

    first, second = sdk.named(f"process {ORDER}")
    assert [(link.attributes or {})[names.LINK] for link in second.links] == ["late"]
    assert second.parent is None
    assert second.links[0].context.trace_id == first.context.trace_id


def first_turn(turn: Turn[Any]) -> Any:
    if isinstance(turn.event.data, PlaceOrder):
        return Persist(1), Emit(ChargeCard("o1", 1.0), domain="partner")
    return Complete(OrderFulfilled("t"))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("parent", (True, [])), ("link", (False, ["join"])), ("none", (False, []))],
)
def test_a_rule_decides_how_a_delivery_joins_its_sender(
    rule: Any, expected: tuple[bool, list[str]]
) -> None:
    """Some want one trace for all, some one for each turn."""
    sdk = Sdk()
    sdk.run(make_timer(), order, join=lambda event, delivery: rule)

    last = sdk.named(f"process {ORDER}")[-1]
    links = [str((link.attributes or {})[names.LINK]) for link in last.links]
    assert (last.parent is not None, links) == expected


def test_the_time_of_waiting_is_checked() -> None:
    """A mistake shows where it is made."""
    with pytest.raises(Violated, match="waits"):
        observe(Runtime(shop), waits=-1)
    observe(Runtime(shop), waits=timedelta(hours=1))


def test_an_effect_sees_its_span_as_the_current_one() -> None:
    """So the spans of an HTTP client or a driver nest below; also in a thread."""
    sdk, seen = Sdk(), list[int]()

    def fetch() -> str:
        seen.append(trace.get_current_span().get_span_context().span_id)
        return "r"

    async def fetch_async() -> str:
        return fetch()

    def pay(event: Event[ChargeCard]) -> Effects[Emit]:
        yield from call(fetch)
        receipt = yield from call(fetch_async)
        return Emit(CardCharged(receipt))

    sdk.run(System([payment_handler(pay)]), charged)

    assert seen == [span.context.span_id for span in sdk.spans if span.name.startswith("call")]


def test_a_listener_sees_the_span_in_which_its_event_leaves() -> None:
    """A webhook passes it on."""
    sdk, seen = Sdk(), list[int]()
    system = System([payment_handler(lambda _: Emit(CardCharged("r"), domain="partner"))])

    async def work(runtime: Runtime) -> None:
        @runtime.on_domain("partner")
        async def listen(event: Event[Any]) -> None:
            seen.append(trace.get_current_span().get_span_context().span_id)

        await runtime.send(charge_request())

    sdk.run(system, work)

    assert seen == [span.context.span_id for span in sdk.named("leave partner")]


def test_what_is_logged_about_a_delivery_has_its_span(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """From a line of the log to the trace, and back; in a tick and by itself."""
    for url in ("memory:", "memory: memory:"):
        caplog.clear()
        sdk = Sdk()
        sdk.run(shop, failed, url)

        [span] = [it for it in sdk.spans if (it.attributes or {}).get(names.OUTCOME) == "failed"]
        ids = {vars(record).get("otelSpanID") for record in caplog.records}
        assert trace.format_span_id(span.context.span_id) in ids


def test_a_client_sends_within_the_current_span() -> None:
    """A request over HTTP and what follows from it are one trace."""
    sdk = Sdk()

    async def work(runtime: Runtime) -> None:
        with sdk.tracers.get_tracer("web").start_as_current_span("POST /orders"):
            await runtime.request(order_request())

    sdk.run(shop, work)

    [web] = sdk.named("POST /orders")
    assert {span.context.trace_id for span in sdk.spans} == {web.context.trace_id}
    [send] = sdk.named(f"send {ORDER}")
    assert send.parent is not None
    assert send.parent.span_id == web.context.span_id


def test_an_event_with_a_trace_is_sent_below_it() -> None:
    """One that came over HTTP has the trace of its request."""
    sdk, parent = Sdk(), f"00-{7:032x}-{8:016x}-03"

    async def work(runtime: Runtime) -> None:
        await runtime.request(order_request(traceparent=parent, tracestate="a=1 , b=2"))
        entries = await runtime.history(SUBJECT)
        events = [entry.event for entry in entries if entry.event is not None]
        assert {event.tracestate for event in events} == {"a=1 , b=2"}
        assert {event.traceparent[-3:] for event in events if event.traceparent} == {"-03"}

    sdk.run(shop, work)

    assert {span.context.trace_id for span in sdk.spans} == {7}
    [send] = sdk.named(f"send {ORDER}")
    assert send.parent is not None
    assert send.parent.span_id == 8


def test_a_client_alone_is_observed() -> None:
    """It has no workers."""
    sdk = Sdk()

    async def go() -> None:
        client = Client(shop, MemoryBackend())
        async with observe(client, tracer_provider=sdk.tracers, meter_provider=sdk.meters):
            await client.send(order_request())

    within(go())

    assert [span.name for span in sdk.spans] == [f"send {ORDER}"]


def test_the_trace_of_a_workflow_survives_a_restart(tmp_path: Path) -> None:
    """It is in the events, not in a process."""
    url, before, after = f"sqlite:///{tmp_path}/arvo.db", Sdk(), Sdk()

    async def begin(runtime: Runtime) -> None:
        await runtime.send(order_request())

    async def end(runtime: Runtime) -> None:
        [dead] = await runtime.dead_letters()
        await runtime.redrive_dead_letter(dead.id)

    workflow = make_workflow(first_reply_ends)
    before.run(System([workflow]), begin, url)
    after.run(System([workflow, payments]), end, url)

    assert len(before.named(f"process {ORDER}")) == 1
    [redrive] = after.named("client redrive")
    assert redrive.links[0].context.trace_id == before.spans[0].context.trace_id
    [workflow_span] = after.named(f"workflow {ORDER}")
    assert workflow_span.context.span_id == derived_span_id(SUBJECT)
    assert (workflow_span.start_time or 0) < (redrive.start_time or 0)


def first_reply_ends(turn: Turn[Any]) -> Any:
    if isinstance(turn.event.data, PlaceOrder):
        return Persist(1), Emit(ChargeCard("o1", 1.0))
    return Complete(OrderFulfilled("t"))


def test_what_a_runtime_leaves_is_ended_as_unsettled() -> None:
    """No span stays open, in this process or the next."""
    sdk, started = Sdk(), asyncio.Event()

    async def hang() -> str:
        started.set()
        await asyncio.Event().wait()
        return "r"

    def pay(event: Event[ChargeCard]) -> Effects[Emit]:
        receipt = yield from call(hang)
        return Emit(CardCharged(receipt))

    async def go() -> None:
        runtime = sdk.runtime(System([payment_handler(pay)]))
        await runtime.__aenter__()
        await runtime.send(charge_request())
        await started.wait()
        await runtime.stop(timeout=0.0)

    within(go())

    [span] = sdk.named("process com.payment.charge")
    assert dict(span.attributes or {})[names.OUTCOME] == "unsettled"


def test_without_an_sdk_events_keep_the_trace_that_they_have() -> None:
    """The API alone makes no spans."""
    parent = f"00-{7:032x}-{8:016x}-01"

    async def go() -> set[str | None]:
        async with observe(Runtime(shop)) as runtime:
            await runtime.request(order_request(traceparent=parent))
            history = await runtime.history(SUBJECT)
            return {entry.event.traceparent for entry in history if entry.event is not None}

    assert within(go()) == {parent}


def test_a_turn_that_emits_thousands_has_64_events_and_a_number() -> None:
    """A span has a bounded size."""
    sdk = Sdk()
    system = System(
        [payment_handler(lambda _: [Emit(CardCharged("r"), id=f"e{each}") for each in range(100)])]
    )

    async def work(runtime: Runtime) -> None:
        await runtime.send(charge_request())

    sdk.run(system, work)

    [span] = sdk.named("process com.payment.charge")
    assert len(span.events) == 64
    assert dict(span.attributes or {})[names.EVENTS_DROPPED] == 36


def test_a_failure_shows_its_stack_only_where_the_system_shows_stacks() -> None:
    """It tells others about the inside of a service."""
    for stacks in (False, True):
        sdk = Sdk()
        sdk.run(System([payment_handler(broken)], stacks=stacks), charged)

        [span] = sdk.named("process com.payment.charge")
        [exception] = [event for event in span.events if event.name == "exception"]
        assert ("exception.stacktrace" in (exception.attributes or {})) == stacks


@pytest.mark.parametrize(
    ("url", "system"),
    [
        ("memory:", "arvo.memory"),
        ("sqlite:///x.db", "arvo.sqlite"),
        ("postgresql://localhost/x", "arvo.postgresql"),
        ("nats://localhost", "arvo.nats"),
        ("redis://localhost", "redis"),
        ("sqlite-less", "replaced"),
        ("memory: kafka://localhost", "kafka"),
        ("memory: amqp://localhost", "rabbitmq"),
    ],
)
def test_the_messaging_system_is_that_of_the_broker(url: str, system: str) -> None:
    """By the name that dashboards know, where there is one."""
    backend: Any = Replaced(MemoryBackend()) if url == "sqlite-less" else Client(shop, url).backend

    assert messaging_system(backend) == system


def run_script(script: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return ended.stdout.strip()


def test_a_runtime_that_is_not_observed_imports_neither_telemetry_nor_the_sdk() -> None:
    """It costs nothing where it is not used."""
    script = (
        "import asyncio, sys\n"
        "from arvo import Runtime\n"
        "from tests.shop import order_request, shop\n"
        "async def go():\n"
        "    async with Runtime(shop) as runtime:\n"
        "        await runtime.request(order_request())\n"
        "asyncio.run(go())\n"
        "names = ('arvo.telemetry', 'opentelemetry.sdk', 'opentelemetry.exporter')\n"
        "print([name for name in sys.modules if name.startswith(names)])"
    )

    assert run_script(script) == "[]"


def test_telemetry_needs_no_sdk() -> None:
    """An agent may bring another implementation of the API."""
    script = (
        "import sys\n"
        "import arvo.telemetry\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    )

    assert run_script(script) == "[]"


def test_pure_runs_make_no_spans() -> None:
    """Not even where an application has an SDK: others make thousands when they replay."""
    script = (
        "from opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "from opentelemetry.sdk.trace.export import SimpleSpanProcessor\n"
        "from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter\n"
        "exporter, provider = InMemorySpanExporter(), TracerProvider()\n"
        "provider.add_span_processor(SimpleSpanProcessor(exporter))\n"
        "trace.set_tracer_provider(provider)\n"
        "import arvo.telemetry\n"
        "from arvo import replay, run\n"
        "from arvo.testing import simulate\n"
        "from tests.histories import histories_of\n"
        "from tests.shop import order_request, shop\n"
        "done = run(shop, order_request())\n"
        "for history in histories_of(done).values():\n"
        "    assert replay(shop, history).agrees\n"
        "simulate(shop, [order_request()], runs=2)\n"
        "print(len(done.commits), len(exporter.get_finished_spans()))"
    )

    assert run_script(script) == "5 0"


def test_the_kinds_of_handlers_have_the_names_of_the_reference() -> None:
    """A dashboard of the TypeScript packages asks for them."""
    sdk = Sdk()
    sdk.run(shop, failed)

    [span] = sdk.named("process com.payment.charge")
    attributes = dict(span.attributes or {})
    assert attributes[names.SPAN_KIND] == "handler.simple"
    assert attributes[names.EXECUTION_TYPE] == "handler"
    [last] = [it for it in sdk.spans if (it.attributes or {}).get(names.OUTCOME) == "failed"]
    assert (last.attributes or {})[names.EXECUTION_STATUS] == "failure"
