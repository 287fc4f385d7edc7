"""OTLP: real bytes over loopback, from the processes of `arvo run --otel`."""

import os
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from arvo import Client, Runtime, System
from arvo.cli.process.telemetry import is_exporting
from arvo.telemetry import observe
from arvo.telemetry.conventions import names
from tests.cli.test_supervisor import health_url, supervised, until, wait_until_done
from tests.interpreters.within import within
from tests.shop import order_request, payment_handler
from tests.telemetry.collector import Collector
from tests.telemetry.sleepy import DEATH_VARIABLE, sleepy

ORDERS = 6


def export_to(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)


async def send_orders(url: str, orders: int = ORDERS) -> None:
    async with Client(sleepy, url) as client:
        for number in range(orders):
            parent = f"00-{number + 1:032x}-{7:016x}-01"
            await client.send(order_request(f"i{number}", traceparent=parent))


def test_two_processes_are_in_one_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The context goes with the event: through the store, from one worker to the other."""
    url = f"sqlite:///{tmp_path}/arvo.db"
    with Collector() as collector:
        export_to(collector, monkeypatch)
        options = ("--workers", "2", "--otel", "--health", "127.0.0.1:0")
        system = "tests.telemetry.sleepy:divided"
        with supervised(url, *options, system=system) as watched:
            # Each serves what the other lacks.
            until(health_url(watched), "ready", lambda status, _: status == 200)
            within(send_orders(url))
            wait_until_done(url, capsys, ORDERS)
            watched.signal(signal.SIGTERM)
            watched.wait_for("stopped")

    by_trace: dict[bytes, set[str]] = defaultdict(set)
    for instance, span in collector.spans:
        by_trace[span.trace_id].add(instance)
    assert set(by_trace) == {(number + 1).to_bytes(16) for number in range(ORDERS)}
    assert {len(instances) for instances in by_trace.values()} == {2}
    assert {span.name for _, span in collector.spans} >= {
        "process arvo.orc.order.fulfil",
        "process com.payment.charge",
        "call wait",
        "workflow arvo.orc.order.fulfil",
    }
    assert all(span.end_time_unix_nano >= span.start_time_unix_nano for _, span in collector.spans)
    assert collector.services == {"tests.telemetry.sleepy:divided"}
    assert collector.metrics >= {
        names.DELIVERIES,
        names.PROCESS_DURATION,
        names.EFFECT_DURATION,
        names.WORKFLOWS_ENDED,
        names.WORKER_SLOTS,
    }
    paid = [line for line in collector.logs if line.body.string_value == "paid"]
    assert {line.trace_id for line in paid} == set(by_trace)
    spans = {
        span.span_id for _, span in collector.spans if span.name == "process com.payment.charge"
    }
    assert {line.span_id for line in paid} <= spans
    assert {line.severity_text for line in paid} == {"INFO"}
    attributes = {it.key: it.value for it in paid[0].attributes}
    assert attributes["amount"].double_value == 10.5
    assert attributes["arvo_handler"].string_value == "com.payment.charge"
    # The parent of each span is another one of the trace, or the sender's.
    known = {span.span_id for _, span in collector.spans} | {(7).to_bytes(8)}
    assert {span.parent_span_id for _, span in collector.spans} <= known


def test_a_killed_process_leaves_no_span_open_in_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The spans in hand are lost with it; the next process makes its own for what it gets again."""
    monkeypatch.setenv(DEATH_VARIABLE, f"{tmp_path}/death")
    url = f"sqlite:///{tmp_path}/arvo.db?lease=0.2"
    with Collector() as collector:
        export_to(collector, monkeypatch)
        with supervised(url, system="tests.telemetry.sleepy:deadly") as watched:
            watched.wait_for("worker 1 started")
            within(send_orders(url, 1))
            watched.wait_for("worker 1 started")
            wait_until_done(url, capsys, 1)
            watched.signal(signal.SIGTERM)
            watched.wait_for("stopped")

    [instance] = {instance for instance, _ in collector.spans}
    outcomes = {
        span.name: text_of(span, names.OUTCOME)
        for _, span in collector.spans
        if span.name.startswith("process")
    }
    assert instance.startswith("1/")
    assert set(outcomes.values()) == {"handled"}
    assert set(outcomes) >= {"process com.payment.charge", "process com.shipping.book"}
    [again] = [span for _, span in collector.spans if span.name == "process com.payment.charge"]
    assert [text_of(link, names.LINK) for link in again.links] == ["redelivery"]
    assert {span.trace_id for _, span in collector.spans} == {(1).to_bytes(16)}


def text_of(part: Any, name: str) -> str:
    """Return an attribute of a span or a link."""
    return next(str(it.value.string_value) for it in part.attributes if it.key == name)


def test_the_variables_of_opentelemetry_are_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As for any other program; the name of the service is theirs, too."""
    url = f"sqlite:///{tmp_path}/arvo.db"
    with Collector() as collector:
        export_to(collector, monkeypatch)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "arvo_workflow")
        monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
        monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
        with supervised(url, system="tests.telemetry.sleepy:sleepy") as watched:
            watched.wait_for("worker 1 started")
            within(send_orders(url))
            wait_until_done(url, capsys, ORDERS)
            watched.signal(signal.SIGTERM)
            watched.wait_for("stopped")

    assert collector.services == {"shop"}
    assert (collector.metrics, collector.logs) == (set(), [])


@pytest.mark.parametrize(
    ("asked", "variables", "expected"),
    [
        (None, {}, False),
        (None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost"}, True),
        (None, {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://localhost"}, True),
        (False, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost"}, False),
        (True, {}, True),
        (True, {"OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_a_worker_exports_if_it_is_asked_or_a_collector_is_named(
    asked: bool | None, variables: dict[str, str], expected: bool
) -> None:
    """And never where the variables of OpenTelemetry say that it is off."""
    assert is_exporting(asked, variables) is expected


def test_a_missing_sdk_is_named_before_any_worker_starts() -> None:
    """With how to get it."""
    script = (
        "import sys\n"
        "sys.modules['opentelemetry.sdk'] = None\n"
        "from arvo.cli import main\n"
        "arguments = ['run', 'tests.shop:shop', '--backend', 'memory:', '--otel']\n"
        "sys.exit(main(arguments))"
    )

    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, env=os.environ
    )

    assert ended.returncode == 2
    assert "--otel needs the extra 'otel'" in ended.stderr


def test_another_protocol_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It would export nothing, and nobody would know why."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with supervised(f"sqlite:///{tmp_path}/arvo.db", "--otel") as watched:
        line = watched.wait_for("OTEL_EXPORTER_OTLP_PROTOCOL")

    assert "expected http/protobuf, got 'grpc'" in line


def already_observed(backend: str) -> Runtime:
    """Return a runtime with telemetry of its own."""
    return observe(Runtime(System([payment_handler(lambda _: None)]), backend))


def test_a_runtime_with_telemetry_of_its_own_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its options are those of its author."""
    with Collector() as collector:
        export_to(collector, monkeypatch)
        url, system = f"sqlite:///{tmp_path}/arvo.db", "tests.telemetry.test_otlp:already_observed"
        with supervised(url, system=system) as watched:
            watched.wait_for("worker 1 started")
            watched.signal(signal.SIGTERM)
            watched.wait_for("stopped")
            watched.process.wait()

    assert watched.process.returncode == 0
