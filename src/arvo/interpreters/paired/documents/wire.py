"""Wire: the messages of a pair as its broker has them, with encoded data if there is a codec."""

from collections.abc import Collection, Sequence
from typing import final

import orjson
from attrs import evolve, frozen

from arvo.core.events.event import EVENT_BYTES_MAX
from arvo.interpreters.codecs.codec import Codec, Undecodable
from arvo.interpreters.codecs.envelope import ENCODED, decode_data, encode_data
from arvo.interpreters.delivery.brokers.headers import INSIDE
from arvo.interpreters.paired.documents.codec import Unreadable, decode_message
from arvo.interpreters.ports.broker import Broker, EncodedDelivery, EncodedMessage
from arvo.interpreters.ports.errors import TooLarge
from arvo.interpreters.ports.messages import Delivery


@final
@frozen
class Wire:
    """Publishes messages to a broker, and decodes its deliveries.

    *clear*: the addresses whose messages no codec encodes, because other programs read them.
    """

    broker: Broker
    codec: Codec | None = None
    clear: Collection[str] = ()

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        """Encode and publish messages. Raises `TooLarge` for one that is too long when encoded."""
        codec = self.codec
        if codec is not None:
            messages = [
                each if each.queue in self.clear else _encode(each, codec) for each in messages
            ]
        await self.broker.publish(messages)

    def decode(self, delivery: EncodedDelivery) -> Delivery:
        """Decode a delivery; raises `Unreadable`. Its token is the delivery as the broker made it.

        A message of another program may be clear, and is checked as one from outside. One that is
        marked as ours has to be encoded.
        """
        message = delivery.message
        is_clear = message.queue in self.clear or INSIDE not in message.headers
        if len(message.body) <= EVENT_BYTES_MAX and (
            not is_clear or ENCODED.encode() in message.body
        ):
            try:
                body = decode_data(message.body, self.codec, "message")
            except Undecodable as error:
                raise Unreadable(str(error)) from error
            message = evolve(message, body=body)
        return Delivery(decode_message(message), delivery.attempt, delivery)


def _encode(message: EncodedMessage, codec: Codec) -> EncodedMessage:
    body = encode_data(orjson.loads(message.body), codec, "message")
    if len(body) > EVENT_BYTES_MAX:
        text = f"the event for {message.queue} has {len(body)} bytes when it is encoded"
        raise TooLarge(f"{text}: at most {EVENT_BYTES_MAX}, so compress it, or send a reference")
    return evolve(message, body=body)
