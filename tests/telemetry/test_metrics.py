"""Metrics: what the counters, gauges and histograms show of a run."""

from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from arvo import MemoryBackend, Runtime, Unavailable
from arvo.telemetry.conventions import buckets, names
from arvo.telemetry.metrics.instruments import SERIES_MAX, Metrics
from tests.interpreters.runtime.running import Replaced
from tests.shop import charge_request, order_request, shop
from tests.telemetry.recorded import Sdk, Work
from tests.telemetry.test_trees import charged, make_retried, refused

ORDER, CHARGE, SHIP = "arvo.orc.order.fulfil", "com.payment.charge", "com.shipping.book"


async def orders(runtime: Runtime) -> None:
    """One order that is done, one that fails, and an event that is refused."""
    await runtime.request(order_request())
    await runtime.send(order_request("i2", 2_000.0))
    await refused(runtime)


def measure(work: Work = orders, backend: Any = "memory:") -> Sdk:
    sdk = Sdk()
    sdk.run(shop, work, backend)
    return sdk


def test_each_delivery_is_counted_by_its_outcome() -> None:
    """The same outcomes as `Stats`."""
    sdk, stats = Sdk(), list[Any]()

    async def work(runtime: Runtime) -> None:
        await orders(runtime)
        stats.append(await runtime.drain(timeout=30))

    sdk.run(shop, work)

    assert sdk.counted(names.DELIVERIES) == {
        (ORDER, "handled"): 4,
        (ORDER, "failed"): 1,
        (CHARGE, "handled"): 2,
        (CHARGE, "dead_lettered"): 1,
        (SHIP, "handled"): 1,
        ("(replies)", "answered"): 1,
        ("(replies)", "unclaimed"): 1,
    }
    by_outcome = {outcome: 0.0 for _, outcome in sdk.counted(names.DELIVERIES)}
    for (_, outcome), number in sdk.counted(names.DELIVERIES).items():
        by_outcome[outcome] += number
    assert by_outcome == {name: getattr(stats[0], name) for name in by_outcome}


def test_messages_are_counted_as_the_conventions_have_it() -> None:
    """By messaging system, destination and operation; with the error where there is one."""
    sdk = measure()

    assert sdk.counted(names.SENT_MESSAGES) == {
        ("arvo.memory", ORDER, "send"): 2,
        ("arvo.memory", CHARGE, "send"): 1,
    }
    consumed = sdk.counted(names.CONSUMED_MESSAGES)
    assert consumed["arvo.memory", ORDER, "process"] == 4
    assert consumed["arvo.memory", ORDER, "process", "Fail"] == 1
    assert consumed["arvo.memory", CHARGE, "process", "ContractViolation"] == 1


def test_durations_have_the_buckets_of_the_conventions() -> None:
    """Otherwise the SDK's own apply, which are milliseconds."""
    sdk = measure()

    points = sdk.points(names.PROCESS_DURATION)
    assert points["arvo.memory", "process", ORDER, "handled"].count == 4
    assert points["arvo.memory", "process", ORDER, "failed", "Fail"].count == 1
    assert {point.explicit_bounds for point in points.values()} == {buckets.OPERATION}


def test_the_time_of_each_operation_on_the_backend_is_measured() -> None:
    """By this number an operator knows that the backend is slow; how long a worker waits for a
    message is no such number.
    """
    sdk = measure()

    counts = sdk.counted(names.OPERATION_DURATION)
    # The commit of a tick is that of many messages, with any destination.
    assert counts.pop(("arvo.memory", "commit")) >= 2
    assert counts == {
        ("arvo.memory", ORDER, "send"): 2,
        ("arvo.memory", CHARGE, "send"): 1,
        ("arvo.memory", CHARGE, "dead_letter"): 1,
    }
    points = sdk.points(names.OPERATION_DURATION)
    assert {point.explicit_bounds for point in points.values()} == {buckets.OPERATION}


def test_the_operations_of_single_deliveries_have_their_destinations() -> None:
    """And the class of the error, where the backend raised one."""
    backend = MemoryBackend()
    commit, outages = backend.commit, [Unavailable("down")]

    async def commit_later(*arguments: Any) -> Any:
        if outages:
            raise outages.pop()
        return await commit(*arguments)

    sdk = measure(charged, Replaced(backend, commit=commit_later))

    counts = sdk.counted(names.OPERATION_DURATION)
    counts.pop(("replaced", "commit"))
    assert counts == {
        ("replaced", CHARGE, "send"): 1,
        ("replaced", CHARGE, "commit", "Unavailable"): 1,
        ("replaced", CHARGE, "nack"): 1,
        ("replaced", CHARGE, "commit"): 1,
        ("replaced", "(replies)", "ack"): 1,
    }


def test_the_wait_of_a_message_is_measured_at_its_first_delivery() -> None:
    """By this number an operator knows that there are too few workers."""
    sdk = measure(backend="memory: memory:")

    waits = sdk.points(names.DELIVERY_WAIT)
    # What is emitted is handled where it is emitted, and waits for nothing.
    assert waits[(ORDER,)].count == 2
    assert waits[(ORDER,)].explicit_bounds == buckets.WAIT
    assert waits[(ORDER,)].min >= 0


