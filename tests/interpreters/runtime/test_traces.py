"""Traces: what follows from one event is one trace, through each store and broker."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from arvo import Backend, Runtime, System
from arvo.interpreters.kafka import KafkaBroker
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.rabbit import RabbitBroker
from arvo.interpreters.redis import RedisMemory
from arvo.telemetry import observe
from tests.interpreters.kafka.test_conformance import QUICK
from tests.interpreters.within import within
from tests.servers import has_rabbit, kafka_servers, rabbit_url, redis_url
from tests.shop import charge_request, fulfilment, order_request, payments, shipping
from tests.telemetry.recorded import Sdk

PARENT = f"00-{7:032x}-{8:016x}-03"
# Spaces are no part of a key, but a store may not change them.
STATE = "rojo=00f067aa0ba902b7 , congo=t61rcWkgMzE"


def kafka_broker(servers: str, prefix: str) -> KafkaBroker:
    return KafkaBroker(servers, prefix, QUICK, quiet_seconds=0.5)


def test_two_processes_are_in_one_trace(open_backend: Callable[[], Backend]) -> None:
    """The context is in the event, with all flags and the state byte for byte."""
    send_through(open_backend)


BROKERS = [
    pytest.param(kafka_broker, id="kafka"),
    pytest.param(
        RabbitBroker,
        id="rabbit",
        marks=pytest.mark.skipif(not has_rabbit(), reason="no RabbitMQ on this machine"),
    ),
]


@pytest.mark.parametrize("make", BROKERS)
def test_the_brokers_of_others_keep_the_trace(make: Any, tmp_path: Path) -> None:
    """As headers of their own protocols, which other programs read."""
    url = kafka_servers() if make is kafka_broker else rabbit_url()

    def open_backend() -> Backend:
        memory = RedisMemory(redis_url(), tmp_path.name)
        return Pair(memory, make(url, tmp_path.name), owned=True)

    send_through(open_backend)


def send_through(open_backend: Callable[[], Backend]) -> None:
    """Send an order to two processes that share the work, and check what they show."""
    first, second = Sdk(), Sdk()

    def runtime(sdk: Sdk, system: System) -> Runtime:
        served = Runtime(system, open_backend())
        return observe(served, tracer_provider=sdk.tracers, meter_provider=sdk.meters)

    async def go() -> None:
        async with (
            runtime(second, System([payments, shipping])) as services,
            runtime(first, System([fulfilment])) as orders,
        ):
            # From then on it is registered, and the other one finds it.
            await services.request(charge_request(traceparent=PARENT), timeout=30)
            request = order_request(traceparent=PARENT, tracestate=STATE)
            answer = await orders.request(request, timeout=30)
            assert answer.type == "arvo.orc.order.fulfil.done"
            assert answer.tracestate == STATE
            assert answer.traceparent is not None
            assert (answer.traceparent[3:35], answer.traceparent[-2:]) == (f"{7:032x}", "03")
            await orders.drain(timeout=30)

    within(go(), seconds=90)

    spans = [*first.spans, *second.spans]
    known = {span.context.span_id for span in spans} | {8}
    assert {span.context.trace_id for span in spans} == {7}
    assert all(span.parent is not None and span.parent.span_id in known for span in spans)
    assert len(first.named("process arvo.orc.order.fulfil")) == 3
    assert len(second.named("process com.payment.charge")) == 2
    assert len(second.named("process com.shipping.book")) == 1
