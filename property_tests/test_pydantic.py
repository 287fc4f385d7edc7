"""Laws of payloads that are models of pydantic."""

import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError

import arvo.pydantic  # noqa: F401  # it registers the adapter
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issues


class Inner(BaseModel):
    number: int | None = None
    text: str = Field(default="", max_length=3)


class Model(BaseModel):
    it: int | str | Inner
    when: date | datetime | timedelta | None = None
    sizes: set[int] = set()
    total: Decimal = Decimal(0)
    id: UUID | None = None
    kind: Literal["a", 1] = "a"
    inner: dict[str, Inner] = {}


class Strict(Model):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


@frozen
class Holder:
    model: Model


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    st.sampled_from(
        ["a", "1", "2026-01-02", "2026-01-02T03:04:05", "P1D", "1.5", str(UUID(int=3))]
    ),
)
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["number", "text", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)
DATA = st.fixed_dictionaries(
    {"it": JSON},
    optional=dict.fromkeys(["when", "sizes", "total", "id", "kind", "inner", "unknown"], JSON),
)


@given(st.sampled_from([Model, Strict]), DATA)
def test_data_is_valid_if_pydantic_accepts_it(kind: type[BaseModel], data: dict[str, Any]) -> None:
    """The model is the one declaration, and its verdict the one that its author knows."""
    try:
        expected: Any = kind.model_validate_json(json.dumps(data))
    except ValidationError:
        expected = None
    payload: Payload[Any] = Payload.of(kind)

    result = payload.read(data)

    assert (None if isinstance(result, Issues) else result) == expected
    if isinstance(result, Issues):
        assert all(issue.path.startswith("data") for issue in result.items)
    held = Payload.of(Holder).read({"model": data})
    if kind is Model:
        assert (None if isinstance(held, Issues) else held.model) == expected


@given(st.sampled_from([Model, Strict]), DATA)
def test_what_is_written_is_read_back(kind: type[BaseModel], data: dict[str, Any]) -> None:
    """A sender and a receiver have the same model."""
    payload: Payload[Any] = Payload.of(kind)
    value = payload.read(data)
    if isinstance(value, Issues):
        return

    written = payload.write(value)

    if not isinstance(written, Issues):
        assert payload.write(payload.read(written)) == written
