"""Turn: given a history, when an event comes, then the handler returns these commands."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, final

from attrs import evolve, frozen

from arvo.core.command import (
    Cancel,
    CancelChild,
    Command,
    Compensate,
    Complete,
    Emit,
    Fail,
    Log,
    Persist,
    Schedule,
    Violate,
)
from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.core.violations.violation import Violation
from arvo.engine.step.decide import decide_plain
from arvo.engine.system.handler import Handler, is_workflow
from arvo.engine.system.system import System
from arvo.handlers.effect import EffectTable
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.machine.orchestrator import Orchestrator
from arvo.testing.given.code import align, format_block, to_code
from arvo.testing.given.commands_of import commands_of
from arvo.testing.given.given_history import GivenHistory, Stimulus
from arvo.testing.strategies.strategies import TIME

NOW: Final = datetime.fromisoformat(TIME)


def given(
    handler: Handler,
    *,
    after: Sequence[Stimulus] = (),
    state: object = None,
    record: Record | None = None,
    effects: EffectTable | None = None,
    version: str = "latest",
) -> "Given":
    """Return the starting point of a test: *handler* with no history, or *after* some events.

    *after* holds events, payloads, and `timedelta` values for time that passes. A payload becomes
    an event by the handler's contracts; a reply goes to the oldest open request of its service.
    Instead of a history, pass the *state* of a resumable or the *record* of any workflow.
    *effects* maps the functions that the handler passes to `call` to functions that run instead.

    Raises TypeError for a payload that the handler does not wait for, and AssertionError if an
    event of *after* is refused.
    """
    history = GivenHistory(handler, effects or {}, version, NOW)
    if record is not None or state is not None:
        history.start_from(record, state)
    for stimulus in after:
        history.apply(stimulus)
    return Given(history)


@final
@frozen
class Given:
    """A handler and its history so far."""

    history: GivenHistory

    def when(self, stimulus: Stimulus) -> "TurnResult":
        """Deliver one more event: an event, a payload, or a span of time (see `given`)."""
        history = self.history
        event = history.make_event(stimulus)
        before = history.record
        # Before the step: the flow cache must hold the turn of the step, not of this call.
        handler_result = commands_of(
            history.handler, event, before, now=history.now, effects=history.effects
        )
        system = System([history.handler])
        result = decide_plain(system, event, before, now=history.now, effects=history.effects)
        return TurnResult(history.handler, event, before, handler_result, result)


@final
@frozen
class TurnResult:
    """One turn: its event, the commands that the handler returned, and the commit.

    *handler_result* holds the commands, or the violation of the handler. *result* is the commit, or
    the violation that prevented one. The checks return the turn itself, so that they can be
    chained.
    """

    handler: Handler
    event: Event[Any]
    before: Record | None
    handler_result: tuple[Command, ...] | Violation
    result: Commit | Violation

    def then(self, *commands: Command) -> "TurnResult":
        """Assert that the handler returned exactly these commands; no arguments mean none.

        Commands of one kind are compared in order; the order between kinds does not matter. `Log`
        is compared only if *commands* has one. The same is true of `Schedule` and `Cancel` for
        flows and charts, which name their timers themselves.
        """
        __tracebackhide__ = True
        if not isinstance(self.result, Commit):
            raise self._failure("expected commands, got a violation", commands)
        expected, actual = self._comparable(commands), self._comparable(self.commands, commands)
        if expected != actual:
            raise AssertionError(format_block(f"{self._heading()}:", align(expected, actual)))
        return self

    def fails(self, reason: str | None = None, *, name: str | None = None) -> "TurnResult":
        """Assert that the turn fails (tier 2), with a reason that contains *reason*."""
        __tracebackhide__ = True
        failures = [command for command in self.commands if isinstance(command, Fail)]
        if not failures:
            expected = "a Fail" if reason is None else to_code(Fail(reason))
            raise self._failure(f"expected {expected}, but the turn does not fail")
        for failure in failures:
            if reason is not None and reason not in failure.reason:
                diff = align([Fail(reason)], [Fail(failure.reason)])
                raise AssertionError(format_block(f"{self._heading()}:", diff))
            if name is not None and name != failure.name:
                raise self._failure(f"expected an error named {name}, got {failure.name}")
        return self

    def violates(self, kind: type[Violation], *, path: str | None = None) -> "TurnResult":
        """Assert that the turn ends in a violation (tier 3) of *kind*, with an issue at *path*."""
        __tracebackhide__ = True
        if isinstance(self.result, Commit) or not isinstance(self.result, kind):
            raise self._failure(f"expected a {kind.__name__}, but there is none")
        paths = [issue.path for issue in self.result.issues]
        if path is not None and path not in paths:
            known = ", ".join(paths) or "none"
            raise self._failure(f"expected an issue at {path}, got issues at {known}")
        return self

    @property
    def commands(self) -> tuple[Command, ...]:
        """The commands as the handler returned them; empty if the event was not for it."""
        ignored = isinstance(self.result, Commit) and self.result.note is not None
        return () if ignored or not isinstance(self.handler_result, tuple) else self.handler_result

    @property
    def commit(self) -> Commit:
        """The commit of the turn; raises AssertionError with the violation if there is none."""
        if not isinstance(self.result, Commit):
            raise self._failure("there is no commit")
        return self.result

    @property
    def events(self) -> tuple[Event[Any], ...]:
        """The events that the turn sends."""
        return self.commit.events

    @property
    def record(self) -> Record | None:
        """The workflow's record after the turn."""
        return self.commit.record or self.before

    @property
    def view(self) -> Any:
        """The result of `query` after the turn: a state, a snapshot, or where a flow waits."""
        if not is_workflow(self.handler):
            return None
        assert self.record is not None
        return self.handler.query(self.record)

    def _comparable(
        self, commands: tuple[Command, ...], expected: tuple[Command, ...] | None = None
    ) -> list[Command]:
        """Sort commands by kind, normalised; leave out optional kinds that *expected* lacks."""
        names_timers = isinstance(self.handler, FlowHandler | Orchestrator)
        optional = (Log, Schedule, Cancel) if names_timers else (Log,)
        kinds = {type(command) for command in (commands if expected is None else expected)}
        compared = [
            command
            for command in commands
            if type(command) in kinds or not isinstance(command, optional)
        ]
        return sorted(map(self._normalise, compared), key=lambda command: type(command).__name__)

    def _normalise(self, command: Command) -> Command:
        match command:
            case Emit():
                # A flow gives its requests ids, so that a replay finds their replies.
                sets_ids = isinstance(self.handler, FlowHandler)
                types = _event_types(self.handler, command.payload)
                type_ = types[0] if command.type is None and len(types) == 1 else command.type
                return evolve(command, id=None if sets_ids else command.id, type=type_)
            case Fail():
                return evolve(command, stack=None)
            case Persist() | Complete() | Violate() | Schedule() | Cancel() | CancelChild():
                return command
            case Compensate() | Log():
                return command

    def _heading(self) -> str:
        heading = f"{self.handler.source}, when it receives {to_code(self.event.data)}"
        if self.before is None:
            return heading
        return f"{heading} at revision {self.before.revision} ({self.before.status})"

    def _failure(self, problem: str, expected: tuple[Command, ...] = ()) -> AssertionError:
        lines = [problem]
        if isinstance(self.result, Commit):
            if self.result.note is not None:
                lines.append(f"the event changes nothing: {self.result.note}")
            commands = [f"actual: {to_code(command)}" for command in self.commands]
            lines += commands or ["actual: no commands"]
        else:
            lines.append(f"violation: {type(self.result).__name__}: {self.result}")
        lines += [f"expected: {to_code(command)}" for command in expected]
        return AssertionError(format_block(f"{self._heading()}:", "\n".join(lines)))


def _event_types(handler: Handler, payload: object) -> tuple[str, ...]:
    """Return the event types that *handler* may emit a payload of this class as."""
    if not is_workflow(handler):
        versions = handler.contract.versions.values()
        return tuple({name for version in versions for name in version.types_of(payload)})
    services = (service for version in handler.versions for service in handler.services_of(version))
    return tuple({s.type for s in services if type(payload) in s.accepted.instance_types})
