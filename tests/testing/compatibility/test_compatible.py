"""Compatible: every breaking change of a contract is reported with its path."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Len
from attrs import frozen

from arvo import Contract, Pattern, Version
from arvo.testing import Compatibility, check_published, compatible
from tests.shop import CardCharged, CardDeclined, ChargeCard, charge


def schema(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def make_contract(accepts: Any, charged: Any = None, **more: Any) -> Contract[Any]:
    emits = {"evt.payment.charged": charged or schema(), **more}
    return Contract(
        uri="#/contracts/charge",
        type="com.payment.charge",
        versions={"1.0.0": Version(accepts=accepts, emits=emits)},
    )


TEXT, NUMBER = {"type": "string"}, {"type": "number"}

# Before, after, and the path at which consumers break; an empty path where they do not.
ACCEPTED: dict[str, tuple[Any, Any, str]] = {
    "nothing has changed": (schema(("a",), a=TEXT), schema(("a",), a=TEXT), ""),
    "a field becomes required": (schema(a=TEXT), schema(("a",), a=TEXT), ".a"),
    "a field becomes optional": (schema(("a",), a=TEXT), schema(a=TEXT), ""),
    "a new field is required": (schema(), schema(("b",), b=TEXT), ".b"),
    "a new field has a default": (schema(), schema(("b",), b={**TEXT, "default": "x"}), ""),
    "a field is dropped": (schema(a=TEXT), schema(), ""),
    "a type changes": (schema(a=TEXT), schema(a=NUMBER), ".a"),
    "a type gets wider": (schema(a={"type": "integer"}), schema(a=NUMBER), ""),
    "a type gets narrower": (schema(a=NUMBER), schema(a={"type": "integer"}), ".a"),
    "null is no longer accepted": (schema(a={"type": ["string", "null"]}), schema(a=TEXT), ".a"),
    "null is accepted as well": (schema(a=TEXT), schema(a={"anyOf": [TEXT, {"type": "null"}]}), ""),
    "a bound gets tighter": (
        schema(a={**NUMBER, "minimum": 0}),
        schema(a={**NUMBER, "minimum": 1}),
        ".a",
    ),
    "a bound is exclusive": (
        schema(a={**NUMBER, "minimum": 0}),
        schema(a={**NUMBER, "exclusiveMinimum": 0}),
        ".a",
    ),
    "a bound gets looser": (
        schema(a={**NUMBER, "maximum": 5}),
        schema(a={**NUMBER, "maximum": 6}),
        "",
    ),
    "a choice is dropped": (schema(a={"enum": ["x", "y"]}), schema(a={"enum": ["x"]}), ".a"),
    "a choice is added": (schema(a={"enum": ["x"]}), schema(a={"enum": ["x", "y"]}), ""),
    "a pattern is new": (schema(a=TEXT), schema(a={**TEXT, "pattern": "^x"}), ".a"),
    "a list gets shorter": (
        schema(a={"type": "array"}),
        schema(a={"type": "array", "maxItems": 2}),
        ".a",
    ),
    "an item changes": (
        schema(a={"type": "array", "items": TEXT}),
        schema(a={"type": "array", "items": NUMBER}),
        ".a[]",
    ),
    "a nested field becomes required": (
        schema(a=schema()),
        schema(a=schema(("b",), b=TEXT)),
        ".a.b",
    ),
    "other keys are refused": (
        {"type": "object", "additionalProperties": TEXT},
        {"type": "object", "additionalProperties": False},
        ".*",
    ),
    "a keyword that cannot be compared is new": (
        schema(a=TEXT),
        schema(a={**TEXT, "not": {"const": "x"}}),
        ".a",
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_narrower_accepted_schema_breaks_consumers(name: str) -> None:
    """Consumers send the same events as before."""
    before, after, path = ACCEPTED[name]

    result = compatible(make_contract(before), make_contract(after))

    expected = [f"versions.1.0.0.accepts{path}"] if path else []
    assert [change.path for change in result.breaking_changes] == expected
    assert bool(result) is (not path)


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_wider_emitted_schema_breaks_consumers(name: str) -> None:
    """The opposite of an accepted schema: the reverse change breaks, and no other."""
    before, after, path = ACCEPTED[name]

    result = compatible(make_contract(schema(), after), make_contract(schema(), before))

    expected = [f"versions.1.0.0.emits.evt.payment.charged{path}"] if path else []
    assert [change.path for change in result.breaking_changes] == expected


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_change_breaks_producers_where_its_reverse_breaks_consumers(name: str) -> None:
    """A producer of the old contract receives events of the new one."""
    before, after, path = ACCEPTED[name]

    result = compatible(make_contract(after), make_contract(before), side="producer")

    assert [
        change.path.removeprefix("versions.1.0.0.accepts") for change in result.breaking_changes
    ] == ([path] if path else [])


def test_a_new_event_breaks_consumers_and_a_removed_one_breaks_producers() -> None:
    """A consumer does not know the new event, and a producer still emits the removed one."""
    less = make_contract(schema())
    more = make_contract(schema(), **{"evt.payment.declined": schema()})

    [added] = compatible(less, more).breaking_changes
    [removed] = compatible(more, less, side="producer").breaking_changes

    assert str(added) == (
        "versions.1.0.0.emits.evt.payment.declined: was nothing, now an event: "
        "consumers do not know this event"
    )
    assert (removed.path, removed.before, removed.after) == (added.path, "an event", "nothing")
    assert compatible(more, less)
    assert compatible(less, more, side="producer")


def test_a_removed_version_breaks_consumers_and_an_added_one_does_not() -> None:
    """So a breaking change gets a version of its own."""
    two = Contract(
        uri="#/contracts/payment/charge",
        type="com.payment.charge",
        versions={
            "1.0.0": Version(
                accepts=ChargeCard,
                emits={"evt.payment.charged": CardCharged, "evt.payment.declined": CardDeclined},
            ),
            "2.0.0": Version(accepts=schema(), emits={}),
        },
    )

    assert compatible(charge, two)
    [removed] = compatible(two, charge).breaking_changes
    assert (removed.path, removed.after) == ("versions.2.0.0", "nothing")
    [added] = compatible(charge, two, side="producer").breaking_changes
    assert (added.path, added.before) == ("versions.2.0.0", "nothing")


def test_two_single_versions_are_compared_with_each_other() -> None:
    """The result helps to choose the next version number."""
    one, other = (
        make_contract(schema(a=TEXT))["1.0.0"],
        make_contract(schema(("a",), a=TEXT))["1.0.0"],
    )

    assert not compatible(one, other)
    assert compatible(other, one)


def test_exported_json_is_compared_as_well() -> None:
    """For a contract of another service, whose code is not there."""
    before, after = make_contract(schema(a=TEXT)), make_contract(schema(a=NUMBER))

    result = compatible(before.json_schema(), after)

    assert str(result) == (
        "these changes break consumers:\n"
        "  versions.1.0.0.accepts.a: was string, now number: the handler refuses such a value"
    )
    assert repr(result) == str(result)
    assert str(compatible(before, before)) == "no change breaks consumers"


@pytest.mark.parametrize(("term", "value"), [("domain", "far"), ("type", "com.payment.other")])
def test_a_changed_address_breaks_consumers(term: str, value: str) -> None:
    """Their events would be sent to another address."""
    terms: dict[str, Any] = {"uri": "#/c", "type": "com.payment.charge"}
    versions = {"1.0.0": Version(accepts=schema(), emits={})}
    one = Contract(**terms, versions=versions)
    other = Contract(**{**terms, term: value}, versions=versions)

    assert [change.path for change in compatible(one, other).breaking_changes] == [
        f"versions.1.0.0.{term}"
    ]


@frozen
class Tree:
    name: Annotated[str, Len(1, 9)]
    below: "tuple[Tree, ...]" = ()
    kind: Literal["leaf", "branch"] = "leaf"


@frozen
class StricterTree:
    name: Annotated[str, Len(2, 9), Pattern("x")]
    below: "tuple[StricterTree, ...]" = ()
    kind: Literal["leaf", "branch"] = "leaf"


def test_a_recursive_schema_is_compared_once() -> None:
    """The comparison ends, and reports each path."""
    result = compatible(make_contract(Tree), make_contract(StricterTree))

    assert compatible(make_contract(Tree), make_contract(Tree))
    assert {change.path for change in result.breaking_changes} == {
        "versions.1.0.0.accepts.name",
        "versions.1.0.0.accepts.below[].name",
    }


@frozen
class Priced:
    price: Annotated[float, Gt(0)]


@frozen
class PricedOrFree:
    price: Annotated[float, Ge(0)]


def test_a_contract_that_equals_its_published_file_passes(tmp_path: Path) -> None:
    """The file is written once and compared from then on."""
    file = tmp_path / "contracts" / "charge.json"
    check_published(charge, file, update=True)

    check_published(charge, file)

    assert compatible(Contract.from_json_schema(charge.json_schema()), charge)


def failure_of(check: Callable[[], None]) -> str:
    with pytest.raises(AssertionError) as failed:
        check()
    return str(failed.value)


def test_a_changed_contract_is_reported_with_its_breaking_changes(tmp_path: Path) -> None:
    """The author decides, and knows which side breaks and how to publish the change."""
    file = tmp_path / "charge.json"
    check_published(make_contract(Priced), file, update=True)

    text = failure_of(lambda: check_published(make_contract(PricedOrFree), file))

    assert text == (
        f"#/contracts/charge differs from the published file {file}: "
        "run pytest --update-contracts to write it\n"
        "no change breaks consumers\n"
        "these changes break producers:\n"
        "  versions.1.0.0.accepts.price: was exclusiveMinimum 0, now minimum 0: "
        "the handler refuses such a value\n"
        "to break neither side, leave this version unchanged and add a new version"
    )


def test_a_contract_without_a_published_file_is_reported_with_the_remedy(tmp_path: Path) -> None:
    """It is the first run of a new test."""
    text = failure_of(lambda: check_published(charge, tmp_path / "none.json"))

    assert text.endswith("none.json: run pytest --update-contracts to write it")


PROJECT = """
from arvo import Contract, Version
contract = Contract(uri="#/c", type="com.c.c", versions={
    "1.0.0": Version(accepts={"type": "object"}, emits={})})

def test_the_contract_is_published(published):
    published(contract, "contracts/c.json")
"""


def test_the_fixture_compares_with_a_file_next_to_the_test(tmp_path: Path) -> None:
    """In every project that has Arvo installed, without configuration."""
    (tmp_path / "test_contracts.py").write_text(PROJECT)

    def passes(*options: str) -> bool:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
        process = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        return process.returncode == 0

    assert not passes()
    assert passes("--update-contracts")
    assert passes()


def test_a_compatibility_without_breaking_changes_is_true() -> None:
    """So that a test can assert it."""
    assert Compatibility("consumer", ())
