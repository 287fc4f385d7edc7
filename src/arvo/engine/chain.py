"""Chain: the turns that follow from one event within a process, taken one after the other."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias, final

from attrs import define, field, frozen

from arvo.core.commit import Commit
from arvo.core.contracts.check import is_orchestrator_type
from arvo.core.events.event import EVENT_BYTES_MAX, Event
from arvo.core.events.protocol import cancel_type
from arvo.core.record import Record
from arvo.core.trace_context import TRACE_BYTES_MAX, TraceContext, with_trace
from arvo.engine.step.route import Route, ToCaller, ToDomain, ToHandler, Unroutable, route
from arvo.engine.step.step import Step, step_plain
from arvo.engine.system.system import System

# An event and its destination.
Addressed: TypeAlias = tuple[Event[Any], Route]
# Returns the trace that the events of a commit carry: that of its turn. None: as they are.
TraceTurn: TypeAlias = Callable[[Commit], TraceContext | None]

# Turns in one chain: the events that are left are delivered as all others are.
TURNS_MAX: Final = 256
# Outcomes of a chain's turns. All others are decided on the stored record, by the worker.
_OUTCOMES: Final = ("handled", "failed", "cancelled", "late")


@final
@frozen
class Chain:
    """The *commits* of a chain, in the order of the turns, and the *events* left to deliver.

    The first commit consumes the event that the chain begins with, those behind it the first
    *followers* of that event, and each other one an event that a commit before it emits.
    """

    commits: tuple[Commit, ...]
    events: tuple[Addressed, ...]
    followers: int = 0

    @property
    def keys(self) -> frozenset[str]:
        """The ordering keys of the chain: the subjects of its workflows."""
        return frozenset(commit.event.subject for commit in self.commits if is_of_workflow(commit))


def is_of_workflow(commit: Commit) -> bool:
    """Return whether a commit was decided on a record, or writes the first one."""
    return commit.record is not None or commit.expected > 0


@final
@define(eq=False)
class Tick:
    """The chains of the events that are taken together; no two of them share a workflow.

    Pure: the commits of a chain are those that `step` gives for the same events one by one, and
    they are the same in whatever company the chain is taken. *find_record* returns the newest
    record of a subject that is at hand. *keys*: the ordering keys of all events of the tick.
    *turns_max*: the most turns of one chain. *listened*: the subscriptions with a listener here.
    *limited*: the handlers that take an event only when it was delivered: they have limits.
    """

    system: System
    find_record: Callable[[str], Record | None]
    now: datetime
    keys: frozenset[str]
    step: Step = step_plain
    turns_max: int = TURNS_MAX
    listened: Collection[str] = ()
    limited: Collection[str] = ()
    # The keys of the chains, and those of the events that they leave.
    _taken: set[str] = field(factory=set, init=False)
    _left: set[str] = field(factory=set, init=False)

    def take(
        self,
        event: Event[Any],
        to: ToHandler,
        is_busy: Callable[[str, int], bool],
        followers: Iterable[tuple[Event[Any], ToHandler]] = (),
        trace: TraceTurn | None = None,
    ) -> Chain | None:
        """Take the turn of *event*, then those of its *followers*, then those of the events that
        all of these emit for handlers here.

        *followers*: the events that wait behind *event*, which have its ordering key. The first one
        that asks for an effect or is refused, and all behind it, are left to wait. An emitted event
        ends its part of the chain if it asks for an effect, is refused, belongs to another chain's
        workflow, or is for a workflow whose record is not at hand: it is left to deliver. So is one
        whose ordering key is busy: `is_busy(key, number)` returns whether other events of it wait
        than *event* and so many of its followers. None if *event* itself asks for an effect, is
        refused, or shares its workflow with a chain before it; then it has to be processed by
        itself.

        *trace* is called with each commit of the chain, in order. What the commit emits carries the
        trace that it returns, so the next turn finds that in the event that it consumes.
        """
        chain = _Growing(trace)
        if to.key in self._taken or not self._grow(chain, event, to):
            return None
        number = 0
        for follower, destination in followers:
            if len(chain.commits) == self.turns_max:
                break
            if not self._grow(chain, follower, destination):
                break
            number += 1
        while chain.waiting:
            emitted, route_ = chain.waiting.popleft()
            if not isinstance(route_, ToHandler) or len(chain.commits) >= self.turns_max:
                chain.leave(emitted, route_)
                continue
            if route_.address in self.limited:
                chain.leave(emitted, route_)
                continue
            key = route_.key
            is_next = key is None or (
                key not in chain.stopped and self._is_free(key, to.key) and not is_busy(key, number)
            )
            if not is_next or not self._grow(chain, emitted, route_):
                chain.leave(emitted, route_)
        taken = Chain(tuple(chain.commits), tuple(chain.left), number)
        self._taken |= taken.keys
        self._left |= chain.stopped
        return taken

    def _grow(self, chain: "_Growing", event: Event[Any], to: ToHandler) -> bool:
        """Add the turn of an event to a chain; False if it cannot be a part of it."""
        consumption = to.address, event.source, event.id
        if consumption in chain.consumed:
            return False
        turn = self._turn(event, to, chain.known, chain.trace)
        if turn is None:
            return False
        commit, sent = turn
        chain.consumed.add(consumption)
        chain.commits.append(commit)
        if commit.record is not None:
            chain.known[commit.record.subject] = commit.record
        chain.waiting.extend(sent)
        return True

    def _fails(self, commit: Commit) -> bool:
        """Return whether an exception fails the event; else the worker decides what follows."""
        handler = self.system.handler_at(commit.handler)
        return handler is None or handler.policy.on_error == "fail"

    def _is_free(self, key: str, own: str | None) -> bool:
        """Return whether no other event of the tick has *key*, where a chain began with *own*."""
        return key == own or not (key in self._taken or key in self._left or key in self.keys)

    def _is_elsewhere(self, to: Route) -> bool:
        """Return whether only the registry of all workers may know where an event goes."""
        match to:
            case ToHandler(address=address):
                return address in self.system.subscriptions and address not in self.listened
            case ToCaller(address=address):
                return is_orchestrator_type(address)
            case ToDomain():
                return False
            case Unroutable():
                return True

    def _turn(
        self,
        event: Event[Any],
        to: ToHandler,
        known: Mapping[str, Record],
        trace: TraceTurn | None,
    ) -> tuple[Commit, list[Addressed]] | None:
        """Take one turn; None if it cannot be a part of a chain."""
        record = None
        if to.key is not None:
            if event.type == cancel_type(to.address):
                return None
            record = known.get(to.key) or self.find_record(to.key)
            # A new workflow is not stored, as far as this can be known: its commit compares.
            if record is None and event.type != to.address:
                return None
        commit = self.step(self.system, event, record, now=self.now)
        if not isinstance(commit, Commit) or commit.outcome not in _OUTCOMES:
            return None
        if commit.unhandled is not None and not self._fails(commit):
            return None
        sent = [(it, route(self.system, it, commit.event)) for it in commit.events]
        if any(self._is_elsewhere(to) for _, to in sent):
            return None
        if trace is None:
            return commit, sent
        if any(len(it.to_bytes()) > EVENT_BYTES_MAX - TRACE_BYTES_MAX for it in commit.events):
            # With a trace it may be too large, which the step decides.
            return None
        context = trace(commit)
        if context is not None:
            commit = with_trace(commit, context)
            sent = [(it, to) for it, (_, to) in zip(commit.events, sent, strict=True)]
        return commit, sent


@final
@define(eq=False)
class _Growing:
    """A chain to which turns are added. *trace*: see `Tick.take`. *known*: the records that they
    leave, by subject.
    """

    trace: TraceTurn | None
    commits: list[Commit] = field(factory=list, init=False)
    left: list[Addressed] = field(factory=list, init=False)
    known: dict[str, Record] = field(factory=dict, init=False)
    # What the turns have emitted, and has no turn yet.
    waiting: deque[Addressed] = field(factory=deque, init=False)
    # An event that is left to deliver comes before the later ones of its key.
    stopped: set[str] = field(factory=set, init=False)
    # A handler may give two events the same id; which of them counts is found by the backend.
    consumed: set[tuple[str, str, str]] = field(factory=set, init=False)

    def leave(self, event: Event[Any], to: Route) -> None:
        """Leave an event to deliver, and with it the later ones of its key."""
        self.left.append((event, to))
        if isinstance(to, ToHandler) and to.key is not None:
            self.stopped.add(to.key)
