"""Streams: the streams and consumers on the server, each created where it does not exist."""

from typing import Any, Final, final

from attrs import define, field, frozen

from arvo.interpreters.delivery.brokers.names import unique_name
from arvo.interpreters.nats.connection.connection import Connection, Content
from arvo.interpreters.nats.connection.errors import (
    NAME_IN_USE,
    NO_CONSUMER,
    NO_MESSAGE,
    NO_SEQUENCE,
    NO_STREAM,
    NOT_DELETED,
)
from arvo.interpreters.nats.connection.settings import Storage
from arvo.interpreters.nats.connection.wire import all_keys_subject, subject_name
from arvo.interpreters.ports.errors import Corrupt
from arvo.interpreters.ports.messages import OUTBOUND_QUEUE, REPLY_QUEUE

# How long the server remembers the id of a message: longer than a publish is retried.
DEDUPE_SECONDS: Final = 60
# Messages of one address that are delivered, delayed or held back by their key, and not settled.
PENDING_MAX: Final = 20_000
# One at a time, so that the messages of other programs stay in order when they get their keys.
UNKEYED_PENDING_MAX: Final = 1
# Dead letters in their stream, and for how long, for other tools; the memory has those of the pair.
DEAD_LETTERS_MAX: Final = 10_000
DEAD_LETTER_SECONDS: Final = 30 * 24 * 3600
# The readable part of a consumer's name.
NAME_CHARACTERS_MAX: Final = 100
NANOSECONDS: Final = 1_000_000_000


@final
@frozen
class Consumer:
    """A durable consumer of the server, with the subjects whose messages it delivers.

    *ack_wait*: the seconds that the server waits for an ack or a heartbeat. *is_unkeyed*: its
    messages are to be published again under their keys.
    """

    stream: str
    name: str
    subject: str
    ack_wait: float
    is_unkeyed: bool = False


