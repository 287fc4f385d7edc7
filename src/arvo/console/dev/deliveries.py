"""Deliveries: the newest deliveries that a runtime has handled, for a developer to look at."""

from collections import deque
from collections.abc import Callable, Collection
from datetime import datetime
from itertools import islice
from typing import Final, final

from attrs import define, field, frozen

from arvo.console.views.workflows import name_of
from arvo.interpreters.runtime.lookup import is_subject

# A page shows each of them; a workflow's own history has the rest.
DELIVERIES_MAX: Final = 500


@final
@frozen(kw_only=True)
class HandledDelivery:
    """One delivery: when it was settled, its event's *type* and *subject*, where it went *to*, its
    *attempt*, the *outcome*, and for how many *seconds* the worker had it.
    """

    at: datetime
    type: str
    subject: str
    to: str
    attempt: int
    outcome: str
    seconds: float

    @property
    def is_of_workflow(self) -> bool:
        """Whether its event belongs to a workflow."""
        return is_subject(self.subject)

    @property
    def name(self) -> str:
        """The name of the workflow, or the subject of an event of none."""
        return name_of(self.subject) if self.is_of_workflow else self.subject


@final
@define(eq=False)
class Deliveries:
    """Holds the newest `DELIVERIES_MAX` deliveries, and calls *on_settled* with each."""

    on_settled: Callable[[HandledDelivery], None] = lambda _: None
    _newest: deque[HandledDelivery] = field(
        factory=lambda: deque(maxlen=DELIVERIES_MAX), init=False
    )
    _number: int = field(default=0, init=False)
    _seen: int = field(default=0, init=False)

    def add(self, delivery: HandledDelivery) -> None:
        """Add a delivery in place of the oldest one."""
        self._number += 1
        self._newest.appendleft(delivery)
        self.on_settled(delivery)

    @property
    def newest(self) -> tuple[HandledDelivery, ...]:
        """The deliveries, the newest first."""
        return tuple(self._newest)

    @property
    def number(self) -> int:
        """How many there were, with those that are no longer held."""
        return self._number

    def changed(self) -> Collection[str]:
        """Return the subjects of the deliveries since the last call, of those that are held."""
        fresh = islice(self._newest, self._number - self._seen)
        self._seen = self._number
        return tuple(dict.fromkeys(it.subject for it in fresh))
