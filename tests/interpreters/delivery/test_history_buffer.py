"""Past: the histories of workflows, as far as a process can remember them."""

import attrs

from arvo.interpreters.delivery.history_buffer import Past
from tests.shop import NOW, CardCharged, answering, committed, placing, shop


def test_the_oldest_turns_make_way_and_positions_count_on() -> None:
    """Memory is bounded, and a reader sees that something is missing."""
    past = Past(turns_max=2)
    first = committed(shop, placing("a"))
    assert first.record is not None
    second = committed(shop, answering(first.events[0], CardCharged("r")), first.record)
    other = committed(shop, placing("b"))
    assert second.record is not None
    assert other.record is not None

    past.add(first, first.record, NOW)
    past.add(second, second.record, NOW)
    whole = past.of(first.record.subject, None, 10)
    past.add(other, other.record, NOW)
    past.replace_record(attrs.evolve(second.record, revision=3), NOW)

    positions = [line.position for line in past.of(first.record.subject, None, 10)]
    assert [line.position for line in whole] == [0, 1, 2, 3]
    assert positions == [4]
    assert len(past.of(other.record.subject, None, 10)) == 2


def test_what_is_forgotten_is_passed_over() -> None:
    """A workflow that is forgotten takes its history with it."""
    past = Past(turns_max=1)
    for key in ("a", "b", "c"):
        commit = committed(shop, placing(key))
        assert commit.record is not None
        past.add(commit, commit.record, NOW)
        past.forget(commit.record.subject)

        assert past.of(commit.record.subject, None, 10) == ()
