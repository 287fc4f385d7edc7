"""Inside: send an event as a handler of the system would, past the check of the door."""

from typing import Any

from arvo import Client, Event


async def send_inside(client: Client, event: Event[Any]) -> None:
    """Send an event that an outsider may not send, such as a reply to a request that stayed in."""
    await client._send(event)
