"""Event: one event in full, without what its reader may not see."""

from typing import Any, final

from attrs import frozen

from arvo.console.views.data import DataView, show_data
from arvo.console.views.secrets import Redaction
from arvo.core.events.event import Event


@final
@frozen(kw_only=True)
class EventView:
    """One event: its *attributes* in the order of the wire, and its data.

    *traceparent*: its place in a trace. *is_known*: whether the console has its contract, without
    which it shows the shape alone.
    """

    type: str
    attributes: tuple[tuple[str, str], ...]
    data: DataView
    traceparent: str | None
    is_known: bool


def show_event(event: Event[Any], redaction: Redaction) -> EventView:
    """Return an event as a page shows it."""
    flat = event.to_dict()
    del flat["data"]
    return EventView(
        type=event.type,
        attributes=tuple((name, str(value)) for name, value in flat.items() if value is not None),
        data=show_data(redaction.event_data(event)),
        traceparent=event.traceparent,
        is_known=redaction.is_known(event.type),
    )


def to_download(event: Event[Any], redaction: Redaction) -> dict[str, Any]:
    """Return an event as JSON data, without what the reader may not see."""
    return {**event.to_dict(), "data": redaction.event_data(event)}
