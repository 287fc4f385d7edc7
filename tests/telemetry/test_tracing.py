"""Tracing: what a span costs that the sampler drops, and what it must not cost."""

from collections import Counter
from typing import Any

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler, SamplingResult

from arvo import Event
from arvo.telemetry.conventions import names
from tests.shop import shop
from tests.telemetry.recorded import Sdk
from tests.telemetry.test_trees import order


class Asked(Sampler):
    """Decides as *inner*, and notes for which spans it was asked."""

    def __init__(self, inner: Sampler) -> None:
        self.inner, self.asked = inner, Counter[str]()

    def should_sample(
        self, parent_context: Any, trace_id: int, name: str, *more: Any, **options: Any
    ) -> SamplingResult:
        self.asked[name] += 1
        return self.inner.should_sample(parent_context, trace_id, name, *more, **options)

    def get_description(self) -> str:
        return "Asked"


def run(inner: Sampler, **options: Any) -> tuple[Sdk, Counter[str]]:
    sampler = Asked(inner)
    sdk = Sdk(sampler)
    sdk.run(shop, order, **options)
    return sdk, sampler.asked


def test_a_sampler_is_asked_once_for_each_span() -> None:
    """One that limits a rate counts how often it is asked."""
    sdk, asked = run(ALWAYS_ON)

    recorded = Counter(span.name for span in sdk.spans)
    assert asked == recorded
    assert run(ALWAYS_OFF)[1] == recorded


def test_nothing_is_described_for_a_span_that_is_dropped() -> None:
    """A function of the user may be slow, and no one sees what it returns."""
    described = Counter[str]()

    def describe(event: Event[Any]) -> dict[str, str]:
        described[event.type] += 1
        return {}

    sdk, _ = run(ALWAYS_OFF, attributes=describe, payloads=describe)

    assert (sdk.spans, described) == ((), {})


@pytest.mark.parametrize("inner", [ALWAYS_ON, ALWAYS_OFF])
def test_what_is_dropped_is_counted_all_the_same(inner: Sampler) -> None:
    """Metrics are of all deliveries."""
    sdk, _ = run(inner)

    assert sum(sdk.counted(names.DELIVERIES).values()) == 6
    assert sum(sdk.counted(names.PROCESS_DURATION).values()) == 6
