"""Producer: a Kafka producer that confirms each message."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, final

from attrs import define, field
from confluent_kafka import KafkaError
from confluent_kafka import Producer as KafkaProducer

from arvo.interpreters.kafka.errors import translate_error, translate_errors
from arvo.interpreters.ports.broker import MESSAGE_BYTES_MAX

# The time of a call after which the cluster is unavailable.
CALL_SECONDS_MAX: Final = 10.0
POLL_SECONDS: Final = 0.1


@final
@define(eq=False)
class Producer:
    """A producer and the thread that polls its delivery reports, both created at first use."""

    settings: Mapping[str, Any] = field(repr=False)
    _producer: "KafkaProducer | None" = field(default=None, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)
    _stopping: threading.Event = field(factory=threading.Event, init=False)

    async def send(
        self, topic: str, key: str | None, body: bytes, headers: Mapping[str, str]
    ) -> None:
        """Write a message; returns when all in-sync replicas have it."""
        loop = asyncio.get_running_loop()
        sent: asyncio.Future[None] = loop.create_future()

        def on_delivery(error: KafkaError | None, _: object) -> None:
            with suppress(RuntimeError):  # the caller's loop is closed
                loop.call_soon_threadsafe(_resolve, sent, error)

        encoded: list[tuple[str, str | bytes | None]] = [
            (name, value.encode()) for name, value in headers.items()
        ]
        key_bytes = None if key is None else key.encode()
        with translate_errors():
            producer = self._opened()
            producer.produce(topic, body, key_bytes, headers=encoded, on_delivery=on_delivery)
        await sent

    async def ensure_topics(self, topics: Sequence[str]) -> None:
        """Make sure that topics exist; the cluster may create them, if it is set to."""
        producer = self._opened()
        for topic in topics:
            with translate_errors():
                metadata = await asyncio.to_thread(
                    producer.list_topics, topic, timeout=CALL_SECONDS_MAX
                )
            if (error := metadata.topics[topic].error) is not None:
                raise translate_error(error)

    async def close(self) -> None:
        """Wait for the unconfirmed messages, and close the connections."""
        thread, self._thread, self._producer = self._thread, None, None
        self._stopping.set()
        if thread is not None:
            await asyncio.to_thread(thread.join)

    def _opened(self) -> "KafkaProducer":
        if self._producer is None:
            milliseconds = round(CALL_SECONDS_MAX * 1000)
            producer = KafkaProducer(
                {
                    "acks": "all",
                    "enable.idempotence": True,
                    "linger.ms": 0,
                    "delivery.timeout.ms": milliseconds,
                    "message.max.bytes": MESSAGE_BYTES_MAX,
                    **self.settings,
                }
            )
            # A new event: the thread of the producer before may not have ended yet.
            self._stopping = stopping = threading.Event()
            self._thread = threading.Thread(
                target=_poll_reports,
                args=(producer, stopping),
                name="arvo kafka producer",
                daemon=True,
            )
            self._thread.start()
            self._producer = producer
        return self._producer


def _poll_reports(producer: "KafkaProducer", stopping: threading.Event) -> None:
    while not stopping.is_set():
        producer.poll(POLL_SECONDS)
    producer.flush(CALL_SECONDS_MAX)


def _resolve(sent: "asyncio.Future[None]", error: KafkaError | None) -> None:
    if sent.done():
        return
    if error is None:
        sent.set_result(None)
    else:
        sent.set_exception(translate_error(error))
