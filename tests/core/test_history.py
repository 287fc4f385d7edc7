"""History: what a workflow was told and what it said, in order."""

import orjson

from arvo import HistoryEntry
from tests.shop import NOW, committed, placing, shop


def test_a_line_is_json_for_programs_and_one_line_for_people() -> None:
    """`arvo history`, with and without --json."""
    event, record = placing(), committed(shop, placing()).record
    consumed = HistoryEntry(position=0, revision=1, kind="consumed", at=NOW, event=event)
    amended = HistoryEntry(position=1, revision=2, kind="amended", at=NOW, record=record)

    said = orjson.loads(orjson.dumps([consumed.to_dict(), amended.to_dict()]))

    assert record is not None
    assert said[0]["event"] == event.to_dict()
    assert said[1]["record"] == orjson.loads(orjson.dumps(record.to_dict()))
    assert str(consumed).startswith(
        "2026-01-02T03:04:05.000+00:00  1  consumed  arvo.orc.order.fulfil  i1  {'order_id': 'o1'"
    )
    assert str(amended) == "2026-01-02T03:04:05.000+00:00  2  amended"
