"""Streams: what lies on the server, each made where it is not there yet."""

import re
from hashlib import blake2b
from typing import Any, Final, final

from attrs import define, field

from arvo.interpreters.nats.connection import NAME_IN_USE, NO_CONSUMER, NO_STREAM, Content, Link
from arvo.interpreters.nats.settings import Storage
from arvo.interpreters.nats.wire import subject_of
from arvo.interpreters.ports.backend import Corrupt

# How long the server knows the id of a message: longer than we go on sending one.
DEDUPE_SECONDS: Final = 60
# Messages of one address that may be handed out or put off, and not be settled.
PENDING_MAX: Final = 20_000
# Dead messages that are kept for others' tools, and for how long; ours are letters in the memory.
DEAD_MAX: Final = 10_000
DEAD_SECONDS: Final = 30 * 24 * 3600
# Of the name of a consumer, what may be the address itself.
NAME_CHARACTERS_MAX: Final = 100
NANOSECONDS: Final = 1_000_000_000
# The consumer that nobody asks: it counts the timers that are not due yet.
WAITING: Final = "waiting"


@final
@define(eq=False)
class Streams:
    """The queue, the timers and the dead of one prefix. What an operator has made is used as it is.

    The timers lie apart: the server hands messages out later only from a stream that drops its
    oldest when it is full, and a queue must refuse the newest.
    """

    link: Link
    prefix: str
    replicas: int
    storage: Storage
    ack_wait: float
    messages_max: int
    bytes_max: int | None
    # By consumer, how long the server waits for a sign of life, in seconds.
    waits: dict[str, float] = field(factory=dict, init=False)

    @property
    def queue(self) -> str:
        """The stream and the first token of what waits to be handed out."""
        return self.prefix

    @property
    def timers(self) -> str:
        """The stream of what is due later; `<prefix>-timer.…` until then, `<prefix>-due.…` then."""
        return f"{self.prefix}-timers"

    @property
    def dead(self) -> str:
        """The stream and the first token of what nobody could take."""
        return f"{self.prefix}-dead"

    async def make(self) -> None:
        """Make the streams."""
        if self.queue in self.link.made:
            return
        await self.link.client()
        async with self.link.making:
            await self._make_stream(
                self.queue,
                retention="workqueue",
                discard="new",
                max_msgs=self.messages_max,
                max_bytes=-1 if self.bytes_max is None else self.bytes_max,
                subjects=[f"{self.queue}.>"],
                duplicate_window=DEDUPE_SECONDS * NANOSECONDS,
            )
            timers = await self._make_stream(
                self.timers,
                retention="workqueue",
                subjects=[f"{self.prefix}-timer.>", f"{self.prefix}-due.>"],
                duplicate_window=DEDUPE_SECONDS * NANOSECONDS,
                allow_msg_schedules=True,
            )
            if not timers["config"].get("allow_msg_schedules"):
                said = f"nats: stream {self.timers} holds no timers"
                raise Corrupt(f"{said}: run nats-server 2.12 or later")
            await self._make_consumer(self.timers, WAITING, f"{self.prefix}-timer.>")
            await self._make_stream(
                self.dead,
                retention="limits",
                discard="old",
                max_msgs=DEAD_MAX,
                max_age=DEAD_SECONDS * NANOSECONDS,
                subjects=[f"{self.dead}.>"],
            )
            self.link.made.add(self.queue)

    async def consumer(self, stream: str, address: str) -> str:
        """Make the consumer of an address, the same for all processes, and give its name."""
        await self.make()
        name = _name(address)
        if f"{stream} {name}" not in self.link.made:
            first = self.queue if stream == self.queue else f"{self.prefix}-due"
            config = await self._make_consumer(stream, name, subject_of(first, address))
            self.waits[name] = config["ack_wait"] / NANOSECONDS
            self.link.made.add(f"{stream} {name}")
        return name

    async def _make_stream(self, name: str, **config: Any) -> Content:
        info = await self.link.api(f"STREAM.INFO.{name}", expected={NO_STREAM})
        if "error" in info:
            wanted = {"storage": self.storage, "num_replicas": self.replicas, **config}
            wanted["name"] = name
            call = f"STREAM.CREATE.{name}"
            info = await self.link.api(call, wanted, expected={NAME_IN_USE})
        if "error" in info:
            # Another process was first, with other settings.
            info = await self.link.api(f"STREAM.INFO.{name}")
        return info

    async def _make_consumer(self, stream: str, name: str, subject: str) -> Content:
        info = await self.link.api(f"CONSUMER.INFO.{stream}.{name}", expected={NO_CONSUMER})
        if "error" in info:
            config = {
                "durable_name": name,
                "name": name,
                "ack_policy": "explicit",
                "ack_wait": round(self.ack_wait * NANOSECONDS),
                "deliver_policy": "all",
                "filter_subject": subject,
                "max_ack_pending": PENDING_MAX,
                "max_deliver": -1,
            }
            request = {"stream_name": stream, "config": config}
            info = await self.link.api(f"CONSUMER.CREATE.{stream}.{name}.{subject}", request)
        found: Content = info["config"]
        return found


def _name(address: str) -> str:
    """Name the consumer of an address: to be read, and different for each address."""
    readable = re.sub(r"[^A-Za-z0-9_-]", "_", address)[:NAME_CHARACTERS_MAX]
    return f"{readable}-{blake2b(address.encode(), digest_size=6).hexdigest()}"
