"""Union: one payload of several classes, of which data fits exactly one."""

import pickle
from typing import Any, Literal, Union

import pytest
from attrs import frozen

from arvo.core.payloads.example import make_example
from arvo.core.payloads.payload import Payload
from arvo.core.payloads.types.classes import PayloadError
from arvo.core.violations.issue import Issue, Issues


@frozen
class Approved:
    by: str
    limit: int = 0


@frozen
class Rejected:
    reason: str


@frozen
class Granted:
    by: str
    kind: Literal["granted"] = "granted"


@frozen
class Denied:
    by: str
    kind: Literal["denied", "refused"] = "denied"


@frozen
class ByNumber:
    by: int


@frozen
class Everything:
    by: str
    reason: str


@pytest.mark.parametrize("kind", [Approved | Rejected, (Approved, Rejected)])
def test_data_is_read_as_the_class_whose_keys_it_has(kind: Any) -> None:
    payload: Payload[Any] = Payload.of(kind)

    assert payload.types == (Approved, Rejected)
    assert payload.read({"by": "ann"}) == Approved("ann")
    assert payload.read({"reason": "score", "unknown": 1}) == Rejected("score")
    assert payload.write(Rejected("score")) == {"reason": "score"}
    assert payload.write({"by": "ann"}) == {"by": "ann", "limit": 0}


def test_data_is_read_by_the_tag_of_its_class() -> None:
    payload: Payload[Any] = Payload.of((Granted, Denied))

    assert payload.read({"by": "ann", "kind": "refused"}) == Denied("ann", "refused")
    assert payload.read({"by": "ann"}) == Issues.one(
        "data.kind", "one of 'granted', 'denied', 'refused'", "None"
    )


def test_types_of_one_key_tell_classes_apart() -> None:
    payload: Payload[Any] = Payload.of((Approved, ByNumber))

    assert payload.read({"by": "ann"}) == Approved("ann")
    assert payload.read({"by": 1}) == ByNumber(1)


def test_data_of_two_classes_or_none_is_refused() -> None:
    """A guess would turn a rejection into an approval."""
    payload: Payload[Any] = Payload.of(Approved | Rejected)

    both = payload.read({"by": "ann", "reason": "score"})
    assert isinstance(both, Issues)
    assert both.items[0].expected == "data of only one of Approved | Rejected"
    assert payload.read({"reason": 1}) == Issues.of(
        [Issue("data.reason", "a string", "1")],
    )
    assert isinstance(payload.read([]), Issues)
    assert isinstance(payload.write(Granted("ann")), Issues)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ((Approved, Everything), "give each a field of one name and a Literal of its own"),
        ((Approved, dict[str, int]), "has only classes"),
        (Union[Approved, None], "has only classes"),  # noqa: UP007 - the other spelling
        ((Approved, Approved), "names each class once"),
        ((), "at least one class"),
    ],
)
def test_classes_that_no_reader_can_tell_apart_are_refused(kind: Any, message: str) -> None:
    with pytest.raises(PayloadError, match=message):
        Payload.of(kind)


def test_only_an_outcome_is_one_of_several_classes() -> None:
    extra = {"key": {"type": "string"}}

    with pytest.raises(PayloadError, match="completes a workflow"):
        Payload.of(Approved | Rejected, extra=extra)


def test_the_schema_lists_the_classes_and_requires_the_tag() -> None:
    """A reader in another language sees the same alternatives."""
    schema = Payload.of((Granted, Denied)).schema

    assert schema["title"] == "Granted | Denied"
    assert schema["anyOf"] == [
        {"$ref": "#/$defs/Granted", "required": ["kind"]},
        {"$ref": "#/$defs/Denied", "required": ["kind"]},
    ]
    imported = Payload.of(schema)
    assert imported.read({"by": "ann", "kind": "denied"}) == {"by": "ann", "kind": "denied"}
    assert isinstance(imported.read({"by": "ann"}), Issues)


def test_a_union_is_equal_to_itself_after_pickling_and_has_an_example() -> None:
    payload: Payload[Any] = Payload.of((Approved, Rejected))

    copied = pickle.loads(pickle.dumps(payload))  # noqa: S301 - its own
    assert copied == payload == Payload.of(payload)
    assert Payload.of((Approved,)) == Payload.of(Approved)
    assert make_example(payload) == Approved("a", 0)
