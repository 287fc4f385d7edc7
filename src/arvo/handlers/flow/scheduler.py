"""FlowScheduler: runs the generators of a flow, one at a time, to where each waits."""

from collections.abc import Callable, Generator, Mapping
from functools import partial
from inspect import GEN_CREATED, getgeneratorstate
from typing import Any, Final, TypeAlias, TypeGuard, final

from attrs import define, field

from arvo.core.command import Emit, Fail
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ExecutionViolation, Violated
from arvo.handlers.effect import Perform
from arvo.handlers.flow.errors import Cancelled, ContinueAsNew
from arvo.handlers.flow.operations import (
    Delay,
    IssueCommand,
    Parallel,
    PendingOperation,
    Request,
    WaitForSignal,
)
from arvo.handlers.flow.task import ContinuedAsNew, FlowTask, Outcome, Raised, Returned, Stopped
from arvo.handlers.generators import close_generator, code_place
from arvo.interrupts import is_interrupt

# The history of a flow with more operations takes too long to replay; `continue_as_new` empties it.
OPERATIONS_MAX: Final = 20_000
# Branches that one task runs concurrently, and the depth of their nesting.
BRANCHES_MAX: Final = 1_000
DEPTH_MAX: Final = 100

# The violation of a flow that yields anything else, and what its author meant.
NO_OPERATION: Final = "the flow yields no operation"
_HINTS: Final[Mapping[type, str]] = {
    Fail: ", and `return fail(reason)` to fail",
    Emit: ", as `yield from tell(payload)`",
}

Resume: TypeAlias = Callable[[], Any]


