"""Codecs: an encoded text is decoded to the same, at its place, unchanged, and by a known key."""

from typing import Any, Final

import orjson
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from arvo import DeadLetter, Event, Record
from arvo.codecs import Codec, Place, Undecodable, composed, compressed, encrypted
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.interpreters.delivery.codec import (
    decode_dead_letter,
    decode_event,
    decode_record,
    encode_change,
    encode_dead_letter,
    encode_event,
    encode_record,
)
from arvo.testing import events, json_objects
from tests.shop import expect_commit, order_request, shop

KEYS: Final = {"first": bytes(32), "second": bytes(range(32))}
ENCRYPTED: Final = encrypted(KEYS)
CODECS: Final = st.sampled_from(
    [
        compressed(),
        ENCRYPTED,
        encrypted(KEYS, key_for=lambda place: "second" if place.subject else "first"),
        composed(compressed(), ENCRYPTED),
        composed(ENCRYPTED, compressed()),
        composed(compressed(), compressed()),
    ]
)
TEXT: Final = st.text(st.characters(), max_size=10)
PLACES: Final = st.builds(Place, st.sampled_from(["event", "record", "value"]), TEXT, TEXT, TEXT)
# Short ones, long ones that get smaller, and those that begin as encoded text does.
CONTENTS: Final = st.one_of(
    st.binary(max_size=600),
    st.builds(lambda part, number: part * number, st.binary(max_size=20), st.integers(0, 100)),
    st.builds(bytes.__add__, st.sampled_from([b"\xa1", b"\xa2"]), st.binary(max_size=300)),
)
RECORD: Final[Any] = expect_commit(shop, order_request()).record


@given(CODECS, CONTENTS, PLACES)
def test_every_content_is_decoded_to_the_same(codec: Codec, content: bytes, place: Place) -> None:
    """The promise of the protocol, which a backend builds on."""
    assert codec.decode(codec.encode(content, place), place) == content


@given(CONTENTS, PLACES, st.integers(0), st.integers(1, 255))
def test_a_changed_byte_is_refused(content: bytes, place: Place, at: int, change: int) -> None:
    """Of the head as of the text: nobody chooses what a handler reads."""
    text = bytearray(ENCRYPTED.encode(content, place))
    text[at % len(text)] ^= change

    with pytest.raises(Undecodable):
        ENCRYPTED.decode(bytes(text), place)


@given(CONTENTS, PLACES, st.integers(0))
def test_a_text_that_was_cut_off_is_refused(content: bytes, place: Place, end: int) -> None:
    """Also one of which nothing but the head is left."""
    text = ENCRYPTED.encode(content, place)

    with pytest.raises(Undecodable):
        ENCRYPTED.decode(text[: end % len(text)], place)


@given(CONTENTS, PLACES, PLACES)
def test_a_text_is_decoded_at_its_place_alone(content: bytes, place: Place, other: Place) -> None:
    """Texts cannot be swapped between workflows, events or columns."""
    text = ENCRYPTED.encode(content, place)

    if place == other:
        assert ENCRYPTED.decode(text, other) == content
    else:
        with pytest.raises(Undecodable):
            ENCRYPTED.decode(text, other)


@given(CONTENTS, PLACES)
def test_a_key_is_replaced_in_two_steps(content: bytes, place: Place) -> None:
    """First each process learns the new key, then the new key encrypts; both read all texts."""
    old = encrypted({"first": KEYS["first"]})
    learned = encrypted({"first": KEYS["first"], "second": KEYS["second"]})
    replaced = encrypted({"second": KEYS["second"], "first": KEYS["first"]})

    for writer, readers in ((old, (learned, replaced)), (replaced, (learned, replaced))):
        text = writer.encode(content, place)
        assert all(reader.decode(text, place) == content for reader in readers)
    with pytest.raises(Undecodable):
        old.decode(replaced.encode(content, place), place)


@settings(max_examples=30)
@given(CODECS, events())
def test_an_event_has_readable_attributes_and_all_of_its_data(
    codec: Codec, event: Event[Any]
) -> None:
    """What a store has of an event is the event, but for its data."""
    text = encode_event(event, codec)
    decoded = decode_event(text, codec)

    assert (decoded, decoded.raw) == (event, event.raw)
    shown, whole = orjson.loads(text), orjson.loads(event.to_bytes())
    shown.pop("data_base64", None), shown.pop("data", None), whole.pop("data")
    assert shown == whole


@settings(max_examples=30)
@given(CODECS, events(), TEXT)
def test_a_dead_letter_is_decoded_to_the_same(codec: Codec, event: Event[Any], reason: str) -> None:
    """With its reason, which may quote a payload."""
    at = "2026-01-01T00:00:00.000+00:00"
    dead_letter = DeadLetter(id="dl-1", event=event, reason=reason, attempts=1, at=at)

    assert decode_dead_letter(encode_dead_letter(dead_letter, codec), codec) == dead_letter


@settings(max_examples=50)
@given(CODECS, json_objects(), json_objects())
def test_a_record_is_decoded_to_the_same_with_its_changes(
    codec: Codec, state: Any, later: Any
) -> None:
    """A large record is stored as a log of changes, each of them encoded."""
    before: Record = evolve(RECORD, state=FrozenDict(state))
    after: Record = evolve(before, state=FrozenDict(later), revision=before.revision + 1)
    texts = encode_record(before, codec), encode_change(before, after, codec)

    decoded = decode_record(texts[0], [texts[1]], codec=codec, subject=before.subject)
    assert decoded == after
