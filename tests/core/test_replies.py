"""Replies: the replies to the pending requests of a workflow."""

from typing import Any

from arvo import Event
from arvo.core.replies import NO_REPLIES, Replies
from tests.shop import CardCharged, expect_commit, order_request, reply_to, shop

REQUEST: Event[Any] = expect_commit(shop, order_request()).events[0]


def reply(request: str, id_: str, type_: str = "evt.x") -> Event[Any]:
    """Make a reply to the request with that id."""
    sample = reply_to(REQUEST, CardCharged("r")).to_dict()
    return Event.from_dict({**sample, "id": id_, "parentid": request, "type": type_})


def test_a_reply_is_found_by_its_request() -> None:
    """A service may reply more than once."""
    first, second, other = reply("a", "1"), reply("a", "2"), reply("b", "1")

    replies = NO_REPLIES.add(first).add(other).add(second)

    assert replies == Replies((first, other, second))
    assert (replies.to("a"), replies.to("b"), replies.to("c")) == ((first, second), (other,), ())
    assert list(replies.requests) == ["a", "b"]


def test_replies_are_grouped_by_type_in_the_order_of_their_requests() -> None:
    """So what a workflow makes of them does not depend on the order in which they came."""
    late, early, error = reply("b", "1"), reply("a", "1"), reply("c", "1", "sys.x.error")

    grouped = Replies((late, error, early)).grouped(None, lambda event: event, ["a", "b", "c"])

    assert grouped == {"evt.x": (early, late), "sys.x.error": (error,)}


def test_each_reply_is_read_once_however_often_they_are_grouped() -> None:
    """A workflow that looks at them in each of its turns pays for the new one only."""
    requests = [f"{number}" for number in range(100)]
    reads: list[str] = []
    replies = NO_REPLIES

    def read(event: Event[Any]) -> Event[Any]:
        reads.append(event.id)
        return event

    for request in reversed(requests):
        replies = replies.add(reply(request, request))
        replies.grouped("reader", read, requests)

    assert reads == requests[::-1]
    assert [event.id for event in replies.grouped("reader", read, requests)["evt.x"]] == requests


def test_another_reader_reads_them_anew() -> None:
    """Two systems in one process may read a payload as different classes."""
    replies = Replies((reply("a", "1"),))
    replies.grouped("first", lambda event: event, ["a"])
    renamed = reply("a", "renamed")

    assert replies.grouped("second", lambda _: renamed, ["a"]) == {"evt.x": (renamed,)}


def test_two_successors_share_nothing_that_differs() -> None:
    """A turn that was not committed is taken again, on the same record."""
    before = Replies((reply("a", "1"),))
    refused = before.add(reply("b", "refused"))
    refused.grouped("reader", lambda event: event, ["a", "b"])

    again = before.add(reply("c", "again"))

    assert [event.id for event in before.events] == ["1"]
    assert [event.id for event in refused.events] == ["1", "refused"]
    assert [event.id for event in again.events] == ["1", "again"]
    assert (list(before.requests), list(again.requests)) == (["a"], ["a", "c"])
    assert (before.to("b"), again.to("b"), refused.to("c")) == ((), (), ())
    grouped = before.grouped("reader", lambda event: event, ["a", "b"])
    assert grouped == {"evt.x": before.events}
    assert NO_REPLIES.add(reply("a", "1")) == NO_REPLIES.add(reply("a", "1")) != NO_REPLIES


def test_what_was_added_is_known_without_comparing() -> None:
    """A store writes what a turn has changed, at a cost that does not grow with the record."""
    before = Replies((reply("a", "1"),))
    after = before.add(reply("b", "2")).add(reply("c", "3"))

    assert after.added_since(before) == after.events[1:]
    assert before.added_since(after) is None
    assert Replies(after.events).added_since(before) is None
