"""Linearizability: decide whether one register could have produced a history of operations."""

from collections.abc import Sequence
from typing import Final, TypeAlias, final

from attrs import frozen

# States that a search may visit. The histories of the kit are short and overlap little.
STATES_MAX: Final = 200_000


@final
@frozen
class Read:
    """A read of the register that returned *revision*."""

    revision: int


@final
@frozen
class Swap:
    """A successful compare-and-set of the register from *expected* to *revision*."""

    expected: int
    revision: int


@final
@frozen
class Refusal:
    """A compare-and-set that expected *expected* and failed, because the register held *found*."""

    expected: int
    found: int


Operation: TypeAlias = Read | Swap | Refusal


@final
@frozen
class Span:
    """An operation, with the times at which it was invoked and at which it returned."""

    operation: Operation
    invoked: int
    returned: int


def find_linearization(history: Sequence[Span], initial: int = 0) -> tuple[Operation, ...] | None:
    """Return an order of the operations that a register with the value *initial* allows, or None.

    In this order each operation takes effect between its invocation and its return. The search is
    that of Wing and Gong (1993), with the memoisation of Lowe (2017).

    >>> both = [Span(Swap(0, 1), 1, 4), Span(Swap(0, 1), 2, 3)]
    >>> find_linearization(both) is None
    True
    """
    spans = tuple(sorted(history, key=lambda span: span.invoked))
    visited: set[tuple[int, int]] = set()
    # The operations done (one bit each), the value of the register, and the order so far.
    stack: list[tuple[int, int, tuple[int, ...]]] = [(0, initial, ())]
    everything = (1 << len(spans)) - 1
    while stack:
        done, value, order = stack.pop()
        if done == everything:
            return tuple(spans[position].operation for position in order)
        if (done, value) in visited:
            continue
        visited.add((done, value))
        assert len(visited) <= STATES_MAX, "the history is too long to check"
        pending = [position for position in range(len(spans)) if not done >> position & 1]
        first_return = min(spans[position].returned for position in pending)
        for position in reversed(pending):
            # An operation that was invoked after another one returned cannot come before it.
            may_be_next = spans[position].invoked <= first_return
            after = _apply(spans[position].operation, value) if may_be_next else None
            if after is not None:
                stack.append((done | 1 << position, after, (*order, position)))
    return None


def _apply(operation: Operation, value: int) -> int | None:
    """Return the register's value after *operation*, or None if its result is impossible."""
    match operation:
        case Read(revision=revision):
            return value if revision == value else None
        case Swap(expected=expected, revision=revision):
            return revision if expected == value else None
        case Refusal(expected=expected, found=found):
            return value if found == value and expected != value else None
