"""Cancellation: the event that ends a workflow before its time."""

from typing import Final, final

from attrs import frozen

from arvo.core.payloads.payload import Payload


@final
@frozen
class Cancellation:
    """Somebody wants a workflow to end: what it still says is sent, and it waits no more.

    *reason* is for people. *by* is the subject of the workflow that cancels its child, None for
    anybody else.
    """

    reason: str
    by: str | None = None


CANCELLATION: Final = Payload.of(Cancellation)
# The error's name in the system error that tells whoever began a workflow of its cancellation.
CANCELLED: Final = "Cancelled"


def cancel_type(accepted: str) -> str:
    """Name the event type that cancels a workflow.

    >>> cancel_type("arvo.orc.order")
    'sys.arvo.orc.order.cancel'
    """
    return f"sys.{accepted}.cancel"
