"""Wire: the messages of a pair as its broker has them, with encoded data if there is a codec."""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, final

import orjson
from attrs import evolve, frozen

from arvo.core.events.event import EVENT_BYTES_MAX, Event, restore_event
from arvo.interpreters.codecs.codec import Codec, Undecodable
from arvo.interpreters.codecs.envelope import (
    ENCODED,
    decode_data,
    encode_data,
    is_offloaded,
    without_data,
)
from arvo.interpreters.codecs.offloaded import Offloaded
from arvo.interpreters.codecs.waiting import decoding, encoding
from arvo.interpreters.delivery.brokers.headers import INSIDE
from arvo.interpreters.paired.documents.codec import Unreadable, decode_message
from arvo.interpreters.ports.broker import Broker, EncodedDelivery, EncodedMessage
from arvo.interpreters.ports.errors import TooLarge
from arvo.interpreters.ports.messages import Delivery, PendingData


@final
@frozen
class Wire:
    """Publishes messages to a broker, and decodes its deliveries.

    *stand_in* makes the event that stands for a delivery in a dead letter. *clear*: the addresses
    whose messages no codec encodes, because other programs read them.
    """

    broker: Broker
    stand_in: Callable[[EncodedDelivery], Event[Any]]
    codec: Codec | None = None
    clear: Collection[str] = ()

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        """Encode and publish messages. Raises `TooLarge` for one that is too long when encoded."""
        codec = self.codec
        if codec is not None:
            messages = [
                each
                if each.queue in self.clear
                else await encoding(codec, partial(_encode, each, codec))
                for each in messages
            ]
        await self.broker.publish(messages)

    def decode(self, delivery: EncodedDelivery) -> Delivery:
        """Decode a delivery; raises `Unreadable`. Its token is the delivery as the broker made it.

        A message of another program may be clear, and is checked as one from outside. One that is
        marked as ours has to be encoded.
        """
        message = delivery.message
        is_clear = message.queue in self.clear or INSIDE not in message.headers
        if not is_clear and is_offloaded(message.body) and isinstance(self.codec, Offloaded):
            return self._decode_later(delivery, self.codec)
        if len(message.body) <= EVENT_BYTES_MAX and (
            not is_clear or ENCODED.encode() in message.body
        ):
            try:
                body = decode_data(message.body, self.codec, "message")
            except Undecodable as error:
                raise Unreadable(str(error)) from error
            message = evolve(message, body=body)
        return Delivery(decode_message(message), delivery.attempt, delivery)

    def _decode_later(self, delivery: EncodedDelivery, codec: Offloaded) -> Delivery:
        body = delivery.message.body

        async def fetch() -> Event[Any]:
            return await decoding(codec, lambda: restore_event(decode_data(body, codec, "message")))

        try:
            without = without_data(body)
        except ValueError as error:
            raise Unreadable(f"the message is no CloudEvent: {error}") from error
        message = decode_message(evolve(delivery.message, body=without))
        pending = PendingData(fetch, partial(self.stand_in, delivery))
        return Delivery(evolve(message, pending=pending), delivery.attempt, delivery)


def _encode(message: EncodedMessage, codec: Codec) -> EncodedMessage:
    body = encode_data(orjson.loads(message.body), codec, "message")
    if len(body) > EVENT_BYTES_MAX:
        text = f"the event for {message.queue} has {len(body)} bytes when it is encoded"
        remedy = "compress it, or offload it (see arvo.codecs)"
        raise TooLarge(f"{text}: at most {EVENT_BYTES_MAX}, so {remedy}")
    return evolve(message, body=body)
