"""Track: a flow under way, and the branches that it runs side by side."""

from collections.abc import Callable, Generator
from functools import partial
from inspect import GEN_CREATED, getgeneratorstate
from typing import Any, Final, TypeAlias, final

from attrs import define, field, frozen

from arvo.core.violations.issue import Issue, short
from arvo.core.violations.violation import ExecutionViolation, Violated
from arvo.handlers.effect import Perform
from arvo.handlers.flow.operations import Branches, Listen, Nap, Request, Tell, Waiting
from arvo.handlers.flow.primitives import Continuing

# A flow that stops more often has a history that no one should replay: `continue_as_new` begins
# anew.
WISHES_MAX: Final = 20_000
# Branches that one flow runs side by side, and how deep they may lie in each other.
BRANCHES_MAX: Final = 1_000
DEPTH_MAX: Final = 100
# Times that a generator is told to end before it is left alone.
CLOSES_MAX: Final = 100

Move: TypeAlias = Callable[[], Any]


@final
@frozen
class Returned:
    """The flow came to its end with a value."""

    value: Any


@final
@frozen
class Raised:
    """An exception left the flow."""

    error: Exception


@final
@frozen
class Again:
    """The flow wants to begin anew with another input."""

    payload: Any


@final
@frozen
class Stopped:
    """The flow was told to end, and did."""


Outcome: TypeAlias = Returned | Raised | Again | Stopped


@final
@define(eq=False)
class Strand:
    """One generator of a flow: what it waits for, or the branches that it does."""

    generator: Generator[Any, Any, Any]
    parent: "Strand | None" = None
    index: int = 0
    depth: int = 0
    waits: int | None = None
    branches: "tuple[Strand, ...]" = ()
    first: bool = False
    results: list[Any] = field(factory=list)
    left: int = 0
    ended: bool = False


