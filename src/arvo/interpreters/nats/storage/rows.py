"""Rows: those of an index as the messages of a stream, and the batches in which it returns them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, final

import orjson
from attrs import define, field, frozen
from nats.aio.msg import Msg

from arvo.interpreters.nats.connection.connection import REPLY_SECONDS, Connection, status_of
from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.ports.index import IndexRow

# Rows in one reply of the server.
BATCH_MAX: Final = 1_000
# How long the time of the server is counted on by the clock of the loop, until it is read again.
CLOCK_SECONDS: Final = 60.0
_NO_TIME: Final = datetime.min.replace(tzinfo=UTC)
# The statuses of the server: the end of a batch, and no message.
_END, _NONE = "204", "404"


@final
@frozen
class StoredRow:
    """A row in a stream: its subject there, its sequence, and the time *at* which it was stored."""

    row: IndexRow
    name: str
    sequence: int
    at: datetime = field(default=_NO_TIME, eq=False)


def encode_row(row: IndexRow) -> bytes:
    """Encode a row."""
    return orjson.dumps(
        {
            "subject": row.subject,
            "handler": row.handler,
            "status": row.status,
            "revision": row.revision,
            "began": row.began,
            "changed": row.changed,
            "version": row.version,
            "id": row.workflow_id,
            "labels": row.labels,
        }
    )


def decode_row(content: bytes) -> IndexRow:
    """Decode a row; raises `Corrupt`."""
    try:
        fields = orjson.loads(content)
        return IndexRow(
            subject=fields["subject"],
            handler=fields["handler"],
            status=fields["status"],
            revision=fields["revision"],
            began=datetime.fromisoformat(fields["began"]),
            changed=datetime.fromisoformat(fields["changed"]),
            # A row of an earlier version has none.
            version=fields.get("version", ""),
            workflow_id=fields["id"],
            labels=fields["labels"],
        )
    except (ValueError, TypeError, KeyError) as error:
        text = f"nats: the index holds a row that cannot be read ({error})"
        raise Corrupt(f"{text}: purge it from its stream") from error


@final
@define(eq=False)
class RowStream:
    """Reads a stream of rows. A follower may answer."""

    connection: Connection
    stream: str
    # The time of the server, and that of the loop when it was asked for.
    _clock: tuple[datetime, float] | None = field(default=None, init=False)

    async def now(self) -> datetime:
        """Return the time of the server, by which it stores rows; this machine's may differ."""
        time = asyncio.get_running_loop().time()
        if self._clock is None or time - self._clock[1] > CLOCK_SECONDS:
            info = await self.connection.call_api(f"STREAM.INFO.{self.stream}")
            self._clock = datetime.fromisoformat(info["ts"]), time
        return self._clock[0] + timedelta(seconds=time - self._clock[1])

    async def bounds(self) -> tuple[int, int]:
        """Return the first sequence, and that after the last one."""
        state = (await self.connection.call_api(f"STREAM.INFO.{self.stream}"))["state"]
        return state["first_seq"], state["last_seq"] + 1

    async def first_since(self, pattern: str, time: datetime) -> int | None:
        """Return the sequence of the first row that was stored at *time* or later."""
        rows, _ = await self._batch({"start_time": time.isoformat(), "next_by_subj": pattern}, 1)
        return rows[0].sequence if rows else None

    async def read(
        self, pattern: str, low: int = 1, high: int | None = None
    ) -> AsyncIterator[list[StoredRow]]:
        """Read the rows of a pattern from one sequence to before another, in batches."""
        pending = 1
        while pending and (high is None or low < high):
            rows, pending = await self._batch({"seq": low, "next_by_subj": pattern}, BATCH_MAX)
            if not rows:
                return
            low = rows[-1].sequence + 1
            if within := [row for row in rows if high is None or row.sequence < high]:
                yield within

    async def _batch(self, request: Mapping[str, Any], limit: int) -> tuple[list[StoredRow], int]:
        """Return the first rows of a direct request, and how many more there are."""
        replies = asyncio.Queue[Msg]()
        subscription = await self.connection.subscribe(replies.put)
        rows: list[StoredRow] = []
        try:
            payload = orjson.dumps({**request, "batch": limit})
            await self.connection.publish(
                f"$JS.API.DIRECT.GET.{self.stream}", payload, subscription.subject
            )
            while True:
                async with asyncio.timeout(REPLY_SECONDS):
                    message = await replies.get()
                headers = message.headers or {}
                match status_of(message):
                    case None:
                        rows.append(_stored_row(message, headers))
                    case status if status == _NONE:
                        return rows, 0
                    case status if status == _END:
                        return rows, int(headers["Nats-Num-Pending"])
                    case status:
                        raise Unavailable(
                            f"nats: the stream {self.stream} answered {status} to a read"
                        )
        except TimeoutError:
            raise Unavailable(f"nats: no rows of {self.stream} within {REPLY_SECONDS} s") from None
        finally:
            await subscription.unsubscribe()


def _stored_row(message: Msg, headers: Mapping[str, str]) -> StoredRow:
    at = datetime.fromisoformat(headers["Nats-Time-Stamp"])
    sequence = int(headers["Nats-Sequence"])
    return StoredRow(decode_row(message.data), headers["Nats-Subject"], sequence, at)
