"""Request: an event that somebody waits for the answer to."""

import asyncio
from typing import Any, final

from attrs import field, frozen

from arvo.core.events.event import Event


@final
@frozen
class Request:
    """An event that somebody waits for the answer to.

    *consumed* is set where its handler had it before: no new answer will come.
    """

    event: Event[Any]
    answer: "asyncio.Future[Event[Any]]"
    consumed: asyncio.Event = field(factory=asyncio.Event, init=False)

    def settle(self, outcome: Event[Any] | Exception) -> None:
        """Give whoever waits the answer, or the reason why there is none; the first one counts."""
        if self.answer.done():
            return
        if isinstance(outcome, Exception):
            self.answer.set_exception(outcome)
        else:
            self.answer.set_result(outcome)
