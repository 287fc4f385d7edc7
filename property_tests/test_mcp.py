"""MCP: what holds for the form of every contract, and for every sealed id."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from mcp.server.request_state import InvalidRequestState
from mcp.shared.exceptions import MCPError
from mcp_types._v2025_11_25 import PrimitiveSchemaDefinition
from pydantic import TypeAdapter

from arvo import Contract, Version
from arvo.agents.tools import NAME, tool_name
from arvo.mcp.forms import AS_JSON, OUTCOME, Question
from arvo.mcp.sealing import Seal, security_of
from arvo.testing import payloads
from arvo.testing.strategies.strategies import event_types

PRIMITIVE: TypeAdapter[Any] = TypeAdapter(PrimitiveSchemaDefinition)

_SCALARS = st.sampled_from(
    [
        {"type": "string"},
        {"type": "string", "maxLength": 5},
        {"type": "string", "enum": ["a", "b"]},
        {"type": "integer", "minimum": 0},
        {"type": "number"},
        {"type": "boolean"},
        {"type": "string", "format": "date"},
        {"type": "string", "format": "uuid"},
        {"const": "x"},
    ]
)
_FIELDS = (
    _SCALARS
    | _SCALARS.map(lambda it: {"anyOf": [it, {"type": "null"}]})
    | st.just({"type": "array", "items": {"type": "string"}})
    | st.just({"anyOf": [{"type": "string"}, {"type": "integer"}]})
    | st.just({"$ref": "#/$defs/Color"})
    | st.just({"$ref": "#/$defs/Line"})
)
_DEFS = {
    "Color": {"type": "string", "enum": ["red", "blue"]},
    "Line": {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]},
}


@st.composite
def schemas(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from(["a", "b", "c", OUTCOME]), unique=True, max_size=3))
    required = [name for name in names if draw(st.booleans())]
    return {
        "type": "object",
        "properties": {name: draw(_FIELDS) for name in names},
        "required": required,
        "additionalProperties": False,
        "$defs": _DEFS,
    }


def question_of(emits: Mapping[str, dict[str, Any]]) -> Question:
    contract = Contract(
        uri="#/ask",
        type="com.human.ask",
        versions={"1.0.0": Version(accepts={"type": "object"}, emits=emits)},
    )["1.0.0"]
    request = contract.accepts({}, source="com.office.web")
    return Question(evolve(request, source="arvo.orc.expense"), contract)


@given(st.data(), st.lists(schemas(), min_size=1, max_size=2))
def test_every_answer_of_a_contract_can_be_given_by_its_form(
    data: st.DataObject, drawn: list[dict[str, Any]]
) -> None:
    """The form has flat fields that a client can show, and its content becomes the answer."""
    emits = {f"evt.human.answer{number}": schema for number, schema in enumerate(drawn)}
    question = question_of(emits)
    schema = question.form().params.requested_schema  # type: ignore[union-attr]
    for field in schema["properties"].values():
        PRIMITIVE.validate_python(field)
    chosen = data.draw(st.sampled_from(sorted(emits)))
    payload = data.draw(payloads(emits[chosen]))

    content = {AS_JSON: orjson.dumps(payload).decode()} if AS_JSON in schema["properties"] else {}
    # A form has no null.
    content = content or {key: value for key, value in payload.items() if value is not None}
    if len(emits) > 1:
        content[OUTCOME] = chosen
    answer = question.answer(content)

    assert (answer.type, answer.parentid) == (chosen, question.request.id)
    given_back = orjson.loads(orjson.dumps(answer.to_dict()["data"], default=dict))
    required = emits[chosen]["required"]
    assert given_back == {
        key: value
        for key, value in payload.items()
        if value is not None or key in required or AS_JSON in content
    }


@given(event_types())
def test_the_name_of_a_tool_is_one_that_every_provider_allows(event_type: str) -> None:
    name = tool_name(event_type)
    assert NAME.fullmatch(name) or len(name) > 64


SEAL = Seal(security_of(("k" * 32,)).codec)
ID = SEAL.seal(None, "a subject")  # type: ignore[arg-type]


@given(st.integers(0, len(ID) - 1), st.characters(codec="utf-8"))
def test_no_altered_id_is_opened(position: int, character: str) -> None:
    altered = ID[:position] + character + ID[position + 1 :]
    if altered != ID:
        with pytest.raises(MCPError):
            SEAL.open(None, altered)  # type: ignore[arg-type]


@given(st.text())
def test_no_text_is_an_id(text: str) -> None:
    with pytest.raises(MCPError):
        SEAL.open(None, text)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequestState):
        SEAL.codec.unseal(text)
