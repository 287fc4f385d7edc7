"""Commands: the effects that a step asks its caller to run, in order."""

from typing import TypeAlias

from attrs import frozen


@frozen
class Emit:
    """Pass *event* on to the listeners outside the chart, unchanged."""

    event: object


@frozen
class Send:
    """Put *event* on the chart's own external queue, after *delay_ms* if it is set."""

    event: object
    delay_ms: float | None = None
    id: str | None = None


@frozen
class Schedule:
    """Start a timer. When it is due, pass this very value to ``transition`` as the event.

    ``Cancel`` refers to it by *id*. A second timer with the same id does not replace the first.
    """

    event: object
    delay_ms: float
    id: str | None = None


@frozen
class Cancel:
    """Stop every timer called *id*. It is no error if there is none."""

    id: str


@frozen
class Act:
    """Run the custom action called *type*."""

    type: str
    params: object = None


Command: TypeAlias = Emit | Send | Schedule | Cancel | Act
