"""Progress: one flow under way, and what this turn of it comes to."""

from collections import deque
from collections.abc import Callable, Generator, Mapping
from typing import Any, Final, TypeAlias, final

from attrs import define, evolve, field, frozen

from arvo.core.command import Cancel, Command, Emit, Schedule
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.event import Event
from arvo.core.events.fault import SystemFault
from arvo.core.events.identity import derived_id
from arvo.core.payloads.frozen_json import FrozenDict, FrozenList
from arvo.core.payloads.json import frozen_json
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ExecutionViolation, Violated
from arvo.handlers.effect import Perform, Performed
from arvo.handlers.flow.journal import (
    entry,
    read_call,
    read_reply,
    read_signal,
    said,
    service_of,
    written_event,
)
from arvo.handlers.flow.operations import Flow, Listen, Nap, Request, Tell, Waiting
from arvo.handlers.flow.primitives import ServiceFailed, UnexpectedReply
from arvo.handlers.flow.scheduler import Track

# Signals that came and were not read; more mean that nobody ever will.
SIGNALS_MAX: Final = 1_000

Line: TypeAlias = Mapping[str, Any]


@final
@frozen(eq=False)
class FlowVersion:
    """One version of a flow: its function, and the contracts that it asks and listens to."""

    function: Callable[[Event[Any]], Flow[Any]]
    services: tuple[VersionedContract[Any], ...]
    signals: tuple[VersionedContract[Any], ...]


