"""History: the events that a workflow consumed and produced, in order."""

import orjson

from arvo import HistoryEntry
from tests.shop import NOW, expect_commit, order_request, shop


def test_an_entry_is_json_for_programs_and_one_line_for_people() -> None:
    """`arvo history` prints either form."""
    event, record = order_request(), expect_commit(shop, order_request()).record
    consumed = HistoryEntry(position=0, revision=1, kind="consumed", at=NOW, event=event)
    replaced = HistoryEntry(position=1, revision=2, kind="replaced", at=NOW, record=record)

    encoded = orjson.loads(orjson.dumps([consumed.to_dict(), replaced.to_dict()]))

    assert record is not None
    assert encoded[0]["event"] == event.to_dict()
    assert encoded[1]["record"] == orjson.loads(orjson.dumps(record.to_dict()))
    assert str(consumed).startswith(
        "2026-01-02T03:04:05.000+00:00  1  consumed  arvo.orc.order.fulfil  i1  {'order_id': 'o1'"
    )
    assert str(replaced) == "2026-01-02T03:04:05.000+00:00  2  replaced"
