"""Samples: values to try a handler out."""

from typing import Annotated, Literal

import pytest
from annotated_types import Ge, Gt, Le, Len, Lt, MultipleOf
from attrs import frozen

from arvo import Format, Pattern, Payload
from arvo.core.payloads.example import sample
from tests.core import samples
from tests.core.samples import Everything, Line, Order


@frozen
class Bounded:
    """One bound of each kind."""

    few: Annotated[int, Gt(3), Lt(5)]
    step: Annotated[int, MultipleOf(7), Ge(10)]
    share: Annotated[float, Gt(0), Lt(1)]
    low: Annotated[float, Le(-2.5)]
    code: Annotated[str, Pattern(r"^[A-Z]{2}-\d{2}$")]
    mail: Annotated[str, Format("email")]
    long: Annotated[str, Len(5, 9)]
    both: tuple[int, str]
    two: Annotated[list[Line], Len(2, 3)]
    kind: Literal["a", "b"]


@pytest.mark.parametrize("kind", [Bounded, Order, Line, Everything, samples.Card, samples.Cash])
def test_a_sample_is_a_value_that_the_payload_takes(kind: type) -> None:
    """It has been read by the payload itself."""
    assert isinstance(sample(Payload.of(kind)), kind)


def test_a_sample_of_a_schema_is_a_mapping() -> None:
    """A contract from elsewhere has no class."""
    schema = {"type": "object", "properties": {"n": {"minimum": 3, "type": "integer"}}}

    assert sample(Payload.of({**schema, "required": ["n"]})) == {"n": 3}


@frozen
class Impossible:
    """A pattern that nothing of ours is found in."""

    text: Annotated[str, Pattern("^xyzzy-42$")]


def test_what_takes_more_wit_has_no_sample() -> None:
    """Whoever rehearses a flow then leaves that way alone."""
    assert sample(Payload.of(Impossible)) is None
