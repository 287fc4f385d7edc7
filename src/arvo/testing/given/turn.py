"""Turn: given what happened before, when an event comes, then these commands are wanted."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, final

from attrs import evolve, frozen

from arvo.core.command import Cancel, Command, Emit, Fail, Log, Schedule
from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.core.violations.violation import Violation
from arvo.engine.step.decide import settle
from arvo.engine.system.system import Handler, System
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.machine.orchestrator import Orchestrator
from arvo.handlers.resumable import Resumable
from arvo.testing.given.code import aligned, code, told
from arvo.testing.given.commands_of import Effects, wanted
from arvo.testing.given.given_history import Past, Said
from arvo.testing.strategies.strategies import TIME

NOW: Final = datetime.fromisoformat(TIME)


def given(
    handler: Handler,
    *,
    after: Sequence[Said] = (),
    state: object = None,
    record: Record | None = None,
    effects: Effects | None = None,
    version: str = "latest",
) -> "Given":
    """Say where a handler stands: at its beginning, or *after* some events.

    *after* holds events, or just what they say: payloads (which the workflow's open requests and
    its contracts make events of), and a `timedelta` for "that much time passes". Instead of a
    history a resumable may be given the *state* that it remembers, or any workflow its *record*.
    *effects* answer what it asks for by `call`.
    """
    past = Past(handler, effects or {}, version, NOW)
    if record is not None or state is not None:
        past.stand(record, state)
    for said in after:
        past.live(said)
    return Given(past)


@final
@frozen
class Given:
    """A handler, and what happened before."""

    past: Past

    def when(self, said: Said) -> "TurnResult":
        """Let one more event come: an event, a payload, or a span of time (see `given`)."""
        past = self.past
        event = past.event_of(said)
        before = past.record
        # First: what a flow keeps warm must be of the turn that counts.
        found = wanted(past.handler, event, before, now=past.now, effects=past.effects)
        system = System([past.handler])
        settled = settle(system, event, before, now=past.now, effects=past.effects)
        return TurnResult(past.handler, event, before, found, settled)


@final
@frozen
class TurnResult:
    """One turn: the event, the commands that the handler wants, and what they come to.

    *settled* is the commit, or the violation that is there instead. The checks may be chained.
    """

    handler: Handler
    event: Event[Any]
    before: Record | None
    wanted: tuple[Command, ...] | Violation
    settled: Commit | Violation

    def then(self, *commands: Command) -> "TurnResult":
        """Demand that exactly these commands are wanted; none for "nothing happens".

        Commands of one kind come in order; the order of different kinds says nothing. `Log` is
        compared only where one is demanded, and so are the timers of flows and charts, which have
        names of their own.
        """
        __tracebackhide__ = True
        if not isinstance(self.settled, Commit):
            raise self._miss("wanted commands, and a violation came", commands)
        ours, theirs = self._shown(commands), self._shown(self.commands, commands)
        if ours != theirs:
            raise AssertionError(told(f"{self._heading()}:", aligned(ours, theirs)))
        return self

    def fails(self, reason: str | None = None, *, name: str | None = None) -> "TurnResult":
        """Demand that it fails (tier 2), by a reason that holds *reason*."""
        __tracebackhide__ = True
        fails = [each for each in self.commands if isinstance(each, Fail)]
        if not fails:
            raise self._miss(f"wanted a Fail({reason!r}), and it does not fail")
        for fail in fails:
            if reason is not None and reason not in fail.reason:
                said = aligned([Fail(reason)], [Fail(fail.reason)])
                raise AssertionError(told(f"{self._heading()}:", said))
            if name is not None and name != fail.name:
                raise self._miss(f"wanted an error named {name}, got {fail.name}")
        return self

    def violates(self, kind: type[Violation], *, path: str | None = None) -> "TurnResult":
        """Demand a violation (tier 3) of that kind, with an issue at that *path*."""
        __tracebackhide__ = True
        if isinstance(self.settled, Commit) or not isinstance(self.settled, kind):
            raise self._miss(f"wanted a {kind.__name__}, and none came")
        paths = [issue.path for issue in self.settled.issues]
        if path is not None and path not in paths:
            known = ", ".join(paths) or "none"
            raise self._miss(f"wanted an issue at {path}, got issues at {known}")
        return self

    @property
    def commands(self) -> tuple[Command, ...]:
        """What the handler wants, as it says it; nothing where the event did not come to it."""
        unheard = isinstance(self.settled, Commit) and self.settled.note is not None
        return () if unheard or not isinstance(self.wanted, tuple) else self.wanted

    @property
    def commit(self) -> Commit:
        """What the turn changes; an AssertionError that tells the violation where it is one."""
        if not isinstance(self.settled, Commit):
            raise self._miss("there is no commit")
        return self.settled

    @property
    def events(self) -> tuple[Event[Any], ...]:
        """The events that are sent."""
        return self.commit.events

    @property
    def record(self) -> Record | None:
        """What is remembered afterwards."""
        return self.commit.record or self.before

    @property
    def view(self) -> Any:
        """What `query` says of the workflow afterwards: state, snapshot, or where a flow waits."""
        match self.handler:
            case EventHandler():
                return None
            case Resumable() | Orchestrator() | FlowHandler():
                assert self.record is not None
                return self.handler.query(self.record)

    def _shown(
        self, commands: tuple[Command, ...], beside: tuple[Command, ...] | None = None
    ) -> list[Command]:
        """Order commands by kind, each as it reads best; drop kinds that *beside* does not name."""
        own = isinstance(self.handler, FlowHandler | Orchestrator)
        optional = (Log, Schedule, Cancel) if own else (Log,)
        named = {type(each) for each in (commands if beside is None else beside)}
        kept = [each for each in commands if type(each) in named or not isinstance(each, optional)]
        return sorted(map(self._plain, kept), key=lambda each: type(each).__name__)

    def _plain(self, command: Command) -> Command:
        match command:
            case Emit():
                # A flow names its requests, so that a replay finds their answers.
                flow = isinstance(self.handler, FlowHandler)
                types = _types_of(self.handler, command.payload)
                named = types[0] if command.type is None and len(types) == 1 else command.type
                return evolve(command, id=None if flow else command.id, type=named)
            case Fail():
                return evolve(command, stack=None)
            case _:
                return command

    def _heading(self) -> str:
        when = f"{self.handler.source}, when {code(self.event.data)} comes"
        if self.before is None:
            return when
        return f"{when} to a run in revision {self.before.revision} ({self.before.status})"

    def _miss(self, problem: str, demanded: tuple[Command, ...] = ()) -> AssertionError:
        lines = [problem]
        if isinstance(self.settled, Commit):
            if self.settled.note is not None:
                lines.append(f"the event changes nothing: {self.settled.note}")
            lines += [f"it wants {code(each)}" for each in self.commands] or ["it wants nothing"]
        else:
            lines.append(f"it violates: {type(self.settled).__name__}: {self.settled}")
        lines += [f"wanted {code(each)}" for each in demanded]
        return AssertionError(told(f"{self._heading()}:", "\n".join(lines)))


def _types_of(handler: Handler, payload: object) -> tuple[str, ...]:
    """Name the event types that a payload of this class can mean to *handler*."""
    match handler:
        case EventHandler():
            versions = handler.contract.versions.values()
            return tuple({name for each in versions for name in each.types_of(payload)})
        case Resumable() | Orchestrator() | FlowHandler():
            asked = (handler.services_of(version) for version in handler.versions)
            kind = type(payload)
            return tuple({s.type for some in asked for s in some if s.accepted.type is kind})
