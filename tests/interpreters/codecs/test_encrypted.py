"""Encrypted: what becomes of keys that are bad, missing or replaced, and of text that is clear."""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from arvo import (
    Backend,
    Client,
    Corrupt,
    DeadLetter,
    EncodedMessage,
    Event,
    InMemoryIndex,
    InMemoryMachineMemory,
    MemoryBackend,
    MemoryBroker,
    Runtime,
    SqliteBackend,
    System,
    TooLarge,
    Violated,
    paired,
)
from arvo.codecs import Codec, Place, Undecodable, composed, compressed, encrypted
from arvo.handlers.event_handler import EventHandler
from arvo.interpreters.codecs.unreadable import is_unreadable, stored_event
from arvo.interpreters.delivery.brokers.headers import INSIDE
from arvo.interpreters.postgres import PostgresBackend
from arvo.interpreters.runtime.backends import backend_from_url
from tests.interpreters.codecs.planted import (
    SECRET,
    SOURCE,
    Charge,
    Order,
    charge,
    journey,
    take,
    travel,
)
from tests.interpreters.postgres.schemas import schema_url

OLD: Final = bytes(32)
NEW: Final = bytes(range(32))
PLACE: Final = Place("record", "order-1")
SYSTEM: Final = System([EventHandler(charge, {"1.0.0": take}), travel])


def old(**options: Any) -> Codec:
    return encrypted({"old": OLD}, **options)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, "keys: expected a key of 32 bytes, by its id, got none"),
        ({"old": b"short"}, "keys['old']: expected 32 bytes, such as bytes.fromhex()"),
        ({"old": "0" * 32}, "got str"),
        ({"": OLD}, "keys: expected an id of 1 to 255 bytes, got ''"),
    ],
)
def test_a_bad_key_is_named_and_not_shown(keys: Mapping[str, bytes], expected: str) -> None:
    """A key of another length would be another cipher, and an error may be logged."""
    with pytest.raises(Violated) as refused:
        encrypted(keys)

    assert expected in str(refused.value)
    assert "short" not in str(refused.value)


def test_key_for_chooses_among_the_keys_by_the_place() -> None:
    """Each tenant has a key, and whoever has only that one reads nothing of the others."""
    keys = {"ann": OLD, "bob": NEW}
    codec = encrypted(keys, key_for=lambda place: place.subject.partition("/")[0])
    of_ann, of_bob = Place("record", "ann/1"), Place("record", "bob/1")

    assert encrypted({"ann": OLD}).decode(codec.encode(b"{}", of_ann), of_ann) == b"{}"
    with pytest.raises(Undecodable, match="needs the key 'bob'"):
        encrypted({"ann": OLD}).decode(codec.encode(b"{}", of_bob), of_bob)
    with pytest.raises(Violated, match="expected the id of a key"):
        codec.encode(b"{}", Place("record", "eve/1"))


def test_clear_text_is_read_where_that_was_asked_for() -> None:
    """Otherwise who can write to the store could have any text taken for ours."""
    with pytest.raises(Undecodable, match=r"is not encrypted: .*reads_clear=True"):
        old().decode(b"{}", PLACE)
    assert old(reads_clear=True).decode(b"{}", PLACE) == b"{}"


def test_a_text_is_compressed_before_it_is_encrypted() -> None:
    """In the other order nothing would get smaller."""
    codec = composed(compressed(), old())
    text = b'{"card": "4929"}' * 100

    assert len(codec.encode(text, PLACE)) < len(text) / 4
    assert codec.decode(codec.encode(text, PLACE), PLACE) == text


@pytest.mark.parametrize("damaged", [b"\xa2", b"\xa2nothing", b"\xa2" + bytes(40)])
def test_a_damaged_compressed_text_is_refused(damaged: bytes) -> None:
    """It is refused as a damaged database is, and not passed on."""
    with pytest.raises(Undecodable, match="damaged"):
        compressed().decode(damaged, PLACE)