def test_workflows_are_counted_and_measured_from_begin_to_end() -> None:
    """By type, version and how they ended."""
    sdk = measure()

    assert sdk.counted(names.WORKFLOWS_STARTED) == {(ORDER, "1.0.0"): 2}
    ended = {(ORDER, "1.0.0", "done"): 1, (ORDER, "1.0.0", "failed"): 1}
    assert sdk.counted(names.WORKFLOWS_ENDED) == ended
    assert sdk.counted(names.WORKFLOW_DURATION) == ended


def test_a_workflow_that_ends_in_one_tick_has_a_duration() -> None:
    """Its last turn begins after its first; the time of a step has whole milliseconds."""
    sdk = Sdk()
    sdk.run(shop, orders)

    spans = {it.context.span_id: it for it in sdk.named(f"workflow {ORDER}")}
    assert len(spans) == 2
    for workflow in spans.values():
        turns = [
            turn
            for turn in sdk.named(f"process {ORDER}")
            if turn.context.trace_id == workflow.context.trace_id
        ]
        assert workflow.start_time == min(turn.start_time or 0 for turn in turns)
        assert (workflow.end_time or 0) >= max(turn.start_time or 0 for turn in turns)


def test_an_effect_is_measured_with_its_retries() -> None:
    """By its function."""
    sdk = Sdk()
    sdk.run(make_retried(), charged)

    [(function,)] = sdk.counted(names.EFFECT_DURATION)
    assert function.endswith("fetch")


def test_conflicts_and_outages_are_counted() -> None:
    """They cost time, and show in no outcome."""
    backend = MemoryBackend()
    receive, outages = backend.receive, [Unavailable("down")]

    async def receive_later(queue: str) -> Any:
        if outages:
            raise outages.pop()
        return await receive(queue)

    sdk = measure(backend=Replaced(backend, receive=receive_later))

    assert sum(sdk.counted(names.UNAVAILABLE).values()) == 1


def test_gauges_show_what_the_backend_holds() -> None:
    """One process asks for it."""
    sdk = Sdk()
    held: list[dict[tuple[Any, ...], float]] = []

    async def work(runtime: Runtime) -> None:
        await refused(runtime)
        await runtime.drain(timeout=30)
        observer: Any = runtime._observer
        await observer.gauges.ask()
        held.extend(map(sdk.counted, (names.QUEUE_DEPTH, names.DEAD_LETTERS, names.WORKER_SLOTS)))

    sdk.run(shop, work)

    depth, dead_letters, slots = held
    assert depth == {("ready",): 0, ("taken",): 0, ("delayed",): 0, ("timers",): 0}
    assert dead_letters == {(): 1}
    assert (slots[CHARGE, "used"], slots[CHARGE, "free"]) == (0, 16)


def test_a_process_that_does_not_ask_the_backend_shows_no_depth() -> None:
    """Each of many processes would show the same."""
    sdk = Sdk()
    shown: list[Any] = []

    async def work(runtime: Runtime) -> None:
        await runtime.request(charge_request())
        shown.append(sdk.counted(names.QUEUE_DEPTH))

    sdk.run(shop, work, gauges=False)

    assert shown == [{}]


def test_two_runtimes_of_a_process_share_their_instruments() -> None:
    """The SDK warns of a second instrument of one name, and warnings are errors here."""
    sdk = Sdk()
    for key in ("c1", "c2"):

        async def work(runtime: Runtime, key: str = key) -> None:
            await runtime.request(charge_request(key))

        sdk.run(shop, work)

    assert sdk.counted(names.DELIVERIES)[CHARGE, "handled"] == 2


def test_the_series_of_a_counter_are_bounded() -> None:
    """The classes of exceptions are not ours."""
    reader = InMemoryMetricReader()
    metrics = Metrics(MeterProvider([reader], shutdown_on_exit=False).get_meter("test"))
    for number in range(SERIES_MAX + 10):
        metrics.add(names.COMMIT_CONFLICTS, f"address {number}")

    [resource] = reader.get_metrics_data().resource_metrics  # type: ignore[union-attr]
    [metric] = resource.scope_metrics[0].metrics
    values = {
        point.attributes[names.DESTINATION]: point.value  # type: ignore[index, union-attr]
        for point in metric.data.data_points
    }
    assert len(values) == SERIES_MAX + 1
    assert values["(other)"] == 10


@pytest.mark.parametrize("backend", ["memory:", "memory: memory:"])
def test_a_workflow_that_began_elsewhere_is_measured_all_the_same(backend: str) -> None:
    """The backend knows when."""
    sdk = Sdk()

    async def work(runtime: Runtime) -> None:
        observer: Any = runtime._observer
        # As after a restart.
        observer.shared.workflows._begun = Forgetful()
        await runtime.request(order_request())

    sdk.run(shop, work, backend)

    assert sdk.counted(names.WORKFLOW_DURATION) == {(ORDER, "1.0.0", "done"): 1}
    [workflow] = sdk.named(f"workflow {ORDER}")
    assert workflow.parent is not None


class Forgetful(dict[str, Any]):
    def __setitem__(self, key: str, value: Any) -> None:
        pass
