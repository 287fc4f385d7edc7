"""Offloaded: large contents in a blob store, its faults, and when a blob is deleted."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from obstore.store import LocalStore

from arvo import (
    Backend,
    Client,
    Corrupt,
    DeadLetter,
    EncodedMessage,
    Event,
    InMemoryIndex,
    InMemoryMachineMemory,
    MemoryBroker,
    PostgresBackend,
    Retention,
    Retry,
    Runtime,
    SqliteBackend,
    TooLarge,
    Violated,
    paired,
    read_archive,
)
from arvo.cli.app import run_command
from arvo.codecs import Codec, Place, Undecodable, composed, compressed, encrypted, offloaded
from arvo.interpreters.codecs.offloaded import Offloaded
from arvo.interpreters.codecs.reference import DATA_REF, reference_in
from arvo.interpreters.codecs.sweep import SPARED_DAYS, sweep_blobs
from arvo.interpreters.codecs.waiting import encoding
from arvo.interpreters.delivery.brokers.headers import INSIDE
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.memory import MemoryBackend
from arvo.interpreters.ports.errors import BlobMissing, BlobUnavailable
from arvo.interpreters.postgres.session import maintenance
from arvo.interpreters.services import sweeps
from tests.interpreters.codecs.documents import (
    LARGE,
    SOURCE,
    TIMEOUT,
    DictBlobs,
    Scan,
    Scanned,
    days_ago,
    document,
    scan,
    system,
)
from tests.interpreters.codecs.planted import WORKFLOWS, planted
from tests.interpreters.postgres.schemas import schema_url
from tests.interpreters.until import until

KEYS: Final = {"2026": bytes(range(32))}
PLACE: Final = Place("record", "document-1")
RETRY: Final = Retry(delay=0.01, longest=0.01)
# For a process that is named it in its environment.
BLOBS: Final = DictBlobs()
CODEC: Final = Offloaded(BLOBS, over=0)


def on_sqlite(folder: Path, codec: Codec | None, **options: Any) -> Backend:
    return SqliteBackend(str(folder / "arvo.db"), codec=codec, **options)


def on_postgres(folder: Path, codec: Codec | None, **options: Any) -> Backend:
    return PostgresBackend(schema_url(folder), codec=codec, **options)


def on_pair(folder: Path, codec: Codec | None) -> Backend:
    index = InMemoryIndex()
    return paired(InMemoryMachineMemory(), MemoryBroker(), index=index, codec=codec)


def in_memory(folder: Path, codec: Codec | None) -> Backend:
    backend = MemoryBackend()
    return backend if codec is None else backend.with_codec(codec)


ALL: Final = pytest.mark.parametrize("open_it", [in_memory, on_pair, on_postgres, on_sqlite])
DATABASES: Final = pytest.mark.parametrize("open_it", [on_postgres, on_sqlite])
Open = Callable[..., Backend]


@ALL
def test_a_payload_above_the_limit_of_an_event_goes_through_a_system(
    tmp_path: Path, open_it: Open
) -> None:
    """The limit is for what travels, which is a reference."""
    backend = open_it(tmp_path, Offloaded(DictBlobs()))

    async def scenario() -> tuple[Any, Any]:
        async with Runtime(system, backend) as runtime:
            answer = await runtime.request(document("document-1"), timeout=TIMEOUT)
            await runtime.drain(TIMEOUT)
            return answer.data.characters, await runtime.history("document-1")

    characters, history = asyncio.run(scenario())
    assert characters == len(LARGE)
    assert [entry.event.raw.get("text") for entry in history][:2] == [LARGE, LARGE]


@ALL
def test_without_a_blob_store_such_a_payload_is_refused(tmp_path: Path, open_it: Open) -> None:
    """With the remedy."""
    backend = open_it(tmp_path, None)

    async def scenario() -> None:
        async with Client(system, backend) as client:
            await client.send(document("document-1"))

    with pytest.raises(TooLarge, match=r"give the codec arvo\.codecs\.offloaded"):
        asyncio.run(scenario())


def test_the_store_has_what_the_codecs_before_have_encoded(tmp_path: Path) -> None:
    """A bucket is read by more people than the system is, and so is the database."""
    folder = tmp_path / "blobs"
    codec = composed(compressed(), encrypted(KEYS), offloaded(f"file://{folder}", over=1024))
    backend = on_sqlite(tmp_path, codec)
    # Not to be compressed to some bytes.
    text = "".join(f"{number:x}planted-page" for number in range(60_000))

    async def scenario() -> int:
        async with Runtime(system, backend) as runtime:
            answer = await runtime.request(document("document-1", text), timeout=TIMEOUT)
            return int(answer.data.characters)

    assert asyncio.run(scenario()) == len(text)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    blobs = [path for path in files if path.is_relative_to(folder / str(days_ago(0)))]
    assert blobs
    assert not any(b"planted" in path.read_bytes() for path in files)
    assert sum(path.stat().st_size for path in set(files) - set(blobs)) < len(text)


def test_a_reference_follows_from_the_bytes(tmp_path: Path) -> None:
    """A repeated write, also by another process, makes no second blob."""
    store = DictBlobs()
    contents = [encoded(Offloaded(store, over=10), LARGE.encode()) for _ in range(2)]

    assert contents[0] == contents[1]
    assert len(store.blobs) == 1
    reference = reference_in(contents[0])
    assert reference is not None
    assert store.blobs[reference.key] == LARGE.encode()


def encoded(codec: Offloaded, content: bytes, place: Place = PLACE) -> bytes:
    """Encode a content, with an upload where that asks for one."""
    return asyncio.run(encoding(codec, lambda: codec.encode(content, place)))


def test_an_event_that_is_sent_twice_is_handled_once(tmp_path: Path) -> None:
    """Events are compared by their data, wherever that is; encrypted, its blobs differ."""
    codec = composed(encrypted(KEYS), Offloaded(DictBlobs()))
    backend = on_sqlite(tmp_path, codec)
    event = scan["1.0.0"].accepts(Scan(LARGE), source=SOURCE)

    async def scenario() -> tuple[int, int]:
        async with Runtime(system, backend) as runtime:
            for _ in range(2):
                await runtime.send(event)
                stats = await runtime.drain(TIMEOUT)
        return stats.handled, stats.duplicates

    assert asyncio.run(scenario()) == (1, 1)


@pytest.mark.parametrize("over", [0, 1023, 512 * 1024 + 1, True, 1e6, "1 MiB"])
def test_a_threshold_beyond_its_limits_is_refused(tmp_path: Path, over: Any) -> None:
    """A reference takes some bytes, and an event with inline data must not be too large."""
    with pytest.raises(Violated, match="over: expected a whole number of bytes from 1024"):
        offloaded(f"file://{tmp_path}", over=over)


def test_a_url_that_names_no_store_is_refused_without_its_password() -> None:
    """An error may be logged."""
    with pytest.raises(Violated, match=r"store: expected file:///folder, s3://") as refused:
        offloaded("ftp://user:password@host/folder")

    assert "password" not in str(refused.value)


def test_no_codec_comes_behind_the_blob_store() -> None:
    """The store would have the contents as they are."""
    with pytest.raises(Violated, match=r"offloaded\(\.\.\.\) as the last one"):
        composed(Offloaded(DictBlobs()), encrypted(KEYS))


def test_composed_codecs_are_composed_with_a_blob_store() -> None:
    """Whichever way they are grouped."""
    store = DictBlobs()
    inner = composed(encrypted(KEYS), Offloaded(store, over=0))
    codec = composed(compressed(), inner)

    assert isinstance(codec, Offloaded)
    content = encoded(codec, LARGE.encode())
    assert codec.decode(content, PLACE) == LARGE.encode()
    assert [len(blob) < len(LARGE) / 10 for blob in store.blobs.values()] == [True]


@pytest.mark.parametrize("damaged", [b"\xa3", b"\xa3nothing", b"\xa32026-01-01/abc/7"])
def test_a_damaged_reference_is_refused(damaged: bytes) -> None:
    """It must not name any file."""
    with pytest.raises(Undecodable, match="is no reference to a blob"):
        Offloaded(DictBlobs()).decode(damaged, PLACE)


def test_a_changed_blob_is_refused() -> None:
    """Its address is that of other bytes."""
    store = DictBlobs()
    codec = Offloaded(store, over=0)
    content = encoded(codec, b"{}")
    store.blobs = dict.fromkeys(store.blobs, b"[]")

    with pytest.raises(Undecodable, match=r"in dict, the record of document-1, was changed"):
        codec.decode(content, PLACE)


async def wait_for_dead_letters(runtime: Runtime, number: int) -> tuple[DeadLetter, ...]:
    async def are_there() -> bool:
        return len(await runtime.dead_letters()) == number

    async with asyncio.timeout(TIMEOUT):
        await until(are_there)
    return await runtime.dead_letters()


@pytest.mark.parametrize("open_it", [on_pair, on_postgres, on_sqlite])
def test_an_unavailable_store_holds_up_what_needs_it_alone(tmp_path: Path, open_it: Open) -> None:
    """The others go on, and what needs it is tried again."""
    store = DictBlobs()
    backend = open_it(tmp_path, Offloaded(store))
    large = scan["1.0.0"].accepts(Scan(LARGE), source=SOURCE)

    async def scenario() -> tuple[int, int, int]:
        async with Client(system, backend) as client:
            await client.send(large)
        store.is_down = True
        async with Runtime(system, backend, retry=RETRY) as runtime:
            small = await runtime.request(document("document-2", "small"), timeout=TIMEOUT)
            with pytest.raises(BlobUnavailable, match="cannot be reached in dict"):
                await runtime.send(document("document-3"))
            async with asyncio.timeout(TIMEOUT):
                # More often than the policy allows.
                await until(lambda: runtime.stats().retried > 5)
            store.is_down = False
            stats = await runtime.drain(TIMEOUT)
            return small.data.characters, stats.dead_lettered, len(await runtime.dead_letters())

    assert asyncio.run(scenario()) == (5, 0, 0)


@DATABASES
def test_a_missing_blob_of_an_event_is_a_dead_letter_with_its_key(
    tmp_path: Path, open_it: Open
) -> None:
    """Restored, it can be redriven: the dead letter has the reference."""
    store = DictBlobs()
    backend = open_it(tmp_path, Offloaded(store))

    async def scenario() -> tuple[DeadLetter, int, int]:
        async with Client(system, backend) as client:
            await client.send(document("document-1"))
        [key] = store.blobs
        lost = store.blobs.pop(key)
        async with Runtime(system, backend) as runtime:
            # It serves the others.
            await runtime.request(document("document-2", "small"), timeout=TIMEOUT)
            [dead_letter] = await wait_for_dead_letters(runtime, 1)
            store.blobs[key] = lost
            await runtime.redrive_dead_letter(dead_letter.id)
            await runtime.drain(TIMEOUT)
            record = await runtime.record("document-1")
            assert record is not None
            assert key in dead_letter.reason
            return dead_letter, len(await runtime.dead_letters()), record.revision

    dead_letter, left, revision = asyncio.run(scenario())
    assert "is not in dict: restore it" in dead_letter.reason
    assert (left, revision) == (0, 3)


@DATABASES
def test_a_missing_blob_of_a_record_stops_that_workflow_alone(
    tmp_path: Path, open_it: Open
) -> None:
    """A worker that stopped for one lost file would stop all of them."""
    store = DictBlobs()
    backend = open_it(tmp_path, Offloaded(store))
    halfway = LARGE[: 400 * 1024]

    async def scenario() -> tuple[str, int]:
        async with Runtime(system, backend) as runtime:
            await runtime.request(document("document-1", halfway), timeout=TIMEOUT)
            await runtime.drain(TIMEOUT)
            record = await runtime.record("document-1")
        assert record is not None
        store.blobs = {key: blob for key, blob in store.blobs.items() if b'"journal"' not in blob}
        async with Runtime(system, backend) as runtime:
            late = scan["1.0.0"].emits(
                Scanned("late"), source="com.scan", subject=record.subject, to=record.handler
            )
            await runtime._send(late)
            [dead_letter] = await wait_for_dead_letters(runtime, 1)
            small = await runtime.request(document("document-2", "small"), timeout=TIMEOUT)
            with pytest.raises(BlobMissing):
                await runtime.record("document-1")
            return dead_letter.reason, small.data.characters

    reason, characters = asyncio.run(scenario())
    assert "is not in dict: restore it" in reason
    assert characters == 5


def test_a_process_without_the_codec_names_it(tmp_path: Path) -> None:
    """And keeps the reference, for one that has it."""
    store = DictBlobs()
    codec = Offloaded(store)

    async def send() -> None:
        async with Client(system, on_sqlite(tmp_path, codec)) as client:
            await client.send(document("document-1"))

    async def fail() -> DeadLetter:
        async with Runtime(system, on_sqlite(tmp_path, None)) as runtime:
            [dead_letter] = await wait_for_dead_letters(runtime, 1)
            return dead_letter

    async def mend(id_: str) -> frozenset[str]:
        backend = on_sqlite(tmp_path, codec)
        assert isinstance(backend, SqliteBackend)
        async with Client(system, backend) as client:
            live = await backend.referenced([*store.blobs])
            await client.redrive_dead_letter(id_)
            return live

    asyncio.run(send())
    dead_letter = asyncio.run(fail())
    assert "is encoded: give the codec that wrote it" in dead_letter.reason
    assert asyncio.run(mend(dead_letter.id)) == frozenset(store.blobs)


@pytest.mark.parametrize("other", [compressed(), encrypted(KEYS, reads_clear=True)])
def test_another_codec_does_not_take_a_reference_for_a_content(
    tmp_path: Path, other: Codec
) -> None:
    """The store is not damaged."""
    codec = Offloaded(DictBlobs(), over=0)
    asyncio.run(begin(on_sqlite(tmp_path, codec)))

    async def describe() -> None:
        async with Client(system, on_sqlite(tmp_path, other)) as client:
            await client.describe("document-1")

    with pytest.raises(Corrupt, match="is encoded: give the codec that wrote it"):
        asyncio.run(describe())


async def begin(backend: Backend) -> None:
    async with Runtime(system, backend) as runtime:
        await runtime.request(document("document-1", "small"), timeout=TIMEOUT)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Purge with each poll, and sweep all the time."""
    monkeypatch.setattr(maintenance, "PURGE_SECONDS", 0.0)
    monkeypatch.setattr(sweeps, "SWEEP_SECONDS", 0.01)


