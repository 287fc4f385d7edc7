"""Offloaded: every content comes back, equal bytes have one address, and no blob is lost."""

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from arvo import Event
from arvo.codecs import Codec, Place, Undecodable, composed, compressed, encrypted
from arvo.engine.step.route import ToCaller
from arvo.interpreters.codecs.offloaded import NotUploaded, Offloaded
from arvo.interpreters.codecs.reference import HEAD, Reference, is_key, reference_in
from arvo.interpreters.codecs.sweep import SPARED_DAYS, sweep_blobs
from arvo.interpreters.delivery.codec import decode_event, decode_waiting, encode_event
from arvo.testing import events
from tests.interpreters.codecs.documents import DictBlobs

KEYS: Final = {"first": bytes(32)}
INNER: Final = st.sampled_from(
    [None, compressed(), encrypted(KEYS), composed(compressed(), encrypted(KEYS))]
)
TEXT: Final = st.text(max_size=10)
PLACES: Final = st.builds(
    Place, st.sampled_from(["event", "record", "value", "progress", "report"]), TEXT, TEXT, TEXT
)
# Below and above a threshold, and those that begin as a reference does.
CONTENTS: Final = st.one_of(
    st.binary(max_size=300),
    st.builds(lambda part, number: part * number, st.binary(max_size=20), st.integers(0, 50)),
    st.builds(HEAD.__add__, st.binary(max_size=300)),
)
TODAY: Final = date(2026, 3, 1)
OVER: Final = st.integers(0, 400)


def encode(codec: Codec, content: bytes, place: Place) -> bytes:
    """Encode a content, and upload it where that asks for it: at most once."""
    try:
        return codec.encode(content, place)
    except NotUploaded as missing:
        missing.upload()
        return codec.encode(content, place)


def offloaded(store: DictBlobs, over: int, inner: Codec | None) -> Offloaded:
    return Offloaded(store, over, inner, lambda: TODAY)


@given(CONTENTS, PLACES, OVER, INNER)
def test_every_content_is_decoded_to_the_same(
    content: bytes, place: Place, over: int, inner: Codec | None
) -> None:
    """Also by a process that has uploaded nothing; what is stored is short."""
    store = DictBlobs()
    codec = offloaded(store, over, inner)
    text = encode(codec, content, place)

    assert offloaded(store, over, inner).decode(text, place) == content
    assert codec.decode(text, place) == content
    if place.kind not in ("progress", "report"):
        assert len(text) <= max(over, 100)


@given(CONTENTS, PLACES, PLACES, OVER)
def test_equal_bytes_have_one_address(
    content: bytes, place: Place, other: Place, over: int
) -> None:
    """Whoever writes them, wherever, on one day."""
    store = DictBlobs()
    texts = {encode(offloaded(store, over, None), content, each) for each in (place, other)}

    references = [reference_in(text) for text in texts if text.startswith(HEAD)]
    assert len({each.key for each in references if each is not None}) == len(store.blobs) <= 1
    assert all(blob == content for blob in store.blobs.values())


@given(CONTENTS, PLACES, st.integers(0), st.integers(1, 255), INNER)
def test_a_changed_blob_is_refused(
    content: bytes, place: Place, at: int, change: int, inner: Codec | None
) -> None:
    """Of the store of another team."""
    store = DictBlobs()
    codec = offloaded(store, 0, inner)
    text = encode(codec, content or b"{}", Place("record", place.subject))
    [(key, blob)] = store.blobs.items()
    changed = bytearray(blob)
    changed[at % len(changed)] ^= change
    store.blobs[key] = bytes(changed)

    with pytest.raises(Undecodable, match="was changed"):
        codec.decode(text, Place("record", place.subject))


@given(st.one_of(st.text(), st.from_regex(r"\A[0-9-]{10}/[0-9a-f]{64}/[0-9]{1,3}\Z")))
def test_a_text_is_a_reference_or_is_refused(text: str) -> None:
    """A reference in a damaged row must name no other file."""
    try:
        reference = Reference.parse(text)
    except ValueError:
        return
    assert is_key(reference.key)
    assert ".." not in reference.key


@settings(max_examples=10)
@given(events(), INNER, st.booleans())
def test_an_event_that_waits_has_all_but_its_data(
    event: Event[Any], inner: Codec | None, is_large: bool
) -> None:
    """A worker knows whose turn it is before it fetches the data; then it is the same event."""
    store = DictBlobs()
    codec = offloaded(store, 0 if is_large else 2**20, inner)
    try:
        text = encode_event(event, codec)
    except NotUploaded as missing:
        missing.upload()
        text = encode_event(event, codec)
    message = decode_waiting(text, ToCaller("com.caller"), codec)
    waiting = message.event

    assert message.lacks_data == bool(store.blobs)
    assert {**waiting.to_dict(), "data": None} == {**event.to_dict(), "data": None}
    asyncio.run(message.load_data())
    assert not message.lacks_data
    assert (waiting, waiting.raw) == (event, event.raw)
    assert decode_event(text, codec) == event


