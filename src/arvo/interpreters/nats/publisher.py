"""Publisher: publishes messages under their keys, also those that other programs published."""

import asyncio
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Final, final

from attrs import define, evolve, field, frozen
from nats.aio.msg import Msg

from arvo.interpreters.delivery.brokers.ordering import ordering_key, with_subject
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.delivery.tasks import gather_all
from arvo.interpreters.nats.connection.connection import Content, Headers
from arvo.interpreters.nats.connection.errors import TOO_LARGE, WRONG_SEQUENCE
from arvo.interpreters.nats.connection.wire import (
    EXPECT_NONE,
    EXPECTED_LAST,
    deferred_headers,
    encode_body,
    encode_headers,
    has_key,
    keyed_subject,
    subject_name,
)
from arvo.interpreters.nats.streams import Streams
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage
from arvo.interpreters.ports.errors import TooLarge, Unavailable
from arvo.interpreters.ports.messages import OUTBOUND_QUEUE, REPLY_QUEUE

# How often a message is published whose confirmation was lost; the server recognises its id.
TRIES_MAX: Final = 3
PAUSE_SECONDS: Final = 0.2


@final
@frozen
class Publication:
    """A message as it is published."""

    subject: str
    body: bytes
    headers: Headers


@final
@define(eq=False)
class Publisher:
    """Publishes to the streams of one prefix."""

    streams: Streams
    _id: str = field(factory=lambda: secrets.token_hex(8), init=False)
    _numbers: "count[int]" = field(factory=count, init=False)

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        """Store messages. Those of one key are stored one after the other, in order."""
        payload_max = await self.streams.connection.payload_max()
        # All of them before the first is sent, because one that is too large is refused here.
        by_key: dict[str, list[Publication]] = {}
        for number, message in enumerate(messages):
            publication = self.encode(message, payload_max, message.id)
            name = publication.subject if has_key(publication.subject) else str(number)
            by_key.setdefault(name, []).append(publication)
        await gather_all([self._send_in_order(publications) for publications in by_key.values()])

    async def forward(self, message: EncodedMessage, sequence: int) -> None:
        """Publish a message of another program under its key.

        *sequence*: of the message where it was, so that the server stores it once. Raises
        `ValueError` or `TooLarge` where it has to stay there: it is no event, or does not fit with
        the headers.
        """
        payload_max = await self.streams.connection.payload_max()
        publication = self.encode(with_subject(message), payload_max, f"forwarded-{sequence}")
        await self._send_in_order([publication])

    async def defer(self, delivery: EncodedDelivery, sequence: int, delay: float) -> None:
        """Publish a copy of a delivery without its key, to be delivered after *delay* seconds.

        *sequence*: of the message, so that the server stores one copy. Raises `TooLarge` where the
        copy does not fit with its headers.
        """
        message, until = delivery.message, utc_now() + timedelta(seconds=delay)
        headers = {
            **encode_headers(message),
            **deferred_headers(message, delivery.attempt + 1, until),
            **self.new_id(f"deferred-{sequence}"),
        }
        body = encode_body(message, headers, await self.streams.connection.payload_max())
        subject = keyed_subject(self.streams.prefix, message.queue, None)
        await self.send(Publication(subject, body, headers))

    def encode(
        self, message: EncodedMessage, payload_max: int, message_id: str | None = None
    ) -> Publication:
        """Return a message as it is published."""
        headers = {**encode_headers(message), **self.new_id(message_id)}
        prefix = self.streams.prefix
        # One with an id that is due by now may be there already as a delayed one. Each stream knows
        # the ids of its own messages, so it goes to the same stream.
        if message.due is not None and (message.due > utc_now() or message_id is not None):
            # NATS ADR-51: the server holds it under a subject of its own until then.
            headers["Nats-Schedule"] = f"@at {_rfc3339(message.due)}"
            headers["Nats-Schedule-Target"] = subject_name(self.streams.due, message.queue)
            subject = f"{prefix}-timer.{headers['Nats-Msg-Id']}"
        elif message.queue in (OUTBOUND_QUEUE, REPLY_QUEUE):
            subject = subject_name(prefix, message.queue)
        else:
            subject = keyed_subject(prefix, message.queue, ordering_key(message))
            if has_key(subject):
                headers[EXPECTED_LAST] = EXPECT_NONE
        return Publication(subject, encode_body(message, headers, payload_max), headers)

    async def send(self, publication: Publication) -> None:
        """Publish one message, and wait until it is stored.

        At first as the only message of its key: then no consumer needs to ask whether it is the
        first. If another one is stored, the server refuses that, and it is published behind it.
        """
        content = await self._request(publication)
        if content.get("error", {}).get("err_code") in WRONG_SEQUENCE:
            headers = {**publication.headers}
            del headers[EXPECTED_LAST]
            content = await self._request(evolve(publication, headers=headers))
        if (error := content.get("error")) is not None:
            text = f"nats: {error.get('description')} ({TOO_LARGE})"
            raise TooLarge(f"{text}: raise the stream's max_msg_size")

    async def _send_in_order(self, publications: Sequence[Publication]) -> None:
        # One that failed must not be stored after the next one.
        for publication in publications:
            await self.send(publication)

    async def _request(self, publication: Publication) -> Content:
        connection = self.streams.connection
        reply = await self._request_until_confirmed(publication)
        return connection.read_reply(reply, {TOO_LARGE, *WRONG_SEQUENCE})

    async def _request_until_confirmed(self, publication: Publication) -> Msg:
        """Publish until the server replies; a lost reply is retried with the same id."""
        connection, tries = self.streams.connection, 0
        while True:
            tries += 1
            try:
                return await connection.request(
                    publication.subject, publication.body, publication.headers
                )
            except Unavailable:
                if tries == TRIES_MAX:
                    raise
                await asyncio.sleep(PAUSE_SECONDS)
                await self.streams.declare()

    def new_id(self, message_id: str | None = None) -> Headers:
        """Return the header by which the server recognises a second publish of a message."""
        # Not of the event: when a dead letter is redriven, the same event is published again on
        # purpose, and the server must not take it for a duplicate.
        return {"Nats-Msg-Id": message_id or f"{self._id}-{next(self._numbers)}"}


def _rfc3339(time: datetime) -> str:
    return time.isoformat(timespec="microseconds")
