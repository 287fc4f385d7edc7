"""Writer: a producer of Kafka, each of whose messages is waited for."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, final

from attrs import define, field
from confluent_kafka import KafkaError, KafkaException, Producer

from arvo.interpreters.delivery.headers import CONTENT_TYPE
from arvo.interpreters.ports.backend import Corrupt, TooLarge, Unavailable
from arvo.interpreters.ports.broker import MESSAGE_BYTES_MAX

# What a call may take before the cluster counts as gone.
CALL_SECONDS_MAX: Final = 10.0
POLL_SECONDS: Final = 0.1
_REFUSALS: Final = frozenset(
    {
        KafkaError._AUTHENTICATION,  # noqa: SLF001 - the driver's own, which it means for us
        KafkaError._SSL,  # noqa: SLF001
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_EXCEPTION,
    }
)


@final
@define(eq=False)
class Writer:
    """A producer and the thread that hears its reports, both made at first use."""

    settings: Mapping[str, Any] = field(repr=False)
    _producer: "Producer | None" = field(default=None, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)
    _stopping: threading.Event = field(factory=threading.Event, init=False)

    async def send(self, topic: str, key: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Send a message; returns when all replicas that are in step have it."""
        loop = asyncio.get_running_loop()
        sent: asyncio.Future[None] = loop.create_future()

        def reported(error: KafkaError | None, _: object) -> None:
            with suppress(RuntimeError):  # whoever waited is gone, and its loop with it
                loop.call_soon_threadsafe(_settle, sent, error)

        said: list[tuple[str, str | bytes | None]] = [("content-type", CONTENT_TYPE.encode())]
        said += [(name, value.encode()) for name, value in headers.items()]
        try:
            self._opened().produce(topic, body, key.encode(), headers=said, on_delivery=reported)
        except BufferError as error:
            raise Unavailable("kafka: too much is on its way, try later") from error
        except KafkaException as error:
            raise _refusal(error.args[0]) from error
        await sent

    async def reach(self, topics: Sequence[str]) -> None:
        """Make sure that topics are there, or have the cluster make them as it is set to."""
        producer = self._opened()
        for topic in topics:
            try:
                found = await asyncio.to_thread(
                    producer.list_topics, topic, timeout=CALL_SECONDS_MAX
                )
            except KafkaException as error:
                raise meaning(error.args[0]) from error
            if (why := found.topics[topic].error) is not None:
                raise meaning(why)

    async def close(self) -> None:
        """Wait for what is on its way, and let go of the connections."""
        thread, self._thread, self._producer = self._thread, None, None
        self._stopping.set()
        if thread is not None:
            await asyncio.to_thread(thread.join)

    def _opened(self) -> "Producer":
        if self._producer is None:
            milliseconds = round(CALL_SECONDS_MAX * 1000)
            producer = Producer(
                {
                    "acks": "all",
                    "enable.idempotence": True,
                    "linger.ms": 0,
                    "delivery.timeout.ms": milliseconds,
                    "message.max.bytes": MESSAGE_BYTES_MAX,
                    **self.settings,
                }
            )
            # Its own, for the one before may still be on its way to its end.
            self._stopping = stopping = threading.Event()
            self._thread = threading.Thread(
                target=_hear, args=(producer, stopping), name="arvo kafka writer", daemon=True
            )
            self._thread.start()
            self._producer = producer
        return self._producer


def meaning(error: KafkaError) -> Unavailable | Corrupt:
    """Say what an error of Kafka means."""
    said = f"kafka: {error.name()}: {error.str()}"
    return Corrupt(said) if error.code() in _REFUSALS else Unavailable(said)


def _refusal(error: KafkaError) -> Unavailable | Corrupt | TooLarge:
    """Say why a message was not taken."""
    if error.code() != KafkaError.MSG_SIZE_TOO_LARGE:
        return meaning(error)
    return TooLarge(f"kafka: {error.str()}: raise message.max.bytes, here and of the topic")


def _hear(producer: "Producer", stopping: threading.Event) -> None:
    while not stopping.is_set():
        producer.poll(POLL_SECONDS)
    producer.flush(CALL_SECONDS_MAX)


def _settle(sent: "asyncio.Future[None]", error: KafkaError | None) -> None:
    if sent.done():
        return
    if error is None:
        sent.set_result(None)
    else:
        sent.set_exception(_refusal(error))
