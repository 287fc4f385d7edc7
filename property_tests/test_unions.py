"""Laws of payloads of several classes: data of one class is never read as another."""

from collections.abc import Sequence
from functools import cache
from itertools import combinations
from typing import Any, Literal

from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from arvo.core.payloads.payload import Payload
from arvo.core.payloads.types.classes import PayloadError
from arvo.core.violations.issue import Issues
from arvo.testing import payloads


@frozen
class ByText:
    by: str
    at: int = 0


@frozen
class ByNumber:
    by: int
    note: str = "none"


@frozen
class AtText:
    at: str
    by: str = "?"


@frozen
class Noted:
    note: str | None


@frozen
class Listed:
    note: list[int]
    at: int | None = None


@frozen
class Empty:
    pass


@frozen
class TaggedA:
    by: str = "?"
    kind: Literal["a"] = "a"


@frozen
class TaggedB:
    by: str = "!"
    kind: Literal["b", "c"] = "b"


@frozen
class TaggedNumber:
    kind: Literal[1]


CLASSES = (ByText, ByNumber, AtText, Noted, Listed, Empty, TaggedA, TaggedB, TaggedNumber)


def union_of(members: Sequence[type[Any]]) -> Payload[Any] | None:
    kind: Any = tuple(members)
    try:
        return Payload.of(kind)
    except PayloadError:
        return None


@cache
def unions() -> list[Payload[Any]]:
    """Return every union of two or three of the classes that a reader can tell apart."""
    groups = [*combinations(CLASSES, 2), *combinations(CLASSES, 3)]
    return [payload for payload in map(union_of, groups) if payload is not None]


@given(st.data())
def test_what_is_written_is_read_as_the_class_that_it_was(data: st.DataObject) -> None:
    payload = data.draw(st.deferred(lambda: st.sampled_from(unions())))
    value = data.draw(payloads(payload))

    written = payload.write(value)
    assert not isinstance(written, Issues)
    assert payload.read(written) == value
    assert type(payload.read(written)) is type(value)
    # A reader in another language has the schema alone.
    assert Payload.of(payload.schema).read(written) == written


@given(st.data())
def test_data_without_some_keys_and_with_foreign_ones_is_read_as_one_class_at_most(
    data: st.DataObject,
) -> None:
    payload = data.draw(st.deferred(lambda: st.sampled_from(unions())))
    written, other = payload.write(data.draw(payloads(payload))), {}
    if data.draw(st.booleans()):
        other = payload.write(data.draw(payloads(payload)))
    assert isinstance(written, dict)
    retained = [key for key in written if data.draw(st.booleans())]
    mixed: dict[str, Any] = {**other, **{key: written[key] for key in retained}}

    read = payload.read(mixed)
    fitting = [it for it in payload.types if not isinstance(Payload.of(it).read(mixed), Issues)]
    if isinstance(read, Issues):
        assert len(fitting) != 1 or "kind" not in mixed
    else:
        assert type(read) in fitting
        # Its tag says which; without one, it fits no other.
        assert fitting == [type(read)] or mixed["kind"] == getattr(read, "kind", None)


@given(st.lists(st.sampled_from(CLASSES), min_size=2, max_size=3, unique=True))
def test_the_order_of_the_classes_decides_nothing(members: Sequence[type[Any]]) -> None:
    assert (union_of(members) is None) == (union_of(members[::-1]) is None)