@DATABASES
@pytest.mark.usefixtures("often")
def test_a_blob_is_deleted_with_the_last_thing_that_refers_to_it(
    tmp_path: Path, open_it: Open
) -> None:
    """The workers do that by themselves, a while after the retention has deleted the workflow."""
    store = DictBlobs()
    late = [timedelta()]
    today = [days_ago(0)]
    codec = Offloaded(store, today=lambda: today[0])
    retention = Retention(finished=timedelta(days=1))
    backend = open_it(tmp_path, codec, retention=retention, now=lambda: utc_now() + late[0])

    async def scenario() -> int:
        async with Runtime(system, backend) as runtime:
            await runtime.request(document("document-1"), timeout=TIMEOUT)
            await runtime.drain(TIMEOUT)
            today[0] += timedelta(days=SPARED_DAYS)
            calls: list[str] = []
            store.on_call = lambda call, _: calls.append(call)
            # One sweep has begun and ended. Nothing is lost that the history refers to.
            async with asyncio.timeout(TIMEOUT):
                await until(lambda: calls.count("days") > 1)
            history = await runtime.history("document-1")
            assert history[0].event is not None
            assert history[0].event.raw["text"] == LARGE
            late[0] = timedelta(days=2)
            async with asyncio.timeout(TIMEOUT):
                await until(lambda: not any("/" in key for key in tuple(store.blobs)))
            assert await runtime.record("document-1") is None
        return len(history)

    assert asyncio.run(scenario()) == 6