@final
@define(eq=False)
class Track:
    """A flow under way: each wish gets a number, and waits in *open* until it is answered.

    *told* hears of each command that the flow wants carried out at once, *opened* of each wish that
    waits from now on, *dropped* of each that nobody waits for any more; all with their numbers, in
    the order in which they come up. *outcome* is None while the flow is under way.
    """

    told: Callable[[int, Tell], None]
    opened: Callable[[int, Waiting], None]
    dropped: Callable[[int, Waiting], None]
    open: dict[int, tuple[Strand, Waiting]] = field(factory=dict)
    outcome: Outcome | None = None
    root: Strand | None = None
    _next: int = 0
    _ending: bool = False

    def start(self, generator: Generator[Any, Any, Any]) -> None:
        """Run the flow from its beginning to where it waits."""
        self.root = Strand(generator)
        self._run(self.root, partial(next, generator))

    def answer(self, number: int, value: object) -> None:
        """Grant a wish, and run on to where the flow waits again."""
        strand = self._taken(number)
        self._run(strand, partial(strand.generator.send, value))

    def throw(self, number: int, error: BaseException) -> None:
        """Raise an exception where a wish is waited for, and run on."""
        strand = self._taken(number)
        self._run(strand, partial(strand.generator.throw, error))

    def stop(self, error: BaseException) -> None:
        """Raise *error* wherever the flow waits; innermost first. From now on nothing waits."""
        self._ending = True
        if self.root is not None:
            self._stop(self.root, error)
        if self.outcome is None:
            self.outcome = Stopped()

    def close(self) -> None:
        """End all that is left of the flow."""
        if self.root is not None:
            self._close(self.root)

    def _taken(self, number: int) -> Strand:
        strand, _ = self.open.pop(number)
        strand.waits = None
        return strand

    def _run(self, strand: Strand, move: Move) -> None:
        # A stack and no recursion: the first of several branches runs to where it waits, then the
        # next; a branch that ends wakes its parent before its younger siblings begin.
        stack = [(strand, move)]
        while stack:
            strand, move = stack.pop()
            if strand.ended:
                continue
            try:
                wish = move()
            except StopIteration as stop:
                self._finish(strand, stop.value, stack)
            except (KeyboardInterrupt, SystemExit, MemoryError):
                raise
            except BaseException as error:  # noqa: BLE001 - whatever leaves a branch enters its parent
                self._break(strand, error, stack)
            else:
                self._wish(strand, wish, stack)

    def _wish(self, strand: Strand, wish: object, stack: list[tuple[Strand, Move]]) -> None:
        match wish:
            case Tell():
                self.told(self._number(), wish)
                stack.append((strand, partial(strand.generator.send, None)))
            case Branches() if not self._ending:
                self._branch(strand, wish, stack)
            case Branches() | Request() | Nap() | Listen() | Perform():
                if self._ending or isinstance(wish, Branches):
                    self._close(strand)
                    return
                strand.waits = self._number()
                self.open[strand.waits] = strand, wish
                self.opened(strand.waits, wish)
            case _:
                expected = "what `yield from` ask, sleep, call and the like ask for"
                issue = Issue("yield", expected, f"{short(wish)} ({type(wish).__name__})")
                raise Violated(ExecutionViolation("the flow yields what nobody can grant", issue))

    def _number(self) -> int:
        if self._next >= WISHES_MAX:
            issue = Issue("flow", f"at most {WISHES_MAX} stops (see continue_as_new)", "more")
            raise Violated(ExecutionViolation("the flow's history grows too long", issue))
        self._next += 1
        return self._next - 1

    def _branch(self, strand: Strand, wish: Branches, stack: list[tuple[Strand, Move]]) -> None:
        _check_begins(wish.flows)
        if len(wish.flows) > BRANCHES_MAX or strand.depth >= DEPTH_MAX:
            got = f"{len(wish.flows)}, {strand.depth} deep"
            issue = Issue("flow", f"at most {BRANCHES_MAX} branches, {DEPTH_MAX} deep", got)
            raise Violated(ExecutionViolation("the flow branches too much", issue))
        if not wish.flows:
            stack.append((strand, partial(strand.generator.send, ())))
            return
        strand.branches = tuple(
            Strand(generator, strand, index, strand.depth + 1)
            for index, generator in enumerate(wish.flows)
        )
        strand.first = wish.first
        strand.results, strand.left = [None] * len(wish.flows), len(wish.flows)
        stack.extend((each, partial(next, each.generator)) for each in reversed(strand.branches))

    def _finish(self, strand: Strand, value: object, stack: list[tuple[Strand, Move]]) -> None:
        strand.ended = True
        parent = strand.parent
        if parent is None:
            self.outcome = Returned(value)
        elif self._ending:
            return  # `_stop` goes up by itself
        elif parent.first:
            self._end_branches(parent)
            stack.append((parent, partial(parent.generator.send, value)))
        else:
            parent.results[strand.index] = value
            parent.left -= 1
            if not parent.left:
                results = tuple(parent.results)
                self._end_branches(parent)
                stack.append((parent, partial(parent.generator.send, results)))

    def _break(
        self, strand: Strand, error: BaseException, stack: list[tuple[Strand, Move]]
    ) -> None:
        strand.ended = True
        parent = strand.parent
        if parent is not None:
            if not self._ending:
                self._end_branches(parent)
                stack.append((parent, partial(parent.generator.throw, error)))
        elif isinstance(error, Continuing) and not self._ending:
            self.outcome = Again(error.payload)
        elif isinstance(error, Exception):
            self.outcome = Raised(error)
        else:
            self.outcome = Stopped()

    def _end_branches(self, strand: Strand) -> None:
        for branch in strand.branches:
            self._close(branch)
        strand.branches, strand.results = (), []

    def _stop(self, strand: Strand, error: BaseException) -> None:
        if strand.ended:
            return
        for branch in strand.branches:
            self._stop(branch, error)
        strand.branches = ()
        self._drop(strand)
        self._run(strand, partial(strand.generator.throw, error))

    def _drop(self, strand: Strand) -> None:
        number, strand.waits = strand.waits, None
        if number is not None:
            _, wish = self.open.pop(number)
            self.dropped(number, wish)

    def _close(self, strand: Strand) -> None:
        if strand.ended:
            return
        strand.ended = True
        self._end_branches(strand)
        self._drop(strand)
        _closed(strand.generator)


def _closed(generator: Generator[Any, Any, Any]) -> None:
    """End a generator; what a `finally` of its own raises or asks for, nobody hears any more."""
    for _ in range(CLOSES_MAX):
        try:
            generator.close()
            return
        except RuntimeError:
            continue  # it asked for one more thing, and stands at the next `yield`
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BaseException:  # noqa: BLE001 - it has been ended; there is nobody left to tell
            return


def _check_begins(flows: tuple[object, ...]) -> None:
    """Refuse branches that are no flows, or are under way: given twice, one would be told the
    answers of its other self.
    """
    seen: set[int] = set()
    for position, each in enumerate(flows):
        fresh = isinstance(each, Generator) and getgeneratorstate(each) == GEN_CREATED
        if not fresh or id(each) in seen:
            issue = Issue(f"flows[{position}]", "a flow that has not begun", short(each))
            raise Violated(ExecutionViolation("the flow cannot branch into this", issue))
        seen.add(id(each))
