"""Consumer: a Kafka consumer in a thread of its own, and its messages in the event loop."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias, final

from attrs import define, field
from confluent_kafka import Consumer as KafkaConsumer
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Record

from arvo.interpreters.delivery.brokers.errors import PortError
from arvo.interpreters.kafka.assignment import (
    EARLIEST,
    hand_over,
    offsets_to_commit,
    take_over,
)
from arvo.interpreters.kafka.errors import is_retried, translate_error
from arvo.interpreters.kafka.partition import AssignedPartition
from arvo.interpreters.kafka.producer import POLL_SECONDS
from arvo.interpreters.ports.errors import Unavailable

# Unsettled messages of one partition, most of which wait for a key or a delay. Beyond that the
# partition is paused until half of them are settled.
OPEN_MAX: Final = 10_000
# Messages from the first unsettled one on, settled or not, beyond which the partition is paused,
# too: Kafka stores one offset, so after a crash all of them are redelivered.
SPAN_MAX: Final = 100_000
# Messages that the thread passes to the loop at a time.
BATCH_MAX: Final = 100
# The size of the prefetched messages, in kilobytes.
FETCHED_KILOBYTES_MAX: Final = 16_384
# How long a partition that is revoked waits for the messages that workers have, so that few of them
# are delivered twice.
GRACE_SECONDS: Final = 5.0
GRACE_POLL_SECONDS: Final = 0.01

Received: TypeAlias = tuple[AssignedPartition, Record]


@final
@define(eq=False)
class Consumer:
    """Reads topics as a member of a consumer group.

    *received*: messages that the queue has not taken yet. *wakeup* is set for each new message, and
    for the *error* that ended the consumer. The thread runs `_run` and its callees; all else
    runs in the loop.
    """

    topics: Sequence[str]
    settings: Mapping[str, Any] = field(repr=False)
    received: deque[Received] = field(factory=deque, init=False)
    wakeup: asyncio.Event = field(factory=asyncio.Event, init=False)
    error: Exception | None = field(default=None, init=False)
    _partitions: dict[tuple[str, int], AssignedPartition] = field(factory=dict, init=False)
    _paused: set[tuple[str, int]] = field(factory=set, init=False)
    _stopping: threading.Event = field(factory=threading.Event, init=False)
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop, init=False)
    _thread: threading.Thread = field(init=False)

    def __attrs_post_init__(self) -> None:
        name = f"arvo kafka {self.topics[0]}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Commit the settled messages, and leave the group, which redelivers the rest."""
        self._stopping.set()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        error: PortError | None = None
        try:
            consumer = KafkaConsumer(self._configuration())
            try:
                consumer.subscribe(
                    list(self.topics),
                    on_assign=self._on_assign,
                    on_revoke=self._on_revoke,
                    on_lost=self._on_lost,
                )
                while error is None and not self._stopping.is_set():
                    error = self._poll(consumer)
                    self._commit(consumer, list(self._partitions.values()))
                    self._pause_or_resume(consumer)
            finally:
                # Revoking must not wait for workers now: their messages are redelivered elsewhere.
                self._stopping.set()
                consumer.close()
        except KafkaException as raised:
            error = translate_error(raised.args[0])
        self._call_in_loop(self.fail, error or Unavailable("kafka: the consumer was stopped"))

    def _configuration(self) -> dict[str, Any]:
        defaults: dict[str, Any] = {
            "auto.offset.reset": EARLIEST,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "on_commit": self._on_commit,
            "queued.max.messages.kbytes": FETCHED_KILOBYTES_MAX,
            "fetch.wait.max.ms": round(POLL_SECONDS * 1000),
            "fetch.error.backoff.ms": round(POLL_SECONDS * 1000),
        }
        if self.settings.get("group.protocol", "classic") == "classic":
            # A rebalance revokes only the partitions that move.
            defaults["partition.assignment.strategy"] = "cooperative-sticky"
        return {**defaults, **self.settings}

    def _poll(self, consumer: "KafkaConsumer") -> PortError | None:
        """Fetch a batch of messages; returns the error that ends the consumer."""
        first = consumer.poll(POLL_SECONDS)
        if first is None:
            return None
        batch: list[Received] = []
        for record in (first, *consumer.consume(BATCH_MAX - 1, 0)):
            error = record.error()
            if error is not None:
                if is_retried(error):
                    continue
                return translate_error(error)
            partition = self._partitions.get((record.topic() or "", record.partition() or 0))
            if partition is not None:
                partition.fetched += 1
                batch.append((partition, record))
        self._call_in_loop(self._receive, batch)
        return None

    def _pause_or_resume(self, consumer: "KafkaConsumer") -> None:
        """Pause partitions with too many open messages; resume them at half of that."""
        shares = {name: _share(partition) for name, partition in list(self._partitions.items())}
        full = {name for name, share in shares.items() if share >= 1.0} - self._paused
        free = {name for name in self._paused if shares.get(name, 0.0) <= 0.5}
        if full:
            consumer.pause([TopicPartition(*name) for name in full])
        if resumable := free & shares.keys():
            consumer.resume([TopicPartition(*name) for name in resumable])
        self._paused = (self._paused | full) - free

    def _commit(self, consumer: "KafkaConsumer", partitions: Sequence[AssignedPartition]) -> None:
        changed = [each for each in partitions if each.position != each.committed]
        offsets = offsets_to_commit(changed)
        if not offsets:
            return
        consumer.commit(offsets=offsets, asynchronous=True)

    def _on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        """Have a failed commit repeated: commits fail while partitions are reassigned."""
        for name in partitions:
            partition = self._partitions.get((name.topic, name.partition))
            if partition is not None and (error is not None or name.error is not None):
                partition.committed = None

    def _on_assign(self, consumer: "KafkaConsumer", partitions: list[TopicPartition]) -> None:
        is_from_start = self.settings.get("auto.offset.reset", EARLIEST) == EARLIEST
        for partition in take_over(consumer, partitions, OPEN_MAX + BATCH_MAX, is_from_start):
            name = partition.topic, partition.number
            self._partitions[name] = partition
            self._paused.discard(name)

    def _on_revoke(self, consumer: "KafkaConsumer", partitions: list[TopicPartition]) -> None:
        revoked = self._remove(partitions)
        for partition in revoked:
            partition.is_revoking = True
        deadline = time.monotonic() + GRACE_SECONDS
        while not self._stopping.is_set() and time.monotonic() < deadline:
            if not any(partition.in_flight for partition in revoked):
                break
            time.sleep(GRACE_POLL_SECONDS)
        for partition in revoked:
            partition.is_revoked = True
        hand_over(consumer, revoked)

    def _on_lost(self, _: "KafkaConsumer", partitions: list[TopicPartition]) -> None:
        for partition in self._remove(partitions):
            partition.is_revoking = partition.is_revoked = True

    def _remove(self, partitions: list[TopicPartition]) -> list[AssignedPartition]:
        removed = (self._partitions.pop((name.topic, name.partition), None) for name in partitions)
        return [partition for partition in removed if partition is not None]

    def _call_in_loop(self, function: Any, *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(function, *arguments)

    def _receive(self, batch: list[Received]) -> None:
        for partition, record in batch:
            partition.receive(record.offset() or 0)
            self.received.append((partition, record))
        self.wakeup.set()

    def fail(self, error: Exception) -> None:
        """Raise *error* in the iterations that use this consumer."""
        self.error = error
        self.wakeup.set()


def _share(partition: AssignedPartition) -> float:
    """Return how much of its limits the open messages of a partition take; 1 is all."""
    return max(partition.size / OPEN_MAX, partition.span / SPAN_MAX)