@DATABASES
def test_every_place_of_a_reference_is_found(tmp_path: Path, open_it: Open) -> None:
    """An event that waits, a history, a record, its log, a timer, a dead letter."""
    store, read = DictBlobs(), set[str]()
    backend: Any = open_it(tmp_path, Offloaded(store, over=0))

    async def scenario() -> frozenset[str]:
        async with planted(backend, None) as runtime:
            store.on_call = lambda call, key: read.add(key) if call == "get" else None
            assert (await runtime.timers())[0].name
            assert await runtime.dead_letters()
            for key in WORKFLOWS:
                assert await runtime.history(key)
                assert await runtime.record(key)
            live: frozenset[str] = await backend.referenced([*store.blobs, "2026-01-01/none"])
        return live

    live = asyncio.run(scenario())
    assert len(read) > len(WORKFLOWS)
    assert read <= live <= store.blobs.keys()


def test_two_databases_cannot_share_a_blob_store(tmp_path: Path) -> None:
    """Each would delete the blobs of the other one: the second one does not start."""
    store = DictBlobs()
    for name in "ab":
        (tmp_path / name).mkdir()
    asyncio.run(begin(on_sqlite(tmp_path / "a", Offloaded(store, over=0))))
    asyncio.run(begin(on_sqlite(tmp_path / "a", Offloaded(store, over=0))))

    async def start() -> None:
        async with Runtime(system, on_sqlite(tmp_path / "b", Offloaded(store))) as runtime:
            async with asyncio.timeout(TIMEOUT):
                while True:
                    await runtime.send(document("document-1", "small"))
                    await asyncio.sleep(0.01)

    with pytest.raises(Violated, match="offloaded: expected a folder or a prefix of its own"):
        asyncio.run(start())


