"""Tests of contracts over zod: data is valid if zod itself accepts it, and means the same.

The verdicts of zod 3 and 4 are recorded in `tests/data/zod/verdicts.json`: for each schema its
export (that of zod 3 by zod-to-json-schema), whether zod accepts each of the values, and what zod
made of those that it changed.
"""

import json
import pickle
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings

from arvo import Contract, OrchestratorContract, Payload, SimpleContract, Version, ZodSchema
from arvo.core.payloads.example import make_example
from arvo.core.violations.issue import Issues
from arvo.core.violations.violation import Violated
from arvo.testing import payloads

RECORDED: Final = json.loads(
    (Path(__file__).parents[2] / "data" / "zod" / "verdicts.json").read_text()
)
VALUES: Final[list[Any]] = RECORDED["values"]
SCHEMAS: Final[dict[str, Any]] = {it["name"]: it for it in RECORDED["schemas"]}
# The export of zod 3 has no word for an option (a datetime with offsets), numbers beyond 53 bits
# are others in JavaScript, and zod 4 makes a URL of text with spaces around it.
DIFFERENT: Final = {
    ("datetime3", "2020-01-01T00:00:00+02:00"),
    ("datetime3", "2020-01-01T00:00:00+0200"),
    ("datetime3", "2020-01-01T00:00+02:00"),
    ("mult53", 1e21),
    ("mult54", 9007199254740992),
    ("url4", " http://a "),
}


def document(accepts: Any, **more: Any) -> dict[str, Any]:
    """Return a contract as the TypeScript packages export it: without a type."""
    return {
        "uri": "#/zod",
        "domain": None,
        "description": None,
        "metadata": None,
        "versions": [
            {
                "version": "1.0.0",
                "accepts": {"type": "com.zod.check", "schema": accepts},
                "systemError": {"type": "sys.com.zod.check.error", "schema": {}},
                "emits": [],
            }
        ],
    } | more


def strip_of(schema: Any, **options: Any) -> Payload[Any]:
    """Return the payload that a contract of this schema accepts."""
    return Contract.from_json_schema(document(schema), **options)["1.0.0"].accepted


@pytest.mark.parametrize("name", SCHEMAS)
def test_data_is_valid_if_zod_accepts_it_and_has_the_same_meaning(name: str) -> None:
    """A handler in Python may stand in for one in TypeScript."""
    recorded = SCHEMAS[name]
    payload = strip_of(recorded["schema"])

    different = []
    for position, value in enumerate(VALUES):
        if isinstance(value, dict) and (name, _only(value)) in DIFFERENT:
            continue
        read = payload.read(value)
        accepted = recorded["accepts"][position] == "1"
        expected = recorded["outputs"].get(str(position), value)
        if accepted is isinstance(read, Issues) or (accepted and read != expected):
            different.append((value, accepted, read))

    assert not different


def _only(value: dict[str, Any]) -> Any:
    found = value.get("v")
    return found if isinstance(found, str | int | float) else None


OPEN: Any = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


def test_unknown_keys_are_refused_on_request() -> None:
    """`z.strictObject` is exported as `z.object` is."""
    assert strip_of(OPEN).read({"a": "x", "b": 1}) == {"a": "x"}
    refused = strip_of(OPEN, unknown="refuse").read({"a": "x", "b": 1})
    assert str(refused) == "data.b: expected no such key, got 1"


def test_a_document_of_ours_refuses_what_its_schema_refuses() -> None:
    """Its author wrote that."""
    own = document(OPEN, type="com.zod.check")

    strict, loose = Contract.from_json_schema(own), Contract.from_json_schema(own, unknown="strip")

    assert isinstance(strict["1.0.0"].accepted.read({"a": "x", "b": 1}), Issues)
    assert loose["1.0.0"].accepted.read({"a": "x", "b": 1}) == {"a": "x"}


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_contract_is_exported_as_it_was(name: str) -> None:
    """A service that reads it from here sees what one sees that reads it there."""
    contract = Contract.from_json_schema(document(SCHEMAS[name]["schema"]))
    exported = contract.json_schema()

    assert exported["versions"][0]["accepts"]["schema"] == SCHEMAS[name]["schema"]
    assert Contract.from_json_schema(exported) == contract
    assert pickle.loads(pickle.dumps(contract)) == contract  # noqa: S301  # our own


