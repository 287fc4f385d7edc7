"""Plain client: NATS as a program uses it that knows the wire format, but not Arvo."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import nats
from nats.aio.client import Client

from tests.servers import nats_url


@asynccontextmanager
async def connected(url: str | None = None) -> AsyncIterator[Client]:
    """Connect with the driver alone."""
    client = await nats.connect(url or nats_url())
    try:
        yield client
    finally:
        await client.close()


async def publish(subject: str, body: bytes, headers: dict[str, str] | None = None) -> None:
    """Publish, and wait until a stream has stored it."""
    async with connected() as client:
        await client.jetstream().publish(subject, body, headers=headers)


async def stream(name: str) -> dict[str, Any]:
    """Return the info of a stream."""
    async with connected() as client:
        reply = await client.request(f"$JS.API.STREAM.INFO.{name}", timeout=60)
        info: dict[str, Any] = json.loads(reply.data)
        return info


async def last(name: str, subject: str) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of the last message of a subject in a stream."""
    async with connected() as client:
        message = await client.jetstream().get_last_msg(name, subject)
        return message.data or b"", dict(message.headers or {})
