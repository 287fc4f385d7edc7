"""Compatible: each breaking change of a contract, named with its path."""

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


def paying(accepts: Any, charged: Any = None, **more: Any) -> Contract[Any]:
    emits = {"evt.payment.charged": charged or schema(), **more}
    return Contract(
        uri="#/contracts/charge",
        type="com.payment.charge",
        versions={"1.0.0": Version(accepts=accepts, emits=emits)},
    )


TEXT, NUMBER = {"type": "string"}, {"type": "number"}

# What it was, what it is now, and where a consumer breaks (nothing: it does not).
ACCEPTED: dict[str, tuple[Any, Any, str]] = {
    "nothing has changed": (schema(("a",), a=TEXT), schema(("a",), a=TEXT), ""),
    "a field is demanded": (schema(a=TEXT), schema(("a",), a=TEXT), ".a"),
    "a field is no longer demanded": (schema(("a",), a=TEXT), schema(a=TEXT), ""),
    "a new field is demanded": (schema(), schema(("b",), b=TEXT), ".b"),
    "a new field has a default": (schema(), schema(("b",), b={**TEXT, "default": "x"}), ""),
    "a field is dropped": (schema(a=TEXT), schema(), ""),
    "a type changes": (schema(a=TEXT), schema(a=NUMBER), ".a"),
    "a type gets wider": (schema(a={"type": "integer"}), schema(a=NUMBER), ""),
    "a type gets narrower": (schema(a=NUMBER), schema(a={"type": "integer"}), ".a"),
    "null is no longer taken": (schema(a={"type": ["string", "null"]}), schema(a=TEXT), ".a"),
    "null is taken as well": (schema(a=TEXT), schema(a={"anyOf": [TEXT, {"type": "null"}]}), ""),
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
    "a nested field is demanded": (schema(a=schema()), schema(a=schema(("b",), b=TEXT)), ".a.b"),
    "other keys are refused": (
        {"type": "object", "additionalProperties": TEXT},
        {"type": "object", "additionalProperties": False},
        ".*",
    ),
    "what cannot be compared is new": (
        schema(a=TEXT),
        schema(a={**TEXT, "not": {"const": "x"}}),
        ".a",
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_accepted_may_get_wider_and_not_narrower(name: str) -> None:
    """Whoever asks sends what it always sent."""
    was, now, path = ACCEPTED[name]

    found = compatible(paying(was), paying(now))

    expected = [f"versions.1.0.0.accepts{path}"] if path else []
    assert [each.path for each in found.breaks] == expected
    assert bool(found) is (not path)


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_emitted_may_get_narrower_and_not_wider(name: str) -> None:
    """It is the other way round: what is turned breaks whom it did not break, and no one else."""
    was, now, path = ACCEPTED[name]

    found = compatible(paying(schema(), now), paying(schema(), was))

    expected = [f"versions.1.0.0.emits.evt.payment.charged{path}"] if path else []
    assert [each.path for each in found.breaks] == expected


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_producer_breaks_where_a_consumer_of_the_opposite_change_does(name: str) -> None:
    """Whoever answers by the old contract faces events of the new one."""
    was, now, path = ACCEPTED[name]

    found = compatible(paying(now), paying(was), side="producer")

    assert [each.path.removeprefix("versions.1.0.0.accepts") for each in found.breaks] == (
        [path] if path else []
    )


def test_an_answer_that_is_new_breaks_consumers_and_one_that_goes_breaks_producers() -> None:
    """Nobody waits for what it does not know."""
    less = paying(schema())
    more = paying(schema(), **{"evt.payment.declined": schema()})

    [new] = compatible(less, more).breaks
    [gone] = compatible(more, less, side="producer").breaks

    assert str(new) == (
        "versions.1.0.0.emits.evt.payment.declined: was nothing, now an event: "
        "whoever asks does not know this answer"
    )
    assert (gone.path, gone.was, gone.now) == (new.path, "an event", "nothing")
    assert compatible(more, less)
    assert compatible(less, more, side="producer")


def test_a_version_that_goes_breaks_consumers_and_one_that_comes_does_not() -> None:
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
    [gone] = compatible(two, charge).breaks
    assert (gone.path, gone.now) == ("versions.2.0.0", "nothing")
    [lacking] = compatible(charge, two, side="producer").breaks
    assert (lacking.path, lacking.was) == ("versions.2.0.0", "nothing")


def test_two_versions_alone_are_compared_with_each_other() -> None:
    """To choose the next number."""
    one, other = paying(schema(a=TEXT))["1.0.0"], paying(schema(("a",), a=TEXT))["1.0.0"]

    assert not compatible(one, other)
    assert compatible(other, one)


def test_what_was_exported_is_compared_as_well() -> None:
    """Of another service there is only the JSON."""
    was, now = paying(schema(a=TEXT)), paying(schema(a=NUMBER))

    found = compatible(was.json_schema(), now)

    assert str(found) == (
        "this breaks consumers:\n"
        "  versions.1.0.0.accepts.a: was string, now number: what is sent is refused"
    )
    assert repr(found) == str(found)
    assert str(compatible(was, was)) == "no consumer breaks"


@pytest.mark.parametrize(("term", "value"), [("domain", "far"), ("type", "com.payment.other")])
def test_an_address_that_changes_breaks_whoever_asks(term: str, value: str) -> None:
    """Events would go elsewhere."""
    terms: dict[str, Any] = {"uri": "#/c", "type": "com.payment.charge"}
    versions = {"1.0.0": Version(accepts=schema(), emits={})}
    one = Contract(**terms, versions=versions)
    other = Contract(**{**terms, term: value}, versions=versions)

    assert [each.path for each in compatible(one, other).breaks] == [f"versions.1.0.0.{term}"]


@frozen
class Tree:
    name: Annotated[str, Len(1, 9)]
    below: "tuple[Tree, ...]" = ()
    kind: Literal["leaf", "branch"] = "leaf"


@frozen
class Bigger:
    name: Annotated[str, Len(2, 9), Pattern("x")]
    below: "tuple[Bigger, ...]" = ()
    kind: Literal["leaf", "branch"] = "leaf"


def test_a_schema_that_holds_itself_is_compared_once() -> None:
    """And not for ever; each place is named."""
    found = compatible(paying(Tree), paying(Bigger))

    assert compatible(paying(Tree), paying(Tree))
    assert {each.path for each in found.breaks} == {
        "versions.1.0.0.accepts.name",
        "versions.1.0.0.accepts.below[].name",
    }


@frozen
class Priced:
    price: Annotated[float, Gt(0)]


@frozen
class Cheaper:
    price: Annotated[float, Ge(0)]


def test_a_contract_that_is_as_published_passes(tmp_path: Path) -> None:
    """Written once, and held against from then on."""
    file = tmp_path / "contracts" / "charge.json"
    check_published(charge, file, update=True)

    check_published(charge, file)

    assert compatible(Contract.from_json_schema(charge.json_schema()), charge)


def _told(check: Callable[[], None]) -> str:
    with pytest.raises(AssertionError) as failed:
        check()
    return str(failed.value)


def test_a_contract_that_has_changed_says_whom_it_breaks_and_how_to_publish(tmp_path: Path) -> None:
    """The author decides, and knows what follows."""
    file = tmp_path / "charge.json"
    check_published(paying(Priced), file, update=True)

    told = _told(lambda: check_published(paying(Cheaper), file))

    assert told == (
        f"#/contracts/charge is not what {file} says: pytest --update-contracts writes it\n"
        "no consumer breaks\n"
        "this breaks producers:\n"
        "  versions.1.0.0.accepts.price: was exclusiveMinimum 0, now minimum 0: "
        "what is sent is refused\n"
        "to break nobody, leave the version as it is and add another one"
    )


def test_a_contract_that_is_not_published_says_how(tmp_path: Path) -> None:
    """The first run of a new test."""
    told = _told(lambda: check_published(charge, tmp_path / "none.json"))

    assert told.endswith("none.json: pytest --update-contracts writes it")


PROJECT = """
from arvo import Contract, Version
contract = Contract(uri="#/c", type="com.c.c", versions={
    "1.0.0": Version(accepts={"type": "object"}, emits={})})

def test_the_contract_is_published(published):
    published(contract, "contracts/c.json")
"""


def test_the_fixture_compares_with_a_file_beside_the_test(tmp_path: Path) -> None:
    """In a project that has Arvo installed, without any configuration."""
    (tmp_path / "test_contracts.py").write_text(PROJECT)

    def passes(*options: str) -> bool:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        return done.returncode == 0

    assert not passes()
    assert passes("--update-contracts")
    assert passes()


def test_a_result_is_true_where_nobody_breaks() -> None:
    """So that a test may assert it."""
    assert Compatibility("consumer", ())