@final
@define(eq=False)
class Streams:
    """The queue, the timers and the dead letters of one prefix. Streams that an operator has
    created are used as they are.

    Timers have a stream of their own: the server delays messages only in a stream that drops its
    oldest message when it is full, and a queue must refuse the newest.
    """

    connection: Connection
    prefix: str
    replicas: int
    storage: Storage
    ack_wait: float
    messages_max: int
    bytes_max: int | None
    _consumers: dict[str, Consumer] = field(factory=dict, init=False)

    @property
    def queue(self) -> str:
        """The stream of the messages that are ready, and the first token of its subjects."""
        return self.prefix

    @property
    def timers(self) -> str:
        """The stream of delayed messages: `<prefix>-timer.…` until they are due, then
        `<prefix>-due.…`.
        """
        return f"{self.prefix}-timers"

    @property
    def due(self) -> str:
        """The first token of the subjects of timers that are due."""
        return f"{self.prefix}-due"

    @property
    def dead_letters(self) -> str:
        """The stream of the dead letters, and the first token of its subjects."""
        return f"{self.prefix}-dead"

    async def declare(self) -> None:
        """Create the streams."""
        if self.queue in self.connection.declared:
            return
        await self.connection.client()
        async with self.connection.declaring:
            await self._declare_stream(
                self.queue,
                retention="workqueue",
                discard="new",
                max_msgs=self.messages_max,
                max_bytes=-1 if self.bytes_max is None else self.bytes_max,
                subjects=[f"{self.queue}.>"],
                duplicate_window=DEDUPE_SECONDS * NANOSECONDS,
            )
            await self._declare_timers()
            await self._declare_stream(
                self.dead_letters,
                retention="limits",
                discard="old",
                max_msgs=DEAD_LETTERS_MAX,
                max_age=DEAD_LETTER_SECONDS * NANOSECONDS,
                subjects=[f"{self.dead_letters}.>"],
            )
            self.connection.declared.add(self.queue)

    async def declare_consumers(self, queue: str) -> list[Consumer]:
        """Create the consumers of a queue, which all processes share."""
        await self.declare()
        name, plain = unique_name(queue, NAME_CHARACTERS_MAX), subject_name(self.queue, queue)
        due = subject_name(self.due, queue)
        timers = await self._consumer(self.timers, name, due)
        if queue in (OUTBOUND_QUEUE, REPLY_QUEUE):
            return [await self._consumer(self.queue, name, plain), timers]
        keyed = await self._consumer(self.queue, name, all_keys_subject(self.prefix, queue))
        unkeyed = await self._consumer(self.queue, f"{name}-unkeyed", plain, is_unkeyed=True)
        return [keyed, unkeyed, timers]

    async def first_of(self, subject: str, sequence: int = 1) -> Content | None:
        """Return the first message of a subject from *sequence* on that the queue still stores.

        The leader of the stream answers: a follower may not know the newest messages yet.
        """
        request = {"seq": sequence, "next_by_subj": subject}
        reply = await self.connection.call_api(
            f"STREAM.MSG.GET.{self.queue}", request, expected={NO_MESSAGE}
        )
        message: Content | None = reply.get("message")
        return message

    async def ack_floor(self, consumer: str) -> int:
        """Return the sequence up to which a consumer's messages in the queue are all settled."""
        info = await self.connection.call_api(f"CONSUMER.INFO.{self.queue}.{consumer}")
        return int(info["ack_floor"]["stream_seq"])

    async def delete(self, sequence: int) -> bool:
        """Delete one message of the queue; False if it is not stored.

        A purge of one key would do the same, but it moves the ack floor of its consumer beyond
        messages that are not settled, which the server then never redelivers (2.15.1).
        """
        request = {"seq": sequence, "no_erase": True}
        reply = await self.connection.call_api(
            f"STREAM.MSG.DELETE.{self.queue}", request, expected={NOT_DELETED, NO_SEQUENCE}
        )
        return bool(reply.get("success"))

    async def purge(self, stream: str, subject: str, last: int) -> int:
        """Delete the messages of a subject up to the sequence *last*; return their number."""
        request = {"filter": subject, "seq": last + 1}
        return int((await self.connection.call_api(f"STREAM.PURGE.{stream}", request))["purged"])

    async def _consumer(
        self, stream: str, name: str, subject: str, *, is_unkeyed: bool = False
    ) -> Consumer:
        key = f"{stream} {name}"
        if key not in self.connection.declared or key not in self._consumers:
            pending_max = UNKEYED_PENDING_MAX if is_unkeyed else PENDING_MAX
            config = await self._declare_consumer(stream, name, subject, pending_max)
            ack_wait = config["ack_wait"] / NANOSECONDS
            self._consumers[key] = Consumer(stream, name, subject, ack_wait, is_unkeyed)
            self.connection.declared.add(key)
        return self._consumers[key]

    async def _declare_timers(self) -> None:
        info = await self._declare_stream(
            self.timers,
            retention="workqueue",
            subjects=[f"{self.prefix}-timer.>", f"{self.due}.>"],
            duplicate_window=DEDUPE_SECONDS * NANOSECONDS,
            allow_msg_schedules=True,
        )
        if not info["config"].get("allow_msg_schedules"):
            text = f"nats: stream {self.timers} does not allow timers"
            raise Corrupt(f"{text}: run nats-server 2.12 or later")

    async def _declare_stream(self, name: str, **config: Any) -> Content:
        call_api = self.connection.call_api
        info = await call_api(f"STREAM.INFO.{name}", expected={NO_STREAM})
        if "error" in info:
            settings = {"storage": self.storage, "num_replicas": self.replicas, "name": name}
            request = {**settings, **config}
            info = await call_api(f"STREAM.CREATE.{name}", request, expected={NAME_IN_USE})
        if "error" in info:
            # Another process was first, with other settings.
            info = await call_api(f"STREAM.INFO.{name}")
        return info

    async def _declare_consumer(
        self, stream: str, name: str, subject: str, pending_max: int
    ) -> Content:
        call_api = self.connection.call_api
        info = await call_api(f"CONSUMER.INFO.{stream}.{name}", expected={NO_CONSUMER})
        if "error" in info:
            settings = {
                "durable_name": name,
                "name": name,
                "ack_policy": "explicit",
                "ack_wait": round(self.ack_wait * NANOSECONDS),
                "deliver_policy": "all",
                "filter_subject": subject,
                "max_ack_pending": pending_max,
                "max_deliver": -1,
            }
            request = {"stream_name": stream, "config": settings}
            info = await call_api(f"CONSUMER.CREATE.{stream}.{name}.{subject}", request)
        config: Content = info["config"]
        return config
