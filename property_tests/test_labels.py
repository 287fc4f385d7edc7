"""Laws of labels: they follow from the record, so a replay computes the same."""

from datetime import UTC, datetime
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from arvo import HistoryEntry, Record, Resumable, System, replay, run
from arvo.core.change import apply_changes, record_change
from arvo.core.labels import label_line, label_lines, read_labels
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.engine.system.labels import labels_of
from arvo.engine.trace import StepTaken
from tests.shop import SERVICES, OrderState, fulfil, order, order_request, payments, shipping

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
labelled = Resumable(
    order,
    {"1.0.0": fulfil},
    services=SERVICES,
    state=OrderState,
    labels=lambda state: {"order": state.order_id, "receipt": state.receipt},
)
shop = System([payments, shipping, labelled])
LABELS = st.dictionaries(
    st.sampled_from(["a", "b", "ab"]), st.booleans() | st.integers(-9, 9) | st.sampled_from("ab")
)


@given(st.sampled_from([1.0, 2_000.0]))
def test_labels_are_computed_from_the_record_after_each_turn(amount: float) -> None:
    """Also by a replay, and where a store keeps the change of a turn only."""
    trace = run(shop, order_request(amount=amount), now=NOW)

    history: list[HistoryEntry] = []
    before: Record | None = None
    for entry in trace.entries:
        if not isinstance(entry, StepTaken) or entry.commit.record is None:
            continue
        commit, record = entry.commit, entry.commit.record
        assert record.labels == labels_of(labelled, record)
        if before is not None:
            changed = apply_changes(before.to_dict(), [record_change(before, record)])
            assert Record.from_dict(changed) == record
        before = record
        for kind, event in (
            ("consumed", commit.event),
            *(("produced", it) for it in commit.events),
        ):
            made: dict[str, Any] = {"kind": kind, "event": event, "at": commit.now}
            position, revision = len(history), record.revision
            history.append(HistoryEntry(position=position, revision=revision, **made))
    replayed = replay(shop, history, record=before)
    assert replayed.agrees
    assert replayed.record == before


@given(LABELS, st.sampled_from(["a", "b", "ab"]), st.booleans() | st.integers(-9, 9))
def test_a_store_finds_a_label_in_its_lines(labels: Any, name: str, label: Any) -> None:
    """And no other that begins or ends alike."""
    texts = {key: label_line(key, value) for key, value in labels.items()}

    found = label_line(name, label) in label_lines(FrozenDict(labels))

    assert found == (texts.get(name) == label_line(name, label))


@given(
    st.dictionaries(
        st.text(max_size=70), st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    )
)
def test_labels_that_are_read_outlive_a_store(labels: Any) -> None:
    """One that JSON cannot hold, or changes, is refused in the turn, and ends no worker."""
    read = read_labels(labels)

    if isinstance(read, FrozenDict):
        stored = orjson.loads(orjson.dumps(read))
        assert read_labels(stored) == read
        assert label_lines(stored) == label_lines(read)
