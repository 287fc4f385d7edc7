"""Index: rows are classified by the clock of the server, whatever that of the worker shows."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from attrs import evolve

from arvo import IndexQuery, IndexRow
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.nats.connection.connection import Connection
from arvo.interpreters.nats.storage.index import NatsIndex
from arvo.interpreters.nats.storage.rows import decode_row, encode_row
from tests.interpreters.nats.test_conformance import prefix_of
from tests.servers import nats_url

BEHIND = timedelta(minutes=5)


def changed_now(subject: str) -> IndexRow:
    now = utc_now()
    return IndexRow(
        subject=subject, handler="com.one", status="active", revision=1, began=now, changed=now
    )


@pytest.mark.parametrize(("behind", "times"), [(timedelta(), "prompt"), (BEHIND, "late")])
def test_a_row_of_a_worker_whose_clock_is_behind_is_searched_as_a_late_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behind: timedelta, times: str
) -> None:
    """By its own clock it would be prompt, and the next page would not look so far back for it."""
    call_api = Connection.call_api

    async def ahead(self: Connection, name: str, *rest: Any, **options: Any) -> Any:
        """Answer as a server whose clock is ahead of ours does."""
        reply = await call_api(self, name, *rest, **options)
        if "ts" in reply:
            reply["ts"] = (datetime.fromisoformat(reply["ts"]) + behind).isoformat()
        return reply

    async def go() -> tuple[str, tuple[IndexRow, ...]]:
        index = NatsIndex(Connection(nats_url()), prefix_of(tmp_path))
        row = changed_now("s1")
        await index.write(row, [])
        [message] = (
            await call_api(
                index.connection, f"STREAM.INFO.{index.stream}", {"subjects_filter": ">"}
            )
        )["state"]["subjects"]
        found = await index.search(IndexQuery())
        await index.connection.close()
        return message.split(".")[1], found

    monkeypatch.setattr(Connection, "call_api", ahead)

    stored_as, found = asyncio.run(go())

    assert stored_as == times
    assert [row.subject for row in found] == ["s1"]


def test_a_row_without_a_version_is_read() -> None:
    """An earlier version has written it, and the next turn writes it again."""
    row = changed_now("s1")
    fields = orjson.loads(encode_row(evolve(row, version="1.0.0")))
    del fields["version"]

    assert decode_row(orjson.dumps(fields)) == row
