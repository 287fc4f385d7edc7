"""Key queue: whatever consumers do, each key is delivered one at a time and in order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arvo import EncodedDelivery, EncodedMessage
from arvo.interpreters.delivery.brokers.key_queue import KeyQueue

KEYS = ("", "a", "b", "c")
# Adds a delivery of a key, or settles or returns one of those in hand.
ACTIONS = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(KEYS)),
    st.tuples(st.sampled_from(["release", "put back", "put first"]), st.integers(0, 9)),
)


@pytest.mark.promise("I4")
@given(st.lists(ACTIONS, max_size=60))
def test_each_key_is_delivered_one_at_a_time_in_order(actions: list[tuple[str, int | str]]) -> None:
    """I4: none is lost either, and none is delivered after it was released."""
    queue = KeyQueue(lambda: None)
    waiting: dict[str, list[int]] = {key: [] for key in KEYS}
    in_hand: list[tuple[str, int]] = []
    number = 0

    def check_popped() -> None:
        while (popped := queue.pop()) is not None:
            key, which = popped.message.queue, int(popped.message.body)
            assert not key or key not in [busy for busy, _ in in_hand]
            assert which in (waiting[key][:1] if key else waiting[key])
            waiting[key].remove(which)
            in_hand.append((key, which))
        for key, left in waiting.items():
            assert not left or key in [busy for busy, _ in in_hand]

    for kind, which in actions:
        match kind, which:
            case "add", str(key):
                number += 1
                waiting[key].append(number)
                queue.add(_delivery(key, number), key)
            case _, int(index) if in_hand:
                key, returned = in_hand.pop(index % len(in_hand))
                if kind == "release":
                    queue.release(key)
                else:
                    waiting[key].insert(0, returned)
                    put = queue.put_first if kind == "put first" else queue.put_back
                    put(_delivery(key, returned))
        check_popped()


def _delivery(key: str, number: int) -> EncodedDelivery:
    return EncodedDelivery(EncodedMessage(key, str(number).encode()))