def test_simple_contracts_and_workflows_are_read_so_as_well() -> None:
    """Also with the key of the parent, which zod knows and the contract adds again."""
    simple = Contract.from_json_schema(
        document(
            OPEN,
            metadata={"contractType": "SimpleArvoContract", "rootType": "zod.check"},
            versions=[
                {
                    "version": "1.0.0",
                    "accepts": {"type": "com.zod.check", "schema": OPEN},
                    "emits": [{"type": "evt.zod.check.success", "schema": OPEN}],
                }
            ],
        )
    )
    parent = {"anyOf": [{"type": "string", "minLength": 1}, {"type": "null"}]}
    init = OPEN | {
        "properties": OPEN["properties"] | {"parentSubject$$": parent},
        "required": ["a", "parentSubject$$"],
    }
    started = Contract.from_json_schema(
        document(
            init,
            metadata={"contractType": "ArvoOrchestratorContract", "rootType": "zod.start"},
            versions=[
                {
                    "version": "1.0.0",
                    "accepts": {"type": "arvo.orc.zod.start", "schema": init},
                    "emits": [{"type": "arvo.orc.zod.start.done", "schema": OPEN}],
                }
            ],
        )
    )

    assert isinstance(simple, SimpleContract)
    emitted = simple["1.0.0"].emits(
        {"a": "x", "b": 1}, source="com.a.b", type="evt.zod.check.success"
    )
    assert emitted.data == {"a": "x"}
    assert isinstance(started, OrchestratorContract)
    event = started["1.0.0"].init({"a": "x", "b": 1}, source="com.a.b")
    assert event.raw == {"a": "x", "parentSubject$$": None}
    assert started["1.0.0"].accepted.read({**event.raw, "b": 1}) == event.raw


def test_a_schema_of_zod_alone_is_a_payload() -> None:
    """One event of a contract may be defined elsewhere."""
    contract = Contract(
        uri="#/one",
        type="com.one.event",
        versions={"1.0.0": Version(accepts=ZodSchema(OPEN), emits={})},
    )

    assert contract["1.0.0"].accepts({"a": "x", "b": 1}, source="com.a.b").raw == {"a": "x"}
    assert Payload.of(ZodSchema(OPEN)) != Payload.of(OPEN)
    assert Payload.of(ZodSchema(OPEN)) != Payload.of(ZodSchema(OPEN, strips=False))


def test_a_schema_that_is_none_is_refused_with_its_place() -> None:
    """As in every other contract."""
    with pytest.raises(Violated, match=r"versions\.1\.0\.0\.accepts: .*not a JSON Schema"):
        strip_of({"type": "object", "properties": {"a": {"type": "text"}}})


@pytest.mark.parametrize("name", ["obj3", "time3", "datetime3", "email3", "defaults4", "disc3"])
def test_values_are_drawn_and_made_up_as_zod_takes_them(name: str) -> None:
    """The strategies and the samples follow the schema by which data is checked."""
    payload = strip_of(SCHEMAS[name]["schema"])
    drawn: list[Any] = []

    @settings(max_examples=10, database=None, suppress_health_check=list(HealthCheck))
    @given(payloads(payload))
    def draw(value: Any) -> None:
        drawn.append(value)

    draw()

    assert drawn
    assert not any(isinstance(payload.read(value), Issues) for value in drawn)
    assert make_example(payload) is not None


@pytest.mark.parametrize(
    ("schema", "text", "message"),
    [
        ({"type": "string", "format": "time"}, "10", "a string that matches"),
        ({"type": "string", "maxLength": 1}, "😀", "expected at most 1 character, got '😀'"),
        ({"type": "string", "minLength": 5}, "😀", "expected at least 5 characters, got '😀'"),
    ],
)
def test_a_violation_says_what_zod_expects(schema: Any, text: str, message: str) -> None:
    """JavaScript counts the code units of a text."""
    payload = strip_of(OPEN | {"properties": {"a": schema}})

    assert message in str(payload.read({"a": text}))


def test_a_misspelt_treatment_of_unknown_keys_is_refused() -> None:
    """It would drop them where the author wants them refused."""
    wrong: Any = "refused"

    with pytest.raises(Violated, match=r"unknown: expected 'strip' or 'refuse', or no argument"):
        Contract.from_json_schema(document({"type": "object"}), unknown=wrong)
