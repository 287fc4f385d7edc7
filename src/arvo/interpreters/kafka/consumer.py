"""Reader: a consumer of Kafka in a thread of its own, and what came of it in the loop."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias, final

from attrs import define, field
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from arvo.interpreters.kafka.partition import Part
from arvo.interpreters.kafka.producer import POLL_SECONDS, meaning
from arvo.interpreters.ports.backend import Corrupt, Unavailable

# What came of one partition and is not settled, most of which waits for a key or for its time; past
# that, no more of it is fetched until half of it is settled.
OPEN_MAX: Final = 10_000
# Messages that go from the thread to the loop at a time.
BATCH_MAX: Final = 100
# What the driver fetches ahead, in kilobytes.
FETCHED_KILOBYTES_MAX: Final = 16_384
# How long a partition that goes to another waits for what somebody here is working on, so that
# little is handed out twice.
GRACE_SECONDS: Final = 5.0
GRACE_LOOK_SECONDS: Final = 0.01
# The driver tries these again by itself.
_PASSING: Final = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001 - the driver's own, which it means for us
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._RESOLVE,  # noqa: SLF001
    }
)

Came: TypeAlias = tuple[Part, Message]


@final
@define(eq=False)
class Reader:
    """Reads topics as a member of a group. *came*: what was read and nobody has looked at yet.

    *news* is set when something came, or *error*, which ended it. Only `read` is run by the thread,
    with what it calls.
    """

    topics: Sequence[str]
    settings: Mapping[str, Any] = field(repr=False)
    came: deque[Came] = field(factory=deque, init=False)
    news: asyncio.Event = field(factory=asyncio.Event, init=False)
    error: Unavailable | Corrupt | None = field(default=None, init=False)
    _parts: dict[tuple[str, int], Part] = field(factory=dict, init=False)
    _paused: set[tuple[str, int]] = field(factory=set, init=False)
    _stopping: threading.Event = field(factory=threading.Event, init=False)
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop, init=False)
    _thread: threading.Thread = field(init=False)

    def __attrs_post_init__(self) -> None:
        name = f"arvo kafka {self.topics[0]}"
        self._thread = threading.Thread(target=self._read, name=name, daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Commit what is settled, and leave the group: others are handed the rest."""
        self._stopping.set()
        await asyncio.to_thread(self._thread.join)

    def _read(self) -> None:
        error: Unavailable | Corrupt | None = None
        try:
            consumer = Consumer(self._configuration())
            try:
                consumer.subscribe(
                    list(self.topics),
                    on_assign=self._assigned,
                    on_revoke=self._revoked,
                    on_lost=self._lost,
                )
                while error is None and not self._stopping.is_set():
                    error = self._poll(consumer)
                    self._commit(consumer, self._parts.values(), asynchronous=True)
                    self._bound(consumer)
            finally:
                # Nobody waits for anybody: what is in a hand here comes again elsewhere.
                self._stopping.set()
                consumer.close()
        except KafkaException as raised:
            error = meaning(raised.args[0])
        self._tell(self._ended, error or Unavailable("kafka: the reader was stopped"))

    def _configuration(self) -> dict[str, Any]:
        defaults: dict[str, Any] = {
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "on_commit": self._committed,
            "queued.max.messages.kbytes": FETCHED_KILOBYTES_MAX,
            "fetch.wait.max.ms": round(POLL_SECONDS * 1000),
            "fetch.error.backoff.ms": round(POLL_SECONDS * 1000),
        }
        if self.settings.get("group.protocol", "classic") == "classic":
            # Only what goes to another is taken away when one comes or goes.
            defaults["partition.assignment.strategy"] = "cooperative-sticky"
        return {**defaults, **self.settings}

    def _poll(self, consumer: "Consumer") -> Unavailable | Corrupt | None:
        first = consumer.poll(POLL_SECONDS)
        if first is None:
            return None
        found: list[Came] = []
        for message in (first, *consumer.consume(BATCH_MAX - 1, 0)):
            error = message.error()
            if error is not None:
                if error.code() in _PASSING and not error.fatal():
                    continue
                return meaning(error)
            part = self._parts.get((message.topic() or "", message.partition() or 0))
            if part is not None:
                part.fetched += 1
                found.append((part, message))
        self._tell(self._take, found)
        return None

    def _bound(self, consumer: "Consumer") -> None:
        """Stop fetching what too much is open of; go on when half of that is settled."""
        sizes = {name: part.size for name, part in list(self._parts.items())}
        full = {name for name, size in sizes.items() if size >= OPEN_MAX} - self._paused
        free = {name for name in self._paused if sizes.get(name, 0) <= OPEN_MAX // 2}
        if full:
            consumer.pause([TopicPartition(*name) for name in full])
        if known := free & sizes.keys():
            consumer.resume([TopicPartition(*name) for name in known])
        self._paused = (self._paused | full) - free

    def _commit(self, consumer: "Consumer", parts: Any, *, asynchronous: bool) -> None:
        offsets = []
        for part in list(parts):
            settled = part.settled
            if settled is not None and settled != part.committed:
                offsets.append(TopicPartition(part.topic, part.number, settled))
                part.committed = settled
        if not offsets:
            return
        if asynchronous:
            consumer.commit(offsets=offsets, asynchronous=True)
        else:
            # Where it cannot be, what was settled comes again.
            with suppress(KafkaException):
                consumer.commit(offsets=offsets, asynchronous=False)

    def _committed(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        """Commit again what could not be, as while partitions change hands."""
        for each in partitions:
            part = self._parts.get((each.topic, each.partition))
            if part is not None and (error is not None or each.error is not None):
                part.committed = None

    def _assigned(self, _: "Consumer", partitions: list[TopicPartition]) -> None:
        for each in partitions:
            name = each.topic, each.partition
            self._parts[name] = Part(*name)
            self._paused.discard(name)

    def _revoked(self, consumer: "Consumer", partitions: list[TopicPartition]) -> None:
        leaving = self._removed(partitions)
        for part in leaving:
            part.is_leaving = True
        deadline = time.monotonic() + GRACE_SECONDS
        while not self._stopping.is_set() and time.monotonic() < deadline:
            if not any(part.hands for part in leaving):
                break
            time.sleep(GRACE_LOOK_SECONDS)
        for part in leaving:
            part.is_gone = True
        self._commit(consumer, leaving, asynchronous=False)

    def _lost(self, _: "Consumer", partitions: list[TopicPartition]) -> None:
        for part in self._removed(partitions):
            part.is_leaving = part.is_gone = True

    def _removed(self, partitions: list[TopicPartition]) -> list[Part]:
        found = (self._parts.pop((each.topic, each.partition), None) for each in partitions)
        return [part for part in found if part is not None]

    def _tell(self, function: Any, *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed, and nobody waits
            self._loop.call_soon_threadsafe(function, *arguments)

    def _take(self, found: list[Came]) -> None:
        for part, message in found:
            part.came(message.offset() or 0)
            self.came.append((part, message))
        self.news.set()

    def _ended(self, error: Unavailable | Corrupt) -> None:
        self.error = error
        self.news.set()