def test_the_sweep_leaves_what_is_no_blob(tmp_path: Path) -> None:
    """Another program may have put a file there."""
    folder = tmp_path / "blobs" / "2026-01-01"
    codec = offloaded(LocalStore(tmp_path / "blobs", mkdir=True))
    folder.mkdir()
    for name in ("a" * 64, "notes.txt"):
        (folder / name).write_bytes(b"")
    (tmp_path / "blobs" / "other").mkdir()

    async def nothing(_: Any) -> frozenset[str]:
        return frozenset()

    assert isinstance(codec, Offloaded)
    assert asyncio.run(sweep_blobs(codec, nothing)) == 1
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_the_sweep_deletes_the_half_of_a_blob_that_a_dead_process_has_left(tmp_path: Path) -> None:
    """A folder has a file of each upload that a kill has cut off; the store does not list it."""
    for day in (days_ago(0), days_ago(SPARED_DAYS)):
        folder = tmp_path / "blobs" / day.isoformat()
        folder.mkdir(parents=True)
        for name in ("a" * 64 + "#1", "notes#1", "b" * 64 + "#c"):
            (folder / name).write_bytes(b"half")
    codec = offloaded(LocalStore(tmp_path / "blobs"))

    async def nothing(_: Any) -> frozenset[str]:
        return frozenset()

    assert isinstance(codec, Offloaded)
    assert asyncio.run(sweep_blobs(codec, nothing)) == 1
    assert {path.name for path in folder.iterdir()} == {"notes#1", "b" * 64 + "#c"}
    assert (tmp_path / "blobs" / days_ago(0).isoformat() / ("a" * 64 + "#1")).exists()


