"""FlowExecution: one running flow, and the effects of its current turn."""

from collections import deque
from typing import Any, Final, final

from attrs import define, evolve, field

from arvo.core.command import Cancel, Command, Compensate, Emit, Schedule
from arvo.core.events.event import Event
from arvo.core.events.identity import derived_id
from arvo.core.events.protocol import SystemFault
from arvo.core.payloads.frozen_json import FrozenDict, FrozenList
from arvo.core.payloads.json_data import freeze_unchecked
from arvo.core.payloads.types.classes import is_instance
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ExecutionViolation, Violated
from arvo.handlers.effect import Perform, Performed
from arvo.handlers.flow.errors import ServiceFailed, UnexpectedReply
from arvo.handlers.flow.journal import (
    JournalEntry,
    describe,
    dump_event,
    dump_signal,
    journal_mismatch,
    make_entry,
    read_call,
    read_signal,
    service_of,
)
from arvo.handlers.flow.operations import (
    Delay,
    IssueCommand,
    PendingOperation,
    Request,
    WaitForSignal,
)
from arvo.handlers.flow.scheduler import FlowScheduler
from arvo.handlers.flow.version import FlowVersion, answered_signal

# Unread signals of one flow. A flow with more has no `wait_for` that reads them.
SIGNALS_MAX: Final = 1_000


