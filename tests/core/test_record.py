"""Record: what a store holds of a workflow."""

from typing import Any

import attrs
import orjson
import pytest

from arvo import Record, SystemFault, Violated
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.payloads.json import freeze
from arvo.core.payloads.json_data import DEPTH_MAX
from tests.shop import CardCharged, answering, committed, placing, shop


def a_record() -> Record:
    begun = committed(shop, placing())
    answer = answering(begun.events[0], CardCharged("r"))
    record = begun.record
    assert record is not None
    return attrs.evolve(
        record,
        pending_requests=FrozenDict({begun.events[0].id: (answer,), "other": ()}),
        failure=SystemFault(errorName="E", errorMessage="m"),
        status="failed",
    )


def test_it_comes_back_from_json_equal() -> None:
    """B09: state, replies and the reason of a failure survive any store."""
    record = a_record()

    assert Record.from_dict(orjson.loads(orjson.dumps(record.to_dict()))) == record


def test_all_that_it_keeps_may_nest_as_deep_as_data_may() -> None:
    """What a step takes must never make a record that nobody can read again (I9)."""
    deep: Any = None
    for _ in range(DEPTH_MAX - 1):
        deep = {"a": deep}
    line: Any = freeze({"type": "com.x", "data": deep})
    record = attrs.evolve(a_record(), state=line, journal=(line,), compensations=(line,))

    assert Record.from_dict(orjson.loads(orjson.dumps(record.to_dict()))) == record


def test_what_is_read_cannot_be_changed() -> None:
    """B14: a handler without a state class is handed this very object."""
    read: Any = Record.from_dict({**a_record().to_dict(), "state": {"n": [1]}})

    with pytest.raises(TypeError, match="cannot be changed"):
        read.state["n"].append(2)


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (None, "record"),
        ([], "record"),
        ({}, "record.subject"),
        ({"status": "odd"}, "record.status"),
        ({"status": 5}, "record.status"),
        ({"revision": "1"}, "record.revision"),
        ({"pending_requests": []}, "record.pending_requests"),
        ({"pending_requests": {"x": None}}, "record.pending_requests.x"),
        ({"pending_requests": {"x": [{}]}}, "id"),
        ({"produced": "ids"}, "record.produced"),
        ({"compensations": [1]}, "record.compensations[0]"),
        ({"compensations": [{"type": "com.x"}]}, "record.compensations[0]"),
        ({"state": {"a": {1}}}, "record.state.a"),
        ({"failure": {"a": 1}}, "record.failure.errorMessage"),
        ({"failure": "no"}, "record.failure"),
    ],
)
def test_what_is_no_record_says_where(content: Any, path: str) -> None:
    """A store that was written by hand must not end in a KeyError."""
    junk = {**a_record().to_dict(), **content} if content else content

    with pytest.raises(Violated) as refused:
        Record.from_dict(junk)

    assert refused.value.violation.issues[0].path == path
