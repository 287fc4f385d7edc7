"""Rehearse: run a flow on sample answers, and note what its contracts do not know."""

from collections.abc import Generator, Iterable, Iterator, Mapping
from types import NoneType
from typing import Any, Final, final

import attrs
from attrs import define, field

from arvo.core.command import Compensate, Emit
from arvo.core.contracts.specialised import OrchestratorContract
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.event import Event
from arvo.core.events.fault import SystemFault
from arvo.core.payloads.example import sample
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import Violated
from arvo.handlers.effect import Perform
from arvo.handlers.flow.execution import FlowVersion
from arvo.handlers.flow.journal import returned
from arvo.handlers.flow.operations import Listen, Nap, Request, Tell, Waiting
from arvo.handlers.flow.primitives import CallFailed, ServiceFailed
from arvo.handlers.flow.scheduler import Track
from arvo.handlers.services import is_meant

# Ways through a flow that are tried, and wishes that are granted on each.
WAYS_MAX: Final = 300
WISHES_MAX: Final = 40

# What calls that return so much as this are answered with.
_PLAIN: Final[Mapping[Any, Any]] = {str: "a", int: 1, float: 1.0, bool: True, NoneType: None}


def rehearse(
    contract: OrchestratorContract[Any, Any], version: str, part: FlowVersion
) -> tuple[Issue, ...]:
    """Run a flow on every combination of sample answers, as far as WAYS_MAX reaches.

    Notes what it asks for that no service takes, replies that no service gives or that the flow
    does not name, signals that no contract has. Samples are small values and no real ones, so that
    a flow which goes elsewhere with real ones is not seen to the end; exceptions that it raises say
    nothing. A payload of which no sample can be made ends the way that needs it.
    """
    payload = sample(contract.version(version).accepted)
    if payload is None:
        return ()
    event = _begun(contract, version, payload)
    if event is None:
        return ()
    issues: dict[Issue, None] = {}
    ways: list[tuple[int, ...]] = [()]
    tried = 0
    while ways and tried < WAYS_MAX:
        tried += 1
        way = _Way(part, f"{contract.type} {version}", ways.pop(), issues)
        ways += way.walk(event)
    return tuple(issues)


def _begun(
    contract: OrchestratorContract[Any, Any], version: str, payload: object
) -> Event[Any] | None:
    try:
        return contract.version(version).init(
            payload,
            source="com.arvo.rehearsal",
            subject="rehearsal",
            id="rehearsal",
            time="2026-01-02T03:04:05.000+00:00",
            traceparent=None,
            tracestate=None,
        )
    except Violated:
        return None


@final
@define
class _Way:
    """One way through a flow: which answer each wish gets, in the order in which they come up."""

    part: FlowVersion
    where: str
    choices: tuple[int, ...]
    issues: dict[Issue, None]
    track: Track = field(init=False)
    others: list[tuple[int, ...]] = field(factory=list)
    taken: int = 0

    def __attrs_post_init__(self) -> None:
        self.track = Track(self._told, self._opened, lambda *_: None)

    def walk(self, event: Event[Any]) -> list[tuple[int, ...]]:
        """Walk to the end, or as far as samples go; give the ways that branch off."""
        try:
            generator: Any = self.part.function(event)
            if isinstance(generator, Generator):
                self.track.start(generator)
                while self.track.outcome is None and self.track.open and self._grant():
                    pass
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BaseException:  # noqa: BLE001 - samples are no real values; what a wish lacks is noted
            self.track.outcome = None
        self.track.close()
        return self.others

    def _grant(self) -> bool:
        number = min(self.track.open)
        answers = list(self._answers(self.track.open[number][1]))
        if not answers or self.taken >= WISHES_MAX:
            return False
        chosen = self.choices[self.taken] if self.taken < len(self.choices) else 0
        if self.taken >= len(self.choices):
            way = (*self.choices, *(0,) * (self.taken - len(self.choices)))
            self.others += [(*way, other) for other in range(1, len(answers))]
        self.taken += 1
        answer = answers[min(chosen, len(answers) - 1)]
        if isinstance(answer, Exception):
            self.track.throw(number, answer)
        else:
            self.track.answer(number, answer)
        return True

    def _answers(self, wish: Waiting) -> Iterator[Any]:
        match wish:
            case Request():
                yield from self._replies(wish)
            case Nap():
                yield None
            case Listen(kinds=kinds, timeout=timeout):
                for signal in self.part.signals:
                    if signal.accepted.type in kinds:
                        yield from _sampled(signal.accepted)
                if timeout is not None:
                    yield None
            case Perform(function=function):
                kind = returned(function)
                if isinstance(kind, type) and attrs.has(kind):
                    yield from _sampled(Payload.of(kind))
                elif kind in _PLAIN:
                    yield _PLAIN[kind]
                yield CallFailed(getattr(function, "__qualname__", "?"), "Rehearsal", "a sample")

    def _replies(self, wish: Request) -> Iterator[Any]:
        service = self._service(wish.emit)
        if service is not None:
            for payload in service.emitted.values():
                if not wish.replies or payload.type in wish.replies:
                    yield from _sampled(payload)
            fault = SystemFault(errorName="Rehearsal", errorMessage="a sample")
            yield ServiceFailed(service.type, fault)

    def _opened(self, _: int, wish: Waiting) -> None:
        match wish:
            case Request(emit=emit, replies=replies):
                service = self._service(emit)
                if service is None:
                    self._unknown("ask", emit)
                elif replies:
                    self._compare(service, replies)
            case Listen(kinds=kinds):
                known = {signal.accepted.type for signal in self.part.signals}
                names = _known(signal.type for signal in self.part.signals)
                for kind in kinds:
                    if kind not in known:
                        self._note("wait_for", f"a payload of {names}", kind.__name__)
            case Nap() | Perform():
                pass

    def _told(self, _: int, tell: Tell) -> None:
        emit = tell.command.emit if isinstance(tell.command, Compensate) else tell.command
        if self._service(emit) is None:
            self._unknown("undo" if isinstance(tell.command, Compensate) else "emit", emit)

    def _unknown(self, word: str, emit: Emit) -> None:
        known = _known(service.type for service in self.part.services)
        self._note(word, f"what {known} takes", emit.type or type(emit.payload).__name__)

    def _compare(self, service: VersionedContract[Any], replies: tuple[type[Any], ...]) -> None:
        path = f"ask({service.type})"
        given = {payload.type: name for name, payload in service.emitted.items()}
        for kind in replies:
            if kind not in given:
                self._note(path, f"a reply of {_known(given.values())}", kind.__name__)
        for other, name in given.items():
            if other is not None and other not in replies:
                self._note(path, f"{other.__name__} among the replies ({name})", "nothing")

    def _service(self, emit: Emit) -> VersionedContract[Any] | None:
        return next((each for each in self.part.services if is_meant(each, emit)), None)

    def _note(self, path: str, expected: str, got: str) -> None:
        self.issues[Issue(f"{self.where} {path}", expected, got)] = None


def _sampled(payload: Payload[Any]) -> Iterator[Any]:
    found = sample(payload)
    if found is not None:
        yield found


def _known(names: Iterable[str]) -> str:
    return f"one of {', '.join(sorted(names)) or 'none'}"
