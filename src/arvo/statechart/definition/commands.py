"""Commands: what a step asks its caller to do, in order."""

from typing import TypeAlias

from attrs import frozen


@frozen
class Emit:
    """Tell the outside: *event* is handed on as it is."""

    event: object


@frozen
class Send:
    """Put *event* on the chart's own external queue, after *delay_ms* if there is one."""

    event: object
    delay_ms: float | None = None
    id: str | None = None


@frozen
class Schedule:
    """Start a timer; when it is due, hand this value to ``transition`` as the event.

    *id* is what ``Cancel`` names. A second timer with the same id does not replace the first.
    """

    event: object
    delay_ms: float
    id: str | None = None


@frozen
class Cancel:
    """Stop every timer called *id*; one that does not exist is no error."""

    id: str


@frozen
class Act:
    """Carry out the custom action called *type*."""

    type: str
    params: object = None


Command: TypeAlias = Emit | Send | Schedule | Cancel | Act
