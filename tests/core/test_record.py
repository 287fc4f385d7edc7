"""Record: the stored state of a workflow."""

from typing import Any

import attrs
import orjson
import pytest

from arvo import Record, SystemFault, Violated
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.payloads.json_data import DEPTH_MAX, freeze
from arvo.core.replies import Replies
from arvo.core.requests import SentRequest
from tests.shop import CardCharged, expect_commit, order_request, reply_to, shop


def failed_record() -> Record:
    commit = expect_commit(shop, order_request())
    reply = reply_to(commit.events[0], CardCharged("r"))
    sent = SentRequest("com.x", "com.x", "#/x/1.0.0", "out")
    record = commit.record
    assert record is not None
    return attrs.evolve(
        record,
        pending_requests=FrozenDict({str(reply.parentid): sent, "other": sent}),
        replies=Replies((reply,)),
        answered_requests=FrozenDict({"done": sent}),
        failure=SystemFault(errorName="E", errorMessage="m"),
        status="failed",
    )


def test_a_record_round_trips_through_json() -> None:
    """B09: the reason of a failure was lost in the store."""
    record = failed_record()

    assert Record.from_dict(orjson.loads(orjson.dumps(record.to_dict()))) == record


def test_a_record_of_an_earlier_version_holds_the_replies_in_their_requests() -> None:
    """Such records are in files, in documents of pairs and in histories."""
    record = failed_record()
    content = record.to_dict()
    [reply] = content.pop("replies")
    content["pending_requests"][reply["parentid"]]["replies"] = [reply]
    content["pending_requests"]["other"]["replies"] = []

    assert Record.from_dict(content) == record


@pytest.mark.promise("I9")
def test_its_values_may_nest_as_deep_as_event_data() -> None:
    """Otherwise a valid event could make a record that cannot be read again (I9)."""
    deep: Any = None
    for _ in range(DEPTH_MAX - 1):
        deep = {"a": deep}
    entry: Any = freeze({"type": "com.x", "data": deep})
    record = attrs.evolve(failed_record(), state=entry, journal=(entry,), compensations=(entry,))

    assert Record.from_dict(orjson.loads(orjson.dumps(record.to_dict()))) == record


def test_a_record_that_was_read_is_immutable() -> None:
    """B14: a handler without a state class gets the stored object, and could change it in place."""
    read: Any = Record.from_dict({**failed_record().to_dict(), "state": {"n": [1]}})

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
        ({"init_digest": 1}, "record.init_digest"),
        ({"revivals": "1"}, "record.revivals"),
        ({"pending_requests": []}, "record.pending_requests"),
        ({"pending_requests": {"x": None}}, "record.pending_requests.x"),
        ({"pending_requests": {"x": {"to": "a"}}}, "record.pending_requests.x"),
        ({"answered_requests": {"x": []}}, "record.answered_requests.x"),
        ({"replies": [{}]}, "id"),
        ({"replies": {}}, "record.replies"),
        ({"produced": "ids"}, "record.produced"),
        ({"compensations": [1]}, "record.compensations[0]"),
        ({"compensations": [{"type": "com.x"}]}, "record.compensations[0]"),
        ({"state": {"a": {1}}}, "record.state.a"),
        ({"failure": {"a": 1}}, "record.failure.errorMessage"),
        ({"failure": "no"}, "record.failure"),
    ],
)
def test_an_invalid_record_names_the_key(content: Any, path: str) -> None:
    """A record edited by hand must not raise a KeyError."""
    edited = {**failed_record().to_dict(), **content} if content else content

    with pytest.raises(Violated) as caught:
        Record.from_dict(edited)

    assert caught.value.violation.issues[0].path == path
