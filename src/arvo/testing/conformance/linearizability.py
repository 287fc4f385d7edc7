"""Linear: is there an order of overlapping operations that one register would have answered?"""

from collections.abc import Sequence
from typing import Final, TypeAlias, final

from attrs import frozen

# What a search may look at: the histories of the kit are short, and overlap little.
STATES_MAX: Final = 200_000


@final
@frozen
class Read:
    """Somebody read the register and found *revision*."""

    revision: int


@final
@frozen
class Swap:
    """Somebody set the register from *expected* to *revision*, and was told so."""

    expected: int
    revision: int


@final
@frozen
class Refusal:
    """Somebody expected *expected* and was told that the register held *found*."""

    expected: int
    found: int


Operation: TypeAlias = Read | Swap | Refusal


@final
@frozen
class Span:
    """An operation with the moments at which it was called and answered."""

    operation: Operation
    called: int
    answered: int


def linear_order(history: Sequence[Span], initial: int = 0) -> tuple[Operation, ...] | None:
    """Find an order in which each operation takes place between its call and its answer, and that
    a register which begins with *initial* would have answered so; None if there is none.

    The search of Wing and Gong (1993), which never looks at the same remainder twice (Lowe 2017).

    >>> both = [Span(Swap(0, 1), 1, 4), Span(Swap(0, 1), 2, 3)]
    >>> linear_order(both) is None
    True
    """
    spans = tuple(sorted(history, key=lambda span: span.called))
    seen: set[tuple[int, int]] = set()
    # Which are done (a bit each), what the register holds, and in which order they were done.
    stack: list[tuple[int, int, tuple[int, ...]]] = [(0, initial, ())]
    everything = (1 << len(spans)) - 1
    while stack:
        done, held, order = stack.pop()
        if done == everything:
            return tuple(spans[position].operation for position in order)
        if (done, held) in seen:
            continue
        seen.add((done, held))
        assert len(seen) <= STATES_MAX, "too long a history to judge"
        open_ = [at for at in range(len(spans)) if not done >> at & 1]
        first_answer = min(spans[at].answered for at in open_)
        for at in reversed(open_):
            # Whoever was called after another had been answered cannot come before it.
            after = _after(spans[at].operation, held) if spans[at].called <= first_answer else None
            if after is not None:
                stack.append((done | 1 << at, after, (*order, at)))
    return None


def _after(operation: Operation, held: int) -> int | None:
    """Say what the register holds afterwards, None where it would have answered otherwise."""
    match operation:
        case Read(revision=revision):
            return held if revision == held else None
        case Swap(expected=expected, revision=revision):
            return revision if expected == held else None
        case Refusal(expected=expected, found=found):
            return held if found == held and expected != held else None