@final
@define(eq=False)
class FlowExecution:
    """A running flow, in a turn and between two turns.

    *journal* and *state* are those of its record, *event* the one that began the workflow, *init*
    that event's id. In a turn, *prefix* holds the entries that stay in the journal, *appended* the
    new ones, and *commands* the commands of the turn, each with the number of its operation.

    Pending operations are found by number: *descriptions* holds their texts, *keys* the id of a
    request or the name of a timer; *numbers* maps those keys back. *unreplayed* holds the entries
    that a replay has yet to send. *pending_event* is the event of a turn that waits for an effect,
    *performed* the effects that the turn has received so far.
    """

    handler: str
    flow_version: FlowVersion
    subject: str
    init: str
    event: Event[Any]
    generation: int = 0
    journal: tuple[Any, ...] = ()
    state: Any = None
    scheduler: FlowScheduler = field(init=False)
    descriptions: dict[int, str] = field(factory=dict)
    # The same for the operations that are open, as the record has them; and those that are calls.
    # Made as they come and go: a flow may wait for a thousand.
    waiting: dict[str, str] = field(factory=dict)
    calls: dict[int, Perform[Any]] = field(factory=dict)
    numbers: dict[str, int] = field(factory=dict)
    keys: dict[int, str] = field(factory=dict)
    signals: list[FrozenDict] = field(factory=list)
    # The signal that was read last, by type, where its contract has an answer.
    asked: dict[str, FrozenDict] = field(factory=dict)
    unreplayed: deque[JournalEntry] = field(factory=deque)
    is_replaying: bool = False
    prefix: tuple[Any, ...] = ()
    appended: list[FrozenDict] = field(factory=list)
    commands: list[tuple[int, Command]] = field(factory=list)
    abandoned: list[str] = field(factory=list)
    pending_event: Event[Any] | None = None
    performed: list[Performed] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.scheduler = FlowScheduler(self._on_command, self._on_wait, self._on_abandon)

    def begin(self) -> None:
        """Run the flow from its beginning to where it waits."""
        self.appended = [FrozenDict({"event": freeze_unchecked(self.event.to_dict())})]
        self.start()

    def start(self) -> None:
        """Start the generator and run it to where it waits; *appended* does not change."""
        self.scheduler.start(self.flow_version.call(self.event))

    def continue_as_new(self, data: object, raw: FrozenDict) -> None:
        """Start the flow again with another input; unread signals are retained."""
        self.generation += 1
        self.asked = {}  # as after a replay, which begins here
        self.event = self.event.with_payload(data, raw)
        self.scheduler = FlowScheduler(self._on_command, self._on_wait, self._on_abandon)
        self.prefix = ()
        self.begin()

    def mark_idle(self, journal: tuple[Any, ...], state: Any) -> None:
        """End the turn: take over the *journal* and *state* of the record after it."""
        self.journal = self.prefix = journal
        self.state = state
        self.appended, self.commands, self.abandoned = [], [], []
        self.pending_event, self.performed = None, []

    def resolve_request(self, number: int, event: Event[Any]) -> None:
        """Complete a request with its reply."""
        operation = self.scheduler.open[number][1]
        if isinstance(operation, Request):
            self._record_answer(number, dump_event(event))
            self.answer_request(number, operation, event.type, event.data)

    def resolve_timer(self, number: int, at: str) -> None:
        """Complete a sleep, or a wait that has reached its deadline."""
        self._record_answer(number, FrozenDict({"due": at}))
        self.scheduler.answer(number, None)

    def resolve_signal(self) -> bool:
        """Complete one operation with an unread signal; return False where none matches."""
        for number in sorted(self.scheduler.open) if self.signals else ():
            operation = self.scheduler.open[number][1]
            if isinstance(operation, WaitForSignal):
                for position, signal in enumerate(self.signals):
                    payload = read_signal(self.flow_version.signals, signal)
                    if operation.accepts(payload):
                        del self.signals[position]
                        self._record_answer(number, signal)
                        self.answer_signal(number, signal, payload)
                        return True
        return False

    def resolve_call(self, number: int, call: Perform[Any], answer: FrozenDict) -> None:
        """Complete a call with its recorded result, as a replay does."""
        self._record_answer(number, FrozenDict({"call": answer}))
        self.answer_call(number, call, answer)

    def enqueue_signal(self, event: Event[Any]) -> None:
        """Append a signal to the unread ones."""
        if len(self.signals) >= SIGNALS_MAX:
            issue = Issue("signals", f"at most {SIGNALS_MAX} that were not read", event.type)
            raise Violated(ExecutionViolation(f"{self.handler} does not read its signals", issue))
        self.signals.append(dump_signal(self.flow_version.signals, event))

    def state_to_dict(self) -> FrozenDict:
        """Return the state of the record: pending operations and unread signals."""
        return FrozenDict(
            {
                "generation": self.generation,
                "waiting": FrozenDict(self.waiting),
                "signals": FrozenList(self.signals),
            }
        )

    def answer_request(self, number: int, request: Request, event_type: str, payload: Any) -> None:
        """Resume the flow with a reply, or raise it there where the flow does not expect it."""
        if isinstance(payload, SystemFault):
            service = service_of(self.flow_version.services, event_type)
            self.scheduler.throw(number, ServiceFailed(service, payload))
        elif request.replies and not is_instance(payload, request.replies):
            self.scheduler.throw(number, UnexpectedReply(event_type, payload))
        else:
            self.scheduler.answer(number, payload)

    def answer_signal(self, number: int, signal: JournalEntry, payload: Any) -> None:
        """Resume the flow with a signal; what it answers next is for the sender of it."""
        if "from" in signal:
            self.asked[signal["type"]] = signal["from"]
        self.scheduler.answer(number, payload)

    def answer_call(self, number: int, call: Perform[Any], answer: Any) -> None:
        """Resume the flow with the result of a call, or raise its error there."""
        value = read_call(call, answer)
        if "error" in answer:
            self.scheduler.throw(number, value)
        else:
            self.scheduler.answer(number, value)

    def forget(self, number: int, operation: PendingOperation) -> None:
        """Remove an operation that is no longer pending, and cancel its timer."""
        self.descriptions.pop(number, None)
        if self.is_replaying:
            # What the flow waits for is collected at the end.
            return
        self.waiting.pop(str(number), None)
        self.calls.pop(number, None)
        key = self.keys.pop(number, None)
        if key is not None:
            del self.numbers[key]
            if not isinstance(operation, Request):
                self.commands.append((number, Cancel(key)))

    def check_entry(self, entry: JournalEntry, number: int) -> None:
        """Raise `Violated` where operation *number* is not the one of the journal."""
        description = self.descriptions.get(entry["at"])
        if entry["at"] != number or description != entry["asked"]:
            now = description or self.descriptions.get(number) or "nothing"
            raise journal_mismatch(entry["at"], entry["asked"], now)

    def _record_answer(self, number: int, answer: JournalEntry) -> None:
        self.appended.append(make_entry(number, self.descriptions[number], answer))
        self.forget(number, self.scheduler.open[number][1])

    def _on_command(self, number: int, operation: IssueCommand) -> None:
        description = describe(operation)
        if self.is_replaying:
            self.descriptions[number] = description
            entry = self.unreplayed.popleft() if self.unreplayed else None
            if entry is None:
                raise journal_mismatch(number, "nothing more", description)
            self.check_entry(entry, number)
            del self.descriptions[number]
            return
        self.appended.append(make_entry(number, description))
        self.commands.append((number, self._addressed(operation.command)))

    def _addressed(self, command: Emit | Compensate) -> Emit | Compensate:
        """Return a command; where it answers a signal that was read, with the sender of that."""
        if not isinstance(command, Emit) or command.parentid is not None:
            return command
        signal = answered_signal(self.flow_version, command)
        asked = None if signal is None else self.asked.get(signal.type)
        if asked is None:
            return command
        return evolve(command, to=command.to or asked["to"], parentid=asked["id"])

    def end_replay(self) -> None:
        """Leave the replay where the flow waits: only these operations are in the record."""
        self.is_replaying = False
        for number, (_, operation) in self.scheduler.open.items():
            self.waiting[str(number)] = self.descriptions[number]
            match operation:
                case Request():
                    self._assign_key(number, self._request_id(number))
                case Delay() | WaitForSignal(timeout=Delay()):
                    self._assign_key(number, self._timer_name(number))
                case Perform():
                    self.calls[number] = operation
                case WaitForSignal():
                    pass

    def _on_wait(self, number: int, operation: PendingOperation) -> None:
        description = self.descriptions[number] = describe(operation)
        if self.is_replaying:
            return
        self.waiting[str(number)] = description
        match operation:
            case Request(emit=emit):
                id_ = self._request_id(number)
                self._assign_key(number, id_)
                self.commands.append((number, evolve(emit, id=id_)))
            case Delay():
                self._set_timer(number, operation)
            case WaitForSignal(timeout=Delay() as timeout):
                self._set_timer(number, timeout)
            case Perform():
                self.calls[number] = operation
            case WaitForSignal():
                pass

    def _request_id(self, number: int) -> str:
        return request_id(self.handler, self.init, self.subject, self.generation, number)

    def _timer_name(self, number: int) -> str:
        return f"flow.{self.generation}.{number}"

    def _on_abandon(self, number: int, operation: PendingOperation) -> None:
        # A command of this turn has not been sent yet, so it is dropped and nothing is abandoned.
        key = self.keys.get(number)
        is_unsent = any(other == number for other, _ in self.commands)
        self.forget(number, operation)
        if is_unsent:
            self.commands = [entry for entry in self.commands if entry[0] != number]
        elif key is not None and isinstance(operation, Request):
            self.abandoned.append(key)

    def _set_timer(self, number: int, delay: Delay) -> None:
        name = self._timer_name(number)
        self._assign_key(number, name)
        self.commands.append((number, Schedule(name, at=delay.until, after=delay.span)))

    def _assign_key(self, number: int, key: str) -> None:
        self.numbers[key] = number
        self.keys[number] = key


def request_id(handler: str, init: str, subject: str, generation: int, number: int) -> str:
    """Return the id of the request that operation *number* of a flow sends.

    *init*: the id of the event that began the workflow.
    """
    return derived_id(handler, "flow", init, subject, generation, number)
