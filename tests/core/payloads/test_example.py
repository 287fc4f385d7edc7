"""Example: a small valid value of a payload."""

from typing import Annotated, Literal

import pytest
from annotated_types import Ge, Gt, Le, Len, Lt, MultipleOf
from attrs import frozen

from arvo import Format, Pattern, Payload
from arvo.core.payloads.example import make_example
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
def test_an_example_is_a_valid_value_of_the_payload(kind: type) -> None:
    """The payload itself has read it."""
    assert isinstance(make_example(Payload.of(kind)), kind)


def test_an_example_of_a_schema_is_a_mapping() -> None:
    """An imported contract has no class."""
    schema = {"type": "object", "properties": {"n": {"minimum": 3, "type": "integer"}}}

    assert make_example(Payload.of({**schema, "required": ["n"]})) == {"n": 3}


@frozen
class Impossible:
    """A pattern that no candidate matches."""

    text: Annotated[str, Pattern("^xyzzy-42$")]


def test_a_payload_that_needs_a_cleverer_search_has_no_example() -> None:
    """A dry run of a flow then skips that path."""
    assert make_example(Payload.of(Impossible)) is None
