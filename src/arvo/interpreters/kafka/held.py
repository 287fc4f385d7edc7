"""Held: the messages of a partition that are put off, as text beside the committed offset."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, final

from attrs import frozen

# Messages of a partition in the text, the first ones that were put off: Kafka allows 4,096 bytes.
HELD_MAX: Final = 80


@final
@frozen
class Held:
    """A message that is delivered again for the *attempt*-th time, when it is *due*.

    *is_deferred*: it does not hold back the others of its key meanwhile.
    """

    attempt: int
    due: datetime
    is_deferred: bool = False


def encode_held(held: Mapping[int, Held]) -> str:
    """Return a text of messages that are put off, by offset.

    >>> encode_held({7: Held(2, datetime(1970, 1, 1, 0, 0, 3, tzinfo=UTC))})
    '7:2:3000'
    """
    return " ".join(
        f"{offset}:{each.attempt}:{round(each.due.timestamp() * 1000)}{'d' * each.is_deferred}"
        for offset, each in held.items()
    )


def decode_held(text: str) -> dict[int, Held]:
    """Return the messages of a text; one that is not ours has none.

    >>> decode_held("7:2:3000d") == {7: Held(2, datetime(1970, 1, 1, 0, 0, 3, tzinfo=UTC), True)}
    True
    >>> decode_held("other: text")
    {}
    """
    try:
        return dict(_decode(item) for item in text.split())
    except (ValueError, OverflowError):
        return {}


def _decode(item: str) -> tuple[int, Held]:
    offset, attempt, due = item.removesuffix("d").split(":")
    time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(due))
    return int(offset), Held(int(attempt), time, item.endswith("d"))