@final
@define(eq=False)
class FlowScheduler:
    """The tasks of a running flow. Each operation has a number; *open* holds the pending ones.

    The callbacks receive the number of an operation, in the order in which operations occur:
    *on_command* each command that the flow issues, *on_wait* each operation that starts to wait,
    *on_abandon* each pending operation whose task was closed. *outcome* is None while the flow
    runs.
    """

    on_command: Callable[[int, IssueCommand], None]
    on_wait: Callable[[int, PendingOperation], None]
    on_abandon: Callable[[int, PendingOperation], None]
    open: dict[int, tuple[FlowTask, PendingOperation]] = field(factory=dict)
    outcome: Outcome | None = None
    root: FlowTask | None = None
    _next_number: int = 0
    _stopping: bool = False

    def start(self, generator: Generator[Any, Any, Any]) -> None:
        """Run the flow from its beginning to where it waits."""
        self.root = FlowTask(generator)
        self._run(self.root, partial(next, generator))

    def answer(self, number: int, value: object) -> None:
        """Complete an operation with its result, and run to where the flow waits again."""
        task = self._take_task(number)
        self._run(task, partial(task.generator.send, value))

    def throw(self, number: int, error: BaseException) -> None:
        """Complete an operation by raising an exception, and run to where the flow waits again."""
        task = self._take_task(number)
        self._run(task, partial(task.generator.throw, error))

    def stop(self, error: BaseException) -> None:
        """Raise *error* wherever the flow waits, innermost first; from now on it cannot wait."""
        self._stopping = True
        if self.root is not None:
            self._stop(self.root, error)
        if self.outcome is None:
            self.outcome = Stopped()

    def close(self) -> None:
        """Close all tasks of the flow."""
        if self.root is not None:
            self._close(self.root)

    def _take_task(self, number: int) -> FlowTask:
        task, _ = self.open.pop(number)
        task.waits = None
        return task

    def _run(self, task: FlowTask, resume: Resume) -> None:
        # A stack in place of recursion: the first of several branches runs to where it waits, then
        # the next. A branch that ends resumes its parent before its younger siblings start.
        stack = [(task, resume)]
        while stack:
            task, resume = stack.pop()
            if task.ended:
                continue
            try:
                operation = resume()
            except StopIteration as stop:
                self._finish(task, stop.value, stack)
            except BaseException as error:
                if is_interrupt(error):
                    raise
                # The exception of a branch is raised in its parent.
                self._fail(task, error, stack)
            else:
                self._handle(task, operation, stack)

    def _handle(
        self, task: FlowTask, operation: object, stack: list[tuple[FlowTask, Resume]]
    ) -> None:
        match operation:
            case IssueCommand():
                self.on_command(self._take_number(), operation)
                stack.append((task, partial(task.generator.send, None)))
            case Parallel() if not self._stopping:
                self._start_branches(task, operation, stack)
            case Parallel() | Request() | Delay() | WaitForSignal() | Perform():
                if self._stopping or isinstance(operation, Parallel):
                    self._close(task)
                    return
                task.waits = self._take_number()
                self.open[task.waits] = task, operation
                self.on_wait(task.waits, operation)
            case _:
                expected = "an operation, by `yield from` ask, sleep, call and the like"
                got = f"{short_repr(operation)} ({type(operation).__name__})"
                hint = next((it for kind, it in _HINTS.items() if isinstance(operation, kind)), "")
                issue = Issue(f"yield at {_place(task.generator)}", expected + hint, got)
                raise Violated(ExecutionViolation(NO_OPERATION, issue))

    def _take_number(self) -> int:
        if self._next_number >= OPERATIONS_MAX:
            expected = f"at most {OPERATIONS_MAX} operations (see continue_as_new)"
            issue = Issue("flow", expected, "more")
            raise Violated(ExecutionViolation("the flow's history grows too long", issue))
        self._next_number += 1
        return self._next_number - 1

    def _start_branches(
        self, task: FlowTask, parallel: Parallel, stack: list[tuple[FlowTask, Resume]]
    ) -> None:
        flows = parallel.flows
        _check_unstarted(flows)
        if len(flows) > BRANCHES_MAX or task.depth >= DEPTH_MAX:
            _close_unstarted(flows)
            got = f"{len(flows)}, {task.depth} deep"
            issue = Issue("flow", f"at most {BRANCHES_MAX} branches, {DEPTH_MAX} deep", got)
            raise Violated(ExecutionViolation("the flow branches too much", issue))
        if not flows:
            stack.append((task, partial(task.generator.send, ())))
            return
        task.branches = tuple(
            FlowTask(generator, task, index, task.depth + 1)
            for index, generator in enumerate(flows)
        )
        task.first = parallel.first
        task.results, task.remaining = [None] * len(flows), len(flows)
        stack.extend(
            (branch, partial(next, branch.generator)) for branch in reversed(task.branches)
        )

    def _finish(self, task: FlowTask, value: object, stack: list[tuple[FlowTask, Resume]]) -> None:
        task.ended = True
        parent = task.parent
        if parent is None:
            self.outcome = Returned(value)
        elif self._stopping:
            return  # `_stop` visits the parent itself
        elif parent.first:
            self._close_branches(parent)
            stack.append((parent, partial(parent.generator.send, value)))
        else:
            parent.results[task.index] = value
            parent.remaining -= 1
            if not parent.remaining:
                results = tuple(parent.results)
                self._close_branches(parent)
                stack.append((parent, partial(parent.generator.send, results)))

    def _fail(
        self, task: FlowTask, error: BaseException, stack: list[tuple[FlowTask, Resume]]
    ) -> None:
        task.ended = True
        parent = task.parent
        if parent is not None:
            if not self._stopping:
                self._close_branches(parent)
                stack.append((parent, partial(parent.generator.throw, error)))
        elif isinstance(error, ContinueAsNew) and not self._stopping:
            self.outcome = ContinuedAsNew(error.payload)
        elif isinstance(error, Cancelled | ContinueAsNew):
            self.outcome = Stopped()
        else:
            self.outcome = Raised(error)

    def _close_branches(self, task: FlowTask) -> None:
        for branch in task.branches:
            self._close(branch)
        task.branches, task.results = (), []

    def _stop(self, task: FlowTask, error: BaseException) -> None:
        if task.ended:
            return
        for branch in task.branches:
            self._stop(branch, error)
        task.branches = ()
        self._abandon(task)
        self._run(task, partial(task.generator.throw, error))

    def _abandon(self, task: FlowTask) -> None:
        number, task.waits = task.waits, None
        if number is not None:
            _, operation = self.open.pop(number)
            self.on_abandon(number, operation)

    def _close(self, task: FlowTask) -> None:
        if task.ended:
            return
        task.ended = True
        self._close_branches(task)
        self._abandon(task)
        close_generator(task.generator)


def _place(generator: Generator[Any, Any, Any]) -> str:
    """Return the file and the line at which a generator, or the one that it runs, has yielded."""
    inner: Any = generator
    while isinstance(getattr(inner, "gi_yieldfrom", None), Generator):
        inner = inner.gi_yieldfrom
    frame = getattr(inner, "gi_frame", None)
    return "?" if frame is None else code_place(frame.f_code, frame.f_lineno)


def _check_unstarted(flows: tuple[object, ...]) -> None:
    """Raise `Violated` for a branch that is no flow, has started, or occurs twice.

    A generator in two branches would receive the answers of both.
    """
    seen: set[int] = set()
    for position, flow in enumerate(flows):
        if not _is_unstarted(flow) or id(flow) in seen:
            _close_unstarted(flows)
            issue = Issue(f"flows[{position}]", "a flow that has not begun", short_repr(flow))
            raise Violated(ExecutionViolation("the flow cannot run this branch", issue))
        seen.add(id(flow))


def _close_unstarted(flows: tuple[object, ...]) -> None:
    """Close the branches that are refused: the violation says enough."""
    for flow in filter(_is_unstarted, flows):
        close_generator(flow)


def _is_unstarted(flow: object) -> TypeGuard[Generator[Any, Any, Any]]:
    return isinstance(flow, Generator) and getgeneratorstate(flow) == GEN_CREATED
