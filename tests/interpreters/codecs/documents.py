"""Documents: a system with large payloads, and a blob store in a dict that can fail."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from attrs import define, field, frozen

from arvo import (
    Contract,
    Emit,
    Event,
    EventHandler,
    Flow,
    OrchestratorContract,
    System,
    Version,
    Workflow,
    ask,
    flow,
)
from arvo.interpreters.ports.errors import BlobMissing, BlobUnavailable

SOURCE: Final = "com.archive.web"
# Above the limit of an event, which is 1 MiB.
LARGE: Final = "planted-page " * 90_000
TIMEOUT: Final = 60


@frozen
class Document:
    text: str


@frozen
class Scan:
    text: str


@frozen
class Scanned:
    text: str


@frozen
class Read:
    characters: int


scan: Contract[Any] = Contract(
    uri="#/scan",
    type="com.scan",
    versions={"1.0.0": Version(accepts=Scan, emits={"evt.scan.done": Scanned})},
)
reading: OrchestratorContract[Any, Any] = OrchestratorContract(
    uri="#/reading", name="reading", versions={"1.0.0": Workflow(init=Document, complete=Read)}
)


@flow(reading, "1.0.0", services=[scan["1.0.0"]])
def read_twice(event: Event[Document]) -> Flow[Read]:
    """Have large data in the first event, in requests, in replies, and in the journal."""
    once = yield from ask(Scan(event.data.text), Scanned)
    twice = yield from ask(Scan(once.text), Scanned)
    return Read(len(twice.text))


def scan_text(event: Event[Scan]) -> Emit:
    return Emit(Scanned(event.data.text.upper()))


system: Final = System([read_twice, EventHandler(scan, {"1.0.0": scan_text})])


def document(key: str, text: str = LARGE) -> Event[Any]:
    return reading["1.0.0"].init(Document(text), source=SOURCE, workflow_id=key)


def days_ago(days: int) -> date:
    return datetime.now(UTC).date() - timedelta(days=days)


@define
class DictBlobs:
    """A blob store in a dict. *on_call* is called before each call, with its name and its key."""

    blobs: dict[str, bytes] = field(factory=dict)
    on_call: Callable[[str, str], None] = lambda _call, _key: None
    is_down: bool = False
    name: str = "dict"

    def put(self, key: str, content: bytes) -> None:
        self._call("put", key)
        self.blobs[key] = content

    def get(self, key: str, bytes_max: int) -> bytes:
        self._call("get", key)
        assert bytes_max
        try:
            return self.blobs[key]
        except KeyError:
            raise BlobMissing(f"the blob {key} is not in {self.name}: restore it") from None

    def days(self) -> Sequence[date]:
        self._call("days", "")
        # A copy: other threads write meanwhile.
        found = {key.partition("/")[0] for key in tuple(self.blobs) if "/" in key}
        return [date.fromisoformat(day) for day in sorted(found)]

    def keys(self, day: date) -> Iterator[Sequence[str]]:
        self._call("keys", day.isoformat())
        # One at a time: others write between two pages.
        for key in [key for key in tuple(self.blobs) if key.startswith(f"{day.isoformat()}/")]:
            yield [key]

    def delete(self, keys: Sequence[str]) -> None:
        self._call("delete", keys[0])
        for key in keys:
            self.blobs.pop(key, None)

    def delete_unfinished(self, day: date) -> int:
        self._call("delete_unfinished", day.isoformat())
        return 0

    def _call(self, call: str, key: str) -> None:
        self.on_call(call, key)
        if self.is_down:
            raise BlobUnavailable(f"the blob {key} cannot be reached in {self.name}: wait")
