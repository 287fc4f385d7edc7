"""Index: rows that an earlier version has written to Redis are still read."""

from datetime import UTC, datetime
from pathlib import Path

from attrs import evolve

from arvo import IndexQuery, IndexRow
from arvo.interpreters.redis.connection import Connection
from arvo.interpreters.redis.index import RedisIndex
from tests.interpreters.within import within
from tests.servers import redis_url

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_row_without_a_version_is_read_until_a_turn_writes_it_again(tmp_path: Path) -> None:
    """It may be of any version."""
    row = IndexRow(
        subject="s1", handler="com.one", status="active", revision=1, began=NOW, changed=NOW
    )

    async def go() -> list[tuple[IndexRow, ...]]:
        index = RedisIndex(Connection(redis_url()), tmp_path.name)
        await index.write(evolve(row, version="1.0.0"), [])
        await index.connection.redis.hdel(f"{tmp_path.name}:index-row:s1", "version")
        found = [await index.search(IndexQuery(version="2.0.0"))]
        await index.write(evolve(row, revision=2, version="1.0.0"), [])
        found.append(await index.search(IndexQuery(version="2.0.0")))
        await index.connection.close()
        return found

    assert within(go()) == [(row,), ()]
