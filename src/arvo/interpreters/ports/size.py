"""Size: refuses an event that no reader would accept before a backend stores it."""

from collections.abc import Sequence

from arvo.core.events.size import size_issue
from arvo.core.violations.issue import one_line
from arvo.interpreters.ports.errors import TooLarge
from arvo.interpreters.ports.messages import Message


def check_sizes(messages: Sequence[Message], data_bytes_max: int = 0) -> None:
    """Raise `TooLarge` for the first message whose event has more than `EVENT_BYTES_MAX` bytes.

    Every reader of a broker refuses such an event unparsed, so a backend that stored it would lose
    it. *data_bytes_max*: see `size_issue`.
    """
    for message in messages:
        issue = size_issue(message.event, data_bytes_max)
        if issue is not None:
            name = one_line(message.event.id)
            remedy = "send a reference to the data, or give the codec arvo.codecs.offloaded"
            if data_bytes_max:
                remedy = "send a reference to the data"
            raise TooLarge(f"{issue} (id {name}): {remedy}")
