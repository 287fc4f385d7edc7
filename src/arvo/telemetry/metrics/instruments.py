"""Metrics: what the workers of a process did, as counters and histograms."""

from collections import Counter as Counts
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final, final

from attrs import define, field
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation
from opentelemetry.util.types import AttributeValue

from arvo.telemetry.conventions import buckets, names

# For a measurement: of an empty context the SDK takes the current one.
NO_SPAN: Final = Context({"arvo": None})

# The values of the attributes in the order of their names.
_Key = tuple[str, ...]

# The attributes of an operation on messages, and of an attempt at one.
_OPERATION: Final = (names.SYSTEM, names.DESTINATION, names.OPERATION, names.ERROR_TYPE)
_ATTEMPT: Final = (
    names.SYSTEM,
    names.OPERATION,
    names.DESTINATION,
    names.OUTCOME,
    names.ERROR_TYPE,
)
# By counter: its unit, its description and its attributes. One that is empty is left out.
_COUNTERS: Final[Mapping[str, tuple[str, str, tuple[str, ...]]]] = {
    names.SENT_MESSAGES: (
        "{message}",
        "Messages that were sent.",
        _OPERATION,
    ),
    names.CONSUMED_MESSAGES: (
        "{message}",
        "Messages that a worker received.",
        _OPERATION,
    ),
    names.DELIVERIES: (
        "{delivery}",
        "Attempts at a message, by their outcome.",
        (names.DESTINATION, names.OUTCOME),
    ),
    names.COMMIT_CONFLICTS: (
        "{conflict}",
        "Commits that met a newer record.",
        (names.DESTINATION,),
    ),
    names.WORKFLOWS_STARTED: (
        "{workflow}",
        "Workflows that took their first turn.",
        (names.WORKFLOW_TYPE, names.WORKFLOW_VERSION),
    ),
    names.WORKFLOWS_ENDED: (
        "{workflow}",
        "Workflows that ended.",
        (names.WORKFLOW_TYPE, names.WORKFLOW_VERSION, names.WORKFLOW_STATUS),
    ),
    names.UNAVAILABLE: ("{error}", "Times that the backend did not answer.", (names.SYSTEM,)),
    names.TRANSITIONS: (
        "{transition}",
        "Transitions of statecharts, by the active states after them.",
        (names.WORKFLOW_TYPE, names.TO),
    ),
}
# The series of one counter, of which the SDK has 2,000 at most. Addresses, outcomes and states are
# few; names of exceptions may not be.
SERIES_MAX: Final = 1_000
_OTHER: Final = "(other)"


@final
@define(eq=False)
class Metrics:
    """The instruments of one *meter*.

    A counter is a number in a dict, which the SDK reads when it exports: to add to one of the SDK's
    own takes 10 µs, as much as the rest of a span that is not sampled.
    """

    meter: Meter
    process_duration: Histogram = field(init=False)
    operation_duration: Histogram = field(init=False)
    delivery_wait: Histogram = field(init=False)
    effect_duration: Histogram = field(init=False)
    workflow_duration: Histogram = field(init=False)
    _counts: dict[str, Counts[_Key]] = field(init=False)
    # The attempts at a message, by the attributes of `messaging.process.duration`; two counters
    # are parts of it.
    _attempts: Counts[_Key] = field(factory=Counts, init=False)
    _labels: dict[_Key, dict[str, AttributeValue]] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._counts = {name: Counts() for name in _COUNTERS}
        for name, (unit, description, _) in _COUNTERS.items():
            callback = partial(self._observe, name)
            self.meter.create_observable_counter(name, [callback], unit, description)
        self.process_duration = self._histogram(
            names.PROCESS_DURATION, "The time of one attempt at a message.", buckets.OPERATION
        )
        self.operation_duration = self._histogram(
            names.OPERATION_DURATION,
            "The time that the backend takes to send or settle messages.",
            buckets.OPERATION,
        )
        self.delivery_wait = self._histogram(
            names.DELIVERY_WAIT,
            "The time from an event, or from when a timer is due, to its first delivery.",
            buckets.WAIT,
        )
        self.effect_duration = self._histogram(
            names.EFFECT_DURATION, "The time of an effect, with its retries.", buckets.EFFECT
        )
        self.workflow_duration = self._histogram(
            names.WORKFLOW_DURATION, "The time from begin to end.", buckets.WORKFLOW
        )

    def add(self, counter: str, *values: str) -> None:
        """Count one more, with the values of the counter's attributes in their order."""
        counts = self._counts[counter]
        if values not in counts and len(counts) >= SERIES_MAX:
            values = tuple(_OTHER for _ in values)
        counts[values] += 1

    def add_attempt(self, attempt: _Key, seconds: float) -> None:
        """Count an attempt at a message, and record how long it took.

        *attempt*: system, operation, destination, outcome, and class of the error or an empty text.
        """
        labels = self._labels.get(attempt)
        if labels is None:
            if len(self._labels) >= SERIES_MAX:
                attempt = tuple(_OTHER for _ in attempt)
            labels = self._labels[attempt] = _labels_of(_ATTEMPT, attempt)
        self._attempts[attempt] += 1
        # Without a context the SDK looks for the current span, to give it as an example.
        self.process_duration.record(seconds, labels, NO_SPAN)

    def add_operation(self, operation: _Key, seconds: float) -> None:
        """Record how long an operation on messages took.

        *operation*: system, destination, its name, and class of the error or an empty text.
        """
        labels = self._labels.get(operation)
        if labels is None:
            if len(self._labels) >= SERIES_MAX:
                operation = tuple(_OTHER for _ in operation)
            labels = self._labels[operation] = _labels_of(_OPERATION, operation)
        self.operation_duration.record(seconds, labels, NO_SPAN)

    def add_wait(self, destination: str, seconds: float) -> None:
        """Record how long a message waited for its first delivery."""
        self.delivery_wait.record(seconds, {names.DESTINATION: destination}, NO_SPAN)

    def _histogram(self, name: str, description: str, buckets: tuple[float, ...]) -> Histogram:
        return self.meter.create_histogram(
            name, "s", description, explicit_bucket_boundaries_advisory=buckets
        )

    def _observe(self, name: str, _: CallbackOptions) -> Iterable[Observation]:
        attributes = _COUNTERS[name][2]
        # A copy: the exporter has a thread of its own.
        counts = self._counts[name].copy()
        if name in (names.DELIVERIES, names.CONSUMED_MESSAGES):
            places = [_ATTEMPT.index(attribute) for attribute in attributes]
            for attempt, number in self._attempts.copy().items():
                counts[tuple(attempt[place] for place in places)] += number
        for values, number in counts.items():
            yield Observation(number, _labels_of(attributes, values))


def _labels_of(attributes: tuple[str, ...], values: _Key) -> dict[str, AttributeValue]:
    """Return attributes by their names, without those that are empty."""
    return {name: value for name, value in zip(attributes, values, strict=True) if value}