@pytest.mark.parametrize("headers", [{}, {INSIDE: "yes"}])
def test_a_message_of_another_program_has_no_reference(headers: dict[str, str]) -> None:
    """It would have the worker read a blob of another workflow. One that is marked as ours may."""
    store, broker = DictBlobs(), MemoryBroker()
    codec = Offloaded(store, over=0)
    event = scan["1.0.0"].accepts(Scan("of another"), source=SOURCE)
    content = encoded(codec, orjson.dumps(event.raw))
    fields = {**event.to_dict(), "id": "forged"}
    del fields["data"]
    body = orjson.dumps({DATA_REF: content[1:].decode(), **fields})
    backend = paired(InMemoryMachineMemory(), broker, codec=codec)

    async def scenario() -> tuple[list[str], int]:
        async with Runtime(system, backend) as runtime:
            await broker.publish([EncodedMessage("com.scan", body, headers, key=event.subject)])
            stats = await runtime.drain(TIMEOUT)
            return [each.reason for each in await runtime.dead_letters()], stats.handled

    reasons, handled = asyncio.run(scenario())
    assert handled == len(headers)
    expected = "the message is no CloudEvent"
    assert [expected in reason for reason in reasons] == [True] * (1 - len(headers))


def test_no_sender_sets_the_attribute_of_a_reference() -> None:
    """Otherwise a client could have a worker read any blob whose address it knows."""
    event = document("document-1", "small")

    with pytest.raises(Violated, match=DATA_REF):
        Event.from_dict({**event.to_dict(), DATA_REF: "2026-12-01/abc/1"})


def test_a_command_fetches_by_the_codec_of_the_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator has to see the record of a workflow to help with it."""
    backend = on_sqlite(tmp_path, CODEC)
    asyncio.run(begin(backend))
    monkeypatch.setenv("ARVO_CODEC", "tests.interpreters.codecs.test_offloaded:CODEC")

    url = f"sqlite:///{tmp_path}/arvo.db"
    assert run_command(["workflows", "--json", "--backend", url]) == 0
    assert '"status":"done"' in capsys.readouterr().out
    assert any(key.startswith(str(days_ago(0))) for key in BLOBS.blobs)


@DATABASES
@pytest.mark.usefixtures("often")
def test_an_archive_waits_for_the_blobs_of_a_workflow_alone(tmp_path: Path, open_it: Open) -> None:
    """A lost blob must not stop the workers, nor the archive of other workflows."""
    store, late, path = DictBlobs(), [timedelta()], tmp_path / "archive.jsonl"
    retention = Retention(finished=timedelta(days=1), archive=path)
    codec = Offloaded(store)
    backend = open_it(tmp_path, codec, retention=retention, now=lambda: utc_now() + late[0])

    def has(number: int) -> Callable[[], bool]:
        return lambda: path.exists() and path.read_bytes().count(b"\n") == number

    async def scenario() -> int:
        async with Runtime(system, backend) as runtime:
            for key, text in (("document-1", LARGE), ("document-2", "small")):
                await runtime.request(document(key, text), timeout=TIMEOUT)
            await runtime.drain(TIMEOUT)
            blobs, store.blobs = store.blobs, {}
            late[0] = timedelta(days=2)
            async with asyncio.timeout(TIMEOUT):
                await until(has(1))
                store.blobs = blobs
                await until(has(2))
        return len([*read_archive(path)])

    assert asyncio.run(scenario()) == 2
