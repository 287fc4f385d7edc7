"""Wish: what a flow stops for, as a value; the system grants it, now or after a restart."""

from collections.abc import Callable, Generator
from datetime import datetime, timedelta
from typing import Any, TypeAlias, TypeVar, final

from attrs import field, frozen

from arvo.core.command import Compensate, Emit
from arvo.handlers.effect import Perform

R_co = TypeVar("R_co", covariant=True)


@final
@frozen
class Request:
    """Send *emit*, and wait for its reply: one of *replies*, where they are named."""

    emit: Emit
    replies: tuple[type[Any], ...] = ()


@final
@frozen
class Nap:
    """Wait until a time, or for a span."""

    until: datetime | None = None
    span: timedelta | None = None


@final
@frozen
class Listen:
    """Wait for a signal of one of *kinds* that *where* says yes to, at most for *timeout*."""

    kinds: tuple[type[Any], ...]
    where: Callable[[Any], bool] | None = field(default=None, eq=False)
    timeout: Nap | None = None


@final
@frozen
class Tell:
    """Carry out a command, and go on at once."""

    command: Emit | Compensate


@final
@frozen(eq=False)
class Branches:
    """Run flows side by side, until all are done or, with *first*, until one is."""

    flows: tuple["Generator[Wish, Any, Any]", ...]
    first: bool = False


Wish: TypeAlias = Request | Nap | Listen | Tell | Branches | Perform[Any]
# What waits for an answer from elsewhere.
Waiting: TypeAlias = Request | Nap | Listen | Perform[Any]

# What a flow's function returns: declare `-> Flow[OrderFulfilled]`.
Flow: TypeAlias = Generator[Wish, Any, R_co]