def test_a_text_that_would_fill_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kilobyte may decompress to a gigabyte."""
    from arvo.interpreters.codecs import compressed as module

    monkeypatch.setattr(module, "CONTENT_BYTES_MAX", 1_000)

    with pytest.raises(Undecodable, match="more than 1000 bytes"):
        compressed().decode(compressed().encode(b"0" * 100_000, PLACE), PLACE)


def test_a_backend_that_was_made_already_takes_no_codec() -> None:
    """It would have written in the clear what the caller believes to be encrypted."""
    with pytest.raises(Violated, match="a URL with it, or a backend made with codec="):
        Client(SYSTEM, MemoryBackend(), codec=old())


def test_a_backend_that_cannot_encode_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend of another package may store everything in the clear."""
    monkeypatch.delattr(MemoryBackend, "with_codec")

    with pytest.raises(Violated, match="this backend stores everything in the clear"):
        backend_from_url("memory:", old())


async def dead_lettered(backend: Callable[[Codec], Backend], event: Event[Any]) -> DeadLetter:
    """Send an event under the old key to a worker with the new one; return its dead letter."""
    async with Client(SYSTEM, backend(old())) as client:
        await client.send(event)
    async with Runtime(SYSTEM, backend(encrypted({"new": NEW}))) as runtime:
        await runtime.drain(60)
        [dead_letter] = await runtime.dead_letters()
    return dead_letter


async def redriven(backend: Callable[[Codec], Backend], id_: str) -> tuple[int, int]:
    """Redrive a dead letter where both keys are known; return the events handled and left."""
    async with Runtime(SYSTEM, backend(encrypted({"new": NEW, "old": OLD}))) as runtime:
        await runtime.redrive_dead_letter(id_)
        stats = await runtime.drain(60)
        return stats.handled, len(await runtime.dead_letters())


def sqlite_file(folder: Path, codec: Codec) -> Backend:
    return SqliteBackend(str(folder / "arvo.db"), codec=codec)


def postgres_schema(folder: Path, codec: Codec) -> Backend:
    return PostgresBackend(schema_url(folder), codec=codec)


@pytest.mark.parametrize("store", [sqlite_file, postgres_schema])
def test_an_event_of_an_unknown_key_is_a_dead_letter_until_the_key_is_there(
    tmp_path: Path, store: Callable[[Path, Codec], Backend]
) -> None:
    """One such event must not stop a worker again and again, and must not be lost."""
    backend = partial(store, tmp_path)
    event = charge["1.0.0"].accepts(Charge(SECRET), source=SOURCE)
    dead_letter = asyncio.run(dead_lettered(backend, event))

    async def redrive_too_early() -> None:
        async with Client(SYSTEM, backend(encrypted({"new": NEW}))) as client:
            await client.redrive_dead_letter(dead_letter.id)

    with pytest.raises(Violated, match="needs the key 'old', add it to the keys"):
        asyncio.run(redrive_too_early())
    outcome = asyncio.run(redriven(backend, dead_letter.id))

    assert "needs the key 'old', add it to the keys" in dead_letter.reason
    assert SECRET not in str(dead_letter)
    assert outcome == (1, 0)


def test_a_message_of_an_unknown_key_is_a_dead_letter_of_a_pair() -> None:
    """As any message of a broker that cannot be read."""
    memory, broker, index = InMemoryMachineMemory(), MemoryBroker(), InMemoryIndex()

    def backend(codec: Codec) -> Backend:
        return paired(memory, broker, index=index, codec=codec)

    event = charge["1.0.0"].accepts(Charge(SECRET), source=SOURCE)
    dead_letter = asyncio.run(dead_lettered(backend, event))
    outcome = asyncio.run(redriven(backend, dead_letter.id))

    assert "needs the key 'old', add it to the keys" in dead_letter.reason
    assert SECRET not in str(dead_letter)
    assert outcome == (1, 0)


def test_a_clear_event_is_a_dead_letter_where_encryption_is_demanded(tmp_path: Path) -> None:
    """Who writes to the database cannot have a handler take an event of their own."""
    path = str(tmp_path / "arvo.db")

    async def scenario() -> DeadLetter:
        async with Client(SYSTEM, SqliteBackend(path)) as client:
            await client.send(charge["1.0.0"].accepts(Charge(SECRET), source=SOURCE))
        async with Runtime(SYSTEM, SqliteBackend(path, codec=old())) as runtime:
            await runtime.drain(60)
            [dead_letter] = await runtime.dead_letters()
            return dead_letter

    assert "is not encrypted" in asyncio.run(scenario()).reason


