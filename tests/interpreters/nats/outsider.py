"""Outsider: what a process does that knows NATS and the wire, and nothing of arvo."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import nats
from nats.aio.client import Client

from tests.servers import nats_url


@asynccontextmanager
async def connected(url: str | None = None) -> AsyncIterator[Client]:
    """Connect, by the driver alone."""
    client = await nats.connect(url or nats_url())
    try:
        yield client
    finally:
        await client.close()


async def publish(subject: str, body: bytes, headers: dict[str, str] | None = None) -> None:
    """Publish, and wait until a stream has it."""
    async with connected() as client:
        await client.jetstream().publish(subject, body, headers=headers)


async def stream(name: str) -> dict[str, Any]:
    """Say what a stream holds."""
    async with connected() as client:
        answer = await client.request(f"$JS.API.STREAM.INFO.{name}", timeout=5)
        found: dict[str, Any] = json.loads(answer.data)
        return found


async def last(name: str, subject: str) -> tuple[bytes, dict[str, str]]:
    """Give the last message of a subject in a stream: its body and its headers."""
    async with connected() as client:
        found = await client.jetstream().get_last_msg(name, subject)
        return found.data or b"", dict(found.headers or {})