class Sweeping(RuleBasedStateMachine):
    """Writers on any number of processes, a database, and a sweep that is interrupted anywhere.

    A write encodes, commits on the same day or the next one, or never, as after a crash. Rows are
    deleted, and moved as timers are. While a sweep runs, the others go on.
    """

    CONTENTS: Final = [b'{"text": "%d"}' % number for number in range(3)]

    def __init__(self) -> None:
        super().__init__()
        self.today = TODAY
        self.store = DictBlobs(on_call=lambda *_: self.interrupt())
        self.codecs = [Offloaded(self.store, 0, None, lambda: self.today) for _ in range(2)]
        # Row ids and what the rows hold, and the writes that have encoded and not committed.
        self.rows: dict[int, tuple[bytes, bytes]] = {}
        self.writes: list[tuple[date, bytes, bytes]] = []
        self.number = 0
        self.planned: list[tuple[str, int]] = []
        self.is_sweeping = False

    @rule(writer=st.integers(0, 1), content=st.integers(0, 2))
    def encode(self, writer: int, content: int) -> None:
        text = encode(self.codecs[writer], self.CONTENTS[content], Place("record", "s"))
        self.writes.append((self.today, self.CONTENTS[content], text))

    @rule(writer=st.integers(0, 1), content=st.integers(0, 2))
    def upload_and_crash(self, writer: int, content: int) -> None:
        encode(self.codecs[writer], self.CONTENTS[content], Place("record", "s"))

    @rule(at=st.integers(0, 9))
    def commit(self, at: int) -> None:
        if self.writes:
            day, content, text = self.writes.pop(at % len(self.writes))
            if self.today - day <= timedelta(days=1):
                self.number += 1
                self.rows[self.number] = content, text

    @rule(at=st.integers(0, 9))
    def move(self, at: int) -> None:
        if self.rows:
            row = self.rows.pop([*self.rows][at % len(self.rows)])
            self.number += 1
            self.rows[self.number] = row

    @rule(at=st.integers(0, 9))
    def delete(self, at: int) -> None:
        if self.rows:
            del self.rows[[*self.rows][at % len(self.rows)]]

    @rule(writer=st.integers(0, 1), at=st.integers(0, 9))
    def read_and_write_again(self, writer: int, at: int) -> None:
        """As the history of the turn that consumes an event."""
        if self.rows:
            content, text = self.rows[[*self.rows][at % len(self.rows)]]
            codec = self.codecs[writer]
            assert codec.decode(text, Place("record", "s")) == content
            again = encode(codec, content, Place("record", "s"))
            self.writes.append((self.today, content, again))

    @rule(days=st.integers(1, 5))
    def wait(self, days: int) -> None:
        self.today += timedelta(days=days)

    @rule(
        planned=st.lists(
            st.tuples(
                st.sampled_from(["encode", "commit", "move", "delete", "read", "wait"]),
                st.integers(0, 9),
            ),
            max_size=8,
        )
    )
    def sweep(self, planned: list[tuple[str, int]]) -> None:
        self.planned, self.is_sweeping = planned, True

        async def referenced(keys: Sequence[str]) -> frozenset[str]:
            texts = [reference_in(text) for _, text in self.rows.values()]
            live = {each.key for each in texts if each is not None}
            found = frozenset(live.intersection(keys))
            self.interrupt()
            return found

        codec = Offloaded(self.store, 0, None, lambda: self.today)
        asyncio.run(sweep_blobs(codec, referenced))
        self.is_sweeping = False

    def interrupt(self) -> None:
        """Let the others go on, once for each call of the sweep."""
        if not self.is_sweeping or not self.planned:
            return
        self.is_sweeping = False
        name, at = self.planned.pop()
        match name:
            case "encode":
                self.encode(at % 2, at % 3)
            case "commit":
                self.commit(at)
            case "move":
                self.move(at)
            case "delete":
                self.delete(at)
            case "read":
                self.read_and_write_again(at % 2, at)
            case _:
                self.wait(1 + at % 2)
        self.is_sweeping = True

    @invariant()
    def every_row_is_readable(self) -> None:
        codec = Offloaded(self.store, 0, None, lambda: self.today)
        for content, text in self.rows.values():
            assert codec.decode(text, Place("record", "s")) == content

    def teardown(self) -> None:
        """Once it is quiet, a sweep leaves nothing but what a row refers to."""
        self.today += timedelta(days=SPARED_DAYS + 2)
        self.sweep([])
        references = [reference_in(text) for _, text in self.rows.values()]
        live = {each.key for each in references if each is not None}
        assert set(self.store.blobs) == live


def test_no_blob_is_lost_and_none_stays() -> None:
    """In any interleaving of writers, crashes, the retention and sweeps."""
    run_state_machine_as_test(Sweeping, settings=settings(max_examples=60, stateful_step_count=25))