@pytest.mark.parametrize(("headers", "dead"), [({INSIDE: "yes"}, True), ({}, False)])
def test_a_clear_message_of_a_broker_is_one_from_outside(
    headers: dict[str, str], dead: bool
) -> None:
    """Other programs may begin workflows; none of them may write as a worker does."""
    broker = MemoryBroker()
    event = charge["1.0.0"].accepts(Charge(SECRET), source=SOURCE)
    message = EncodedMessage("com.charge", event.to_bytes(), headers, key=event.subject)
    backend = paired(InMemoryMachineMemory(), broker, codec=old())

    async def scenario() -> tuple[DeadLetter, ...]:
        async with Runtime(SYSTEM, backend) as runtime:
            await broker.publish([message])
            await runtime.drain(60)
            return await runtime.dead_letters()

    reasons = [entry.reason for entry in asyncio.run(scenario())]
    assert ["is not encrypted" in reason for reason in reasons] == [True] * dead


def test_an_event_that_is_too_long_when_it_is_encoded_is_refused() -> None:
    """A broker has a limit of its own, and base64 makes an event a third longer."""
    long = charge["1.0.0"].accepts(Charge("x" * 900_000), source=SOURCE)

    async def scenario(codec: Codec) -> None:
        backend = paired(InMemoryMachineMemory(), MemoryBroker(), codec=codec)
        async with Client(SYSTEM, backend) as client:
            await client.send(long)

    asyncio.run(scenario(composed(compressed(), old())))
    with pytest.raises(TooLarge, match="when it is encoded: at most 1048576"):
        asyncio.run(scenario(old()))


async def begin(backend: Backend) -> None:
    async with Runtime(SYSTEM, backend) as runtime:
        begun = journey["1.0.0"].init(Order(SECRET), source=SOURCE, workflow_id="journey-1")
        await runtime.send(begun)
        await runtime.drain(60)


async def described(backend: Backend) -> str:
    async with Client(SYSTEM, backend) as client:
        return str((await client.describe("journey-1")).record.to_dict())


@pytest.mark.parametrize(
    ("codec", "expected"),
    [
        (None, "is encoded: give the codec that wrote it, as codec= or by ARVO_CODEC"),
        (
            encrypted({"new": NEW}),
            "needs the key 'old', add it to the keys: this process has 'new'",
        ),
        (encrypted({"old": NEW}), "cannot be decrypted: .* or 'old' is another key"),
    ],
)
def test_a_record_that_cannot_be_decoded_names_the_remedy(
    tmp_path: Path, codec: Codec | None, expected: str
) -> None:
    """The operator has to add a key, and finds out which."""
    path = str(tmp_path / "arvo.db")
    asyncio.run(begin(SqliteBackend(path, codec=old())))

    with pytest.raises(Corrupt, match=expected):
        asyncio.run(described(SqliteBackend(path, codec=codec)))


def test_a_record_is_refused_in_the_row_of_another_workflow(tmp_path: Path) -> None:
    """Who writes to the database cannot give one customer the state of another one."""
    path = str(tmp_path / "arvo.db")
    backend = SqliteBackend(path, codec=old())

    async def scenario() -> None:
        async with Runtime(SYSTEM, backend) as runtime:
            for id_ in ("journey-1", "journey-2"):
                order = Order(f"{SECRET} of {id_}")
                await runtime.send(journey["1.0.0"].init(order, source=SOURCE, workflow_id=id_))
            await runtime.drain(60)

    asyncio.run(scenario())
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "update workflow set record = other.record from workflow as other"
            " where workflow.workflow_id = 'journey-1' and other.workflow_id = 'journey-2'"
        )

    with pytest.raises(Corrupt, match="it was moved here"):
        asyncio.run(described(SqliteBackend(path, codec=old())))


def test_what_was_written_in_the_clear_is_read_while_it_is_migrated(tmp_path: Path) -> None:
    """A running system gets its codec without a stop."""
    path = str(tmp_path / "arvo.db")
    asyncio.run(begin(SqliteBackend(path)))

    with pytest.raises(Corrupt, match="is not encrypted"):
        asyncio.run(described(SqliteBackend(path, codec=old())))
    assert SECRET in asyncio.run(described(SqliteBackend(path, codec=old(reads_clear=True))))


def test_no_event_of_a_sender_stands_for_another_one() -> None:
    """Redriven, it would become an event of the sender's choice that no door has checked."""
    event = stored_event("id-1", "com.charge", "2026-01-01T00:00:00.000Z", b"{}")

    assert is_unreadable(event, "id-1")
    assert not is_unreadable(event, "the fresh id of a dead letter")