@final
@define(eq=False)
class Progress:
    """A flow under way, between turns and in one.

    *journal* and *state* are those of the record it stands at, *event* the one that began it. In a
    turn, *kept* are the lines that stay and *fresh* those that come after, *commands* what is
    wanted, each with the number of its wish. *asked* says each wish that waits, *due* maps what an
    event can name (the id of a request, the name of a timer) to its number, *keys* the other way.
    *script* holds the lines that a replay still has to tell. *within* is the event of a turn that
    waits for an effect, *performed* the effects that the turn was given so far.
    """

    handler: str
    part: FlowVersion
    subject: str
    init: str
    event: Event[Any]
    generation: int = 0
    journal: tuple[Any, ...] = ()
    state: Any = None
    track: Track = field(init=False)
    asked: dict[int, str] = field(factory=dict)
    due: dict[str, int] = field(factory=dict)
    keys: dict[int, str] = field(factory=dict)
    signals: list[FrozenDict] = field(factory=list)
    script: deque[Line] = field(factory=deque)
    replaying: bool = False
    kept: tuple[Any, ...] = ()
    fresh: list[FrozenDict] = field(factory=list)
    commands: list[tuple[int, Command]] = field(factory=list)
    abandoned: list[str] = field(factory=list)
    within: Event[Any] | None = None
    performed: list[Performed] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.track = Track(self._told, self._opened, self._dropped)

    def begin(self) -> None:
        """Run the flow from its beginning to where it waits."""
        self.fresh = [FrozenDict({"event": frozen_json(self.event.to_dict())})]
        self._start()

    def again(self, data: object, raw: FrozenDict) -> None:
        """Begin the flow anew with another input; signals that were not read are kept."""
        self.generation += 1
        self.event = self.event.carrying(data, raw)
        self.track = Track(self._told, self._opened, self._dropped)
        self.kept = ()
        self.begin()

    def replay(self) -> None:
        """Tell the flow what its journal says; raises `Violated` where it asks for other things."""
        # The first line holds the event.
        self.replaying, self.script = True, deque(self.journal[1:])
        self._start()
        while self.script:
            line = self.script.popleft()
            self._check(line, line["at"])
            self._retell(line)
        self.replaying = False

    def rest(self, journal: tuple[Any, ...], state: Any) -> None:
        """Stand where a record of that *journal* and *state* stands, between two turns."""
        self.journal = self.kept = journal
        self.state = state
        self.fresh, self.commands, self.abandoned = [], [], []
        self.within, self.performed = None, []

    def settle_reply(self, number: int, event: Event[Any]) -> None:
        """Answer a request by the event that came for it."""
        wish = self.track.open[number][1]
        if isinstance(wish, Request):
            self._enter(number, written_event(event))
            self._reply(number, wish, event.type, event.data)

    def settle_due(self, number: int, at: str) -> None:
        """Answer a wish whose time has come: a sleep, or one that waited long enough."""
        self._enter(number, FrozenDict({"due": at}))
        self.track.answer(number, None)

    def settle_signal(self) -> bool:
        """Answer a wish by a signal that has come; False where no one fits."""
        for number in sorted(self.track.open) if self.signals else ():
            wish = self.track.open[number][1]
            if isinstance(wish, Listen):
                for position, signal in enumerate(self.signals):
                    payload = read_signal(self.part.signals, signal)
                    if isinstance(payload, wish.kinds) and (not wish.where or wish.where(payload)):
                        del self.signals[position]
                        self._enter(number, signal)
                        self.track.answer(number, payload)
                        return True
        return False

    def settle_call(self, number: int, wish: Perform[Any], got: FrozenDict) -> None:
        """Answer a call by what it came to, as a replay will."""
        self._enter(number, FrozenDict({"call": got}))
        self._called(number, wish, got)

    def next_call(self) -> tuple[int, Perform[Any]] | None:
        """Give the call that was asked for first, of those that still wait."""
        return next(
            (
                (number, wish)
                for number, (_, wish) in sorted(self.track.open.items())
                if isinstance(wish, Perform)
            ),
            None,
        )

    def hear(self, event: Event[Any]) -> None:
        """Take a signal in, for whoever waits for it now or later."""
        if len(self.signals) >= SIGNALS_MAX:
            issue = Issue("signals", f"at most {SIGNALS_MAX} that were not read", event.type)
            raise Violated(ExecutionViolation(f"{self.handler} does not listen", issue))
        self.signals.append(written_event(event))

    def told_state(self) -> FrozenDict:
        """Say what stands beside the journal: what the flow waits for, and unread signals."""
        waiting = {str(number): self.asked[number] for number in self.track.open}
        return FrozenDict(
            {
                "generation": self.generation,
                "waiting": FrozenDict(waiting),
                "signals": FrozenList(self.signals),
            }
        )

    def _start(self) -> None:
        try:
            generator: Any = self.part.function(self.event)
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BaseException as error:  # noqa: BLE001 - raised where the flow's own are heard
            generator = _at_once(None, error)
        if not isinstance(generator, Generator):
            generator = _at_once(generator)
        self.track.start(generator)

    def _retell(self, line: Line) -> None:
        number, got = line["at"], line["got"]
        wish = self.track.open[number][1]
        self._forget(number, wish)
        match wish:
            case Request() if "type" in got:
                payload = read_reply(self.part.services, wish, got)
                self._reply(number, wish, got["type"], payload)
            case Listen() if "type" in got:
                self.track.answer(number, read_signal(self.part.signals, got))
            case Nap() | Listen() if "due" in got:
                self.track.answer(number, None)
            case Perform() if "call" in got:
                self._called(number, wish, got["call"])
            case _:
                raise differs(number, f"an answer to {line['asked']}", f"{dict(got)}")

    def _reply(self, number: int, wish: Request, event_type: str, payload: Any) -> None:
        if isinstance(payload, SystemFault):
            service = service_of(self.part.services, event_type)
            self.track.throw(number, ServiceFailed(service, payload))
        elif wish.replies and not isinstance(payload, wish.replies):
            self.track.throw(number, UnexpectedReply(event_type, payload))
        else:
            self.track.answer(number, payload)

    def _called(self, number: int, wish: Perform[Any], got: Any) -> None:
        value = read_call(wish, got)
        if "error" in got:
            self.track.throw(number, value)
        else:
            self.track.answer(number, value)

    def _enter(self, number: int, got: FrozenDict) -> None:
        """Write in the journal what a wish is answered with."""
        self.fresh.append(entry(number, self.asked[number], got))
        self._forget(number, self.track.open[number][1])

    def _told(self, number: int, tell: Tell) -> None:
        asked = said(tell)
        if self.replaying:
            self.asked[number] = asked
            line = self.script.popleft() if self.script else None
            if line is None:
                raise differs(number, "nothing more", asked)
            self._check(line, number)
            del self.asked[number]
            return
        self.fresh.append(entry(number, asked))
        self.commands.append((number, tell.command))

    def _opened(self, number: int, wish: Waiting) -> None:
        self.asked[number] = said(wish)
        match wish:
            case Request(emit=emit):
                id_ = derived_id(
                    self.handler, "flow", self.init, self.subject, self.generation, number
                )
                self._name(number, id_)
                self._want(number, evolve(emit, id=id_))
            case Nap():
                self._set_timer(number, wish)
            case Listen(timeout=Nap() as timeout):
                self._set_timer(number, timeout)
            case Listen() | Perform():
                pass

    def _dropped(self, number: int, wish: Waiting) -> None:
        """Let go of what nobody waits for any more; what was not even sent yet never is."""
        key = self.keys.get(number)
        unsent = any(each == number for each, _ in self.commands)
        self._forget(number, wish)
        if unsent:
            self.commands = [each for each in self.commands if each[0] != number]
        elif key is not None and isinstance(wish, Request):
            self.abandoned.append(key)

    def _forget(self, number: int, wish: Waiting) -> None:
        self.asked.pop(number, None)
        key = self.keys.pop(number, None)
        if key is not None:
            del self.due[key]
            if not isinstance(wish, Request):
                self._want(number, Cancel(key))

    def _set_timer(self, number: int, nap: Nap) -> None:
        name = f"flow.{self.generation}.{number}"
        self._name(number, name)
        self._want(number, Schedule(name, at=nap.until, after=nap.span))

    def _name(self, number: int, key: str) -> None:
        self.due[key] = number
        self.keys[number] = key

    def _want(self, number: int, command: Emit | Schedule | Cancel) -> None:
        if not self.replaying:
            self.commands.append((number, command))

    def _check(self, line: Line, number: int) -> None:
        """Compare what the flow asks now with what it asked then."""
        asked = self.asked.get(line["at"])
        if line["at"] != number or asked != line["asked"]:
            now = self.asked.get(number) or "nothing"
            raise differs(line["at"], line["asked"], now if asked is None else asked)


def _at_once(value: Any, error: BaseException | None = None) -> Generator[Any, Any, Any]:
    """Make a flow of a function that asks for nothing."""
    yield from ()
    if error is not None:
        raise error
    return value


def differs(number: int, before: str, now: str) -> Violated:
    message = "the flow asks for other things than before (keep the old version, or migrate)"
    issue = Issue(f"journal[{number}]", before, now)
    return Violated(ExecutionViolation(message, issue))
