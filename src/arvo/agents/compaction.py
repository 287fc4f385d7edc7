"""Compaction: pure functions that shorten a conversation, each call together with its answer."""

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Final, TypeAlias, final

from attrs import evolve, frozen

from arvo.agents.conversation import Message
from arvo.core.violations.arguments import refusal

# From the messages of the state to those that stay in it.
Compaction: TypeAlias = Callable[[tuple[Message, ...]], tuple[Message, ...]]

BYTES_MAX: Final = 1_000_000
DROPPED: Final = "[dropped]"


@final
@frozen
class KeepLast:
    """Keeps the first message and the last ones; made by `keep_last`."""

    messages: int
    bytes_max: int

    def __call__(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """Return the messages that stay."""
        first, *exchanges = split_exchanges(messages) or [()]
        left, size, count = list[tuple[Message, ...]](), _size(first), len(first)
        for exchange in reversed(exchanges):
            size, count = size + _size(exchange), count + len(exchange)
            if left and (count > self.messages or size > self.bytes_max):
                break
            left.append(exchange)
        return (*first, *chain.from_iterable(reversed(left)))


@final
@frozen
class DropResults:
    """Drops the results of tools, except for the last ones; made by `drop_results`."""

    results: int

    def __call__(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """Return the messages, those with older results without their text."""
        older = [at for at, it in enumerate(messages) if it.role == "tool"]
        dropped = frozenset(older[: max(0, len(older) - self.results)])
        return tuple(
            evolve(message, text=DROPPED) if at in dropped else message
            for at, message in enumerate(messages)
        )


def keep_last(messages: int, *, bytes_max: int = BYTES_MAX) -> KeepLast:
    """Make a compaction that keeps the question and the last messages.

    At most so many *messages* stay, of *bytes_max* bytes in all. The last exchange stays whatever
    its size: an answer of the model and the results of its calls.

    >>> len(keep_last(3)((Message("user"), *[Message("assistant")] * 5)))
    3
    """
    return KeepLast(_positive("messages", messages), _positive("bytes_max", bytes_max))


def drop_results(*, keep: int) -> DropResults:
    """Make a compaction that drops the text of all results of tools but the last *keep*.

    >>> drop_results(keep=1)((Message("tool", "old"), Message("tool", "new")))[0].text
    '[dropped]'
    """
    return DropResults(_positive("keep", keep))


def split_exchanges(messages: Iterable[Message]) -> list[tuple[Message, ...]]:
    """Split messages into those that belong together: a message, and the results of its calls."""
    exchanges: list[list[Message]] = []
    for message in messages:
        if message.role == "tool" and exchanges:
            exchanges[-1].append(message)
        else:
            exchanges.append([message])
    return [tuple(exchange) for exchange in exchanges]


def _size(messages: Iterable[Message]) -> int:
    return sum(message.size for message in messages)


def _positive(name: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise refusal(name, value, "a whole number above 0", "a compaction")
