"""Cancellations: those that a pair has published, marked in the document of their workflow."""

from collections.abc import Iterable
from typing import Any, final

from attrs import define

from arvo.core.events.event import Event
from arvo.core.events.protocol import cancel_type
from arvo.interpreters.paired.codec import decode_message
from arvo.interpreters.paired.document import WorkflowDocument, digest_of
from arvo.interpreters.paired.documents import DocumentStore
from arvo.interpreters.ports.broker import EncodedMessage
from arvo.interpreters.ports.messages import (
    Delivery,
    Message,
    find_cancellation,
    is_cancellation,
    key_of,
    queue_of,
)


@final
@define(eq=False)
class CancellationMarks:
    """Marks cancellations, because a broker does not show the messages that wait in it.

    A mark changes the document, so the write of a turn that was decided without it is refused. It
    is made after the message was published and before the sender is told so, and goes when the
    workflow ends or the cancellation becomes a dead letter. A cancellation that another program
    publishes has no mark: it counts from its own delivery on.
    """

    documents: DocumentStore

    async def mark_published(self, published: Iterable[EncodedMessage]) -> None:
        """Mark the cancellations among messages that were published."""
        for encoded in published:
            # Most messages need not be decoded: the type of a cancellation is in its text.
            if cancel_type(encoded.queue).encode() in encoded.body:
                await self.mark(decode_message(encoded))

    async def mark(self, message: Message) -> bool:
        """Mark a message that was published; return False if it cancels nothing any more."""
        if not is_cancellation(message):
            return False
        queue, event = queue_of(message.to), message.event

        def change(document: WorkflowDocument) -> WorkflowDocument | None:
            has_ended = document.record is not None and document.record.status != "active"
            if has_ended or document.find(digest_of(queue, event)) is not None:
                return None
            return document.with_cancellation(event)

        return await self.documents.change(event.subject, change)

    async def unmark(self, message: Message) -> None:
        """Remove the mark of a message that becomes a dead letter."""
        if is_cancellation(message):
            event = message.event
            # Read anew: another process may have marked it.
            await self.documents.read(event.subject)
            await self.documents.change(event.subject, lambda it: it.without_cancellation(event))

    async def pending(self, delivery: Delivery) -> Event[Any] | None:
        """Read the oldest cancellation that a delivery has to yield to."""
        key = key_of(delivery.message.to)
        return None if key is None else pending_in(await self.documents.read(key), delivery)


def pending_in(document: WorkflowDocument, delivery: Delivery) -> Event[Any] | None:
    """Return the oldest cancellation in a document that a delivery has to yield to."""
    queue = queue_of(delivery.message.to)
    return find_cancellation(
        document.cancellations,
        delivery,
        lambda event: document.find(digest_of(queue, event)) is not None,
    )
