"""History buffer: the newest history entries of all workflows, in the memory of a process."""

import attrs

from arvo.interpreters.delivery.history_buffer import HistoryBuffer
from tests.shop import NOW, CardCharged, expect_commit, order_request, reply_to, shop


def test_the_oldest_turns_are_dropped_and_positions_count_on() -> None:
    """Memory is bounded, and a reader sees that entries are missing."""
    buffer = HistoryBuffer(turns_max=2)
    first = expect_commit(shop, order_request("a"))
    assert first.record is not None
    second = expect_commit(shop, reply_to(first.events[0], CardCharged("r")), first.record)
    other = expect_commit(shop, order_request("b"))
    assert second.record is not None
    assert other.record is not None

    buffer.add(first, first.record, NOW)
    buffer.add(second, second.record, NOW)
    whole = buffer.entries(first.record.subject, None, 10)
    buffer.add(other, other.record, NOW)
    buffer.replace_record(attrs.evolve(second.record, revision=3), NOW)

    positions = [entry.position for entry in buffer.entries(first.record.subject, None, 10)]
    assert [entry.position for entry in whole] == [0, 1, 2, 3]
    assert positions == [4]
    assert len(buffer.entries(other.record.subject, None, 10)) == 2


def test_a_removed_workflow_has_no_entries() -> None:
    """Its turns still count towards the limit, until they would be dropped."""
    buffer = HistoryBuffer(turns_max=1)
    for key in ("a", "b", "c"):
        commit = expect_commit(shop, order_request(key))
        assert commit.record is not None
        buffer.add(commit, commit.record, NOW)
        buffer.remove(commit.record.subject)

        assert buffer.entries(commit.record.subject, None, 10) == ()
