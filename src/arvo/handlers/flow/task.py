"""FlowTask: one generator of a flow, and the outcomes of the whole flow."""

from collections.abc import Generator
from typing import Any, TypeAlias, final

from attrs import define, field, frozen


@final
@frozen
class Returned:
    """The flow returned a value."""

    value: Any


@final
@frozen
class Raised:
    """The flow raised an exception."""

    error: BaseException


@final
@frozen
class ContinuedAsNew:
    """The flow starts again with another input."""

    payload: Any


@final
@frozen
class Stopped:
    """The flow was cancelled and has ended."""


Outcome: TypeAlias = Returned | Raised | ContinuedAsNew | Stopped


@final
@define(eq=False)
class FlowTask:
    """One generator of a flow: the operation that it waits for, or the branches that it runs.

    *waits* is the number of its pending operation. *index* is its position among the branches of
    its *parent*, *depth* the number of its ancestors. While it runs branches, *results* holds their
    return values, and *remaining* is the number of branches that have not finished; with *first*,
    the first result is enough.
    """

    generator: Generator[Any, Any, Any]
    parent: "FlowTask | None" = None
    index: int = 0
    depth: int = 0
    waits: int | None = None
    branches: "tuple[FlowTask, ...]" = ()
    first: bool = False
    results: list[Any] = field(factory=list)
    remaining: int = 0
    ended: bool = False
