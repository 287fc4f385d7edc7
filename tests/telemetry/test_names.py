"""Names: those of the semantic conventions are theirs."""

from importlib import import_module
from typing import Any

import pytest
from opentelemetry.semconv._incubating.metrics import messaging_metrics
from opentelemetry.semconv.schemas import Schemas

from arvo import Event
from arvo.telemetry.conventions import names
from tests.shop import charge_request

OURS = {name: value for name, value in vars(names).items() if name.isupper()}
ATTRIBUTES = "opentelemetry.semconv._incubating.attributes.{}_attributes"


def conventions(group: str) -> list[Any]:
    return list(vars(import_module(ATTRIBUTES.format(group))).values())


@pytest.mark.parametrize(
    "value",
    [
        value
        for name, value in OURS.items()
        if isinstance(value, str)
        and value.startswith(("messaging.", "error.", "exception."))
        and "messaging.client" not in value
        and "messaging.process" not in value
    ],
)
def test_an_attribute_of_the_conventions_has_its_name(value: str) -> None:
    """A backend shows what it knows by these names."""
    assert value in conventions(value.partition(".")[0])


@pytest.mark.parametrize(
    "value",
    [
        names.EVENT_ID,
        names.EVENT_SOURCE,
        names.EVENT_SPEC_VERSION,
        names.EVENT_SUBJECT,
        names.EVENT_TYPE,
    ],
)
def test_an_attribute_of_an_event_has_the_name_of_the_conventions(value: str) -> None:
    """Those for CloudEvents."""
    assert value in conventions("cloudevents")


@pytest.mark.parametrize(
    "value",
    [
        names.SENT_MESSAGES,
        names.CONSUMED_MESSAGES,
        names.OPERATION_DURATION,
        names.PROCESS_DURATION,
    ],
)
def test_a_metric_of_the_conventions_has_its_name(value: str) -> None:
    """A dashboard for messaging shows ours."""
    assert value in vars(messaging_metrics).values()


def test_the_schema_is_one_that_the_conventions_have() -> None:
    """A backend translates the names of a schema that it knows."""
    assert names.SCHEMA_URL in [schema.value for schema in Schemas]


def test_the_attributes_of_an_event_are_named_as_in_typescript() -> None:
    """So that a dashboard shows the spans of both languages."""
    event: Event[Any] = charge_request()
    ours = {value for value in OURS.values() if isinstance(value, str)}

    assert set(event.otel_attributes) <= ours
