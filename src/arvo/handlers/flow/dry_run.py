"""DryRun: runs a flow on sample answers, to find operations that its contracts do not cover."""

from collections.abc import Iterable, Iterator, Mapping
from types import NoneType
from typing import Any, Final, final

from attrs import define, field

from arvo.core.command import Compensate, Emit
from arvo.core.contracts.orchestrator import OrchestratorContract
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.event import Event
from arvo.core.events.protocol import SystemFault
from arvo.core.payloads.example import make_example
from arvo.core.payloads.payload import Payload
from arvo.core.payloads.types.adapters import is_payload_class
from arvo.core.payloads.types.classes import type_name
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import Violated
from arvo.handlers.effect import Perform
from arvo.handlers.flow.errors import CallFailed, ServiceFailed
from arvo.handlers.flow.journal import return_type
from arvo.handlers.flow.operations import (
    Delay,
    IssueCommand,
    PendingOperation,
    Request,
    WaitForSignal,
)
from arvo.handlers.flow.scheduler import NO_OPERATION, FlowScheduler
from arvo.handlers.flow.task import Outcome, Returned
from arvo.handlers.flow.version import FlowVersion, answered_signal
from arvo.handlers.services import accepts_emit
from arvo.interrupts import is_interrupt

# Paths through a flow that are tried, and operations that are answered on each.
PATHS_MAX: Final = 300
OPERATIONS_MAX: Final = 40

# The sample results of calls with these return types.
_SAMPLES: Final[Mapping[Any, Any]] = {str: "a", int: 1, float: 1.0, bool: True, NoneType: None}


def dry_run(
    contract: OrchestratorContract[Any, Any], version: str, flow_version: FlowVersion
) -> tuple[Issue, ...]:
    """Run a flow on every combination of sample answers, up to PATHS_MAX paths.

    Reports requests that no service accepts, replies that no service gives or that the flow does
    not name, signals that are in no contract, and a value that it yields or returns and that is no
    operation or outcome. Samples are small and arbitrary, so a branch that
    needs other values is not reached, and the exceptions of the flow are ignored. A path ends at a
    payload of which no sample can be made.
    """
    payload = make_example(contract.version(version).accepted)
    if payload is None:
        return ()
    event = _first_event(contract, version, payload)
    if event is None:
        return ()
    issues: dict[Issue, None] = {}
    untried: list[tuple[int, ...]] = [()]
    tried = 0
    while untried and tried < PATHS_MAX:
        tried += 1
        completed = contract.version(version).completed
        name = f"{contract.type} {version}"
        path = _Path(flow_version, completed, name, untried.pop(), issues)
        untried += path.walk(event)
    return tuple(issues)


def _first_event(
    contract: OrchestratorContract[Any, Any], version: str, payload: object
) -> Event[Any] | None:
    try:
        return contract.version(version).init(
            payload,
            source="com.arvo.dry-run",
            subject="dry-run",
            id="dry-run",
            time="2026-01-02T03:04:05.000+00:00",
            traceparent=None,
            tracestate=None,
        )
    except Violated:
        return None


@final
@define
class _Path:
    """One path through a flow, given by the answer *choices* of its operations in order.

    *alternatives* collects the choices of the paths that branch off beyond those given, *answered*
    counts the operations that were answered.
    """

    flow_version: FlowVersion
    completed: Payload[Any]
    name: str
    choices: tuple[int, ...]
    issues: dict[Issue, None]
    scheduler: FlowScheduler = field(init=False)
    alternatives: list[tuple[int, ...]] = field(factory=list)
    answered: int = 0

    def __attrs_post_init__(self) -> None:
        self.scheduler = FlowScheduler(self._on_command, self._on_wait, lambda *_: None)

    def walk(self, event: Event[Any]) -> list[tuple[int, ...]]:
        """Run to the end, or as far as samples go; return the paths that branch off."""
        try:
            self.scheduler.start(self.flow_version.call(event))
            while self.scheduler.outcome is None and self.scheduler.open and self._answer_next():
                pass
            self._check_outcome(self.scheduler.outcome)
        except BaseException as error:
            if is_interrupt(error):
                raise
            # The flow may fail on samples; issues are collected.
            self._check_yield(error)
            self.scheduler.outcome = None
        self.scheduler.close()
        return self.alternatives

    def _check_outcome(self, outcome: Outcome | None) -> None:
        if isinstance(outcome, Returned):
            issue = self.flow_version.refuse_outcome(self.completed, outcome.value)
            if issue is not None:
                self._report(issue.path, issue.expected, issue.got)

    def _check_yield(self, error: BaseException) -> None:
        if isinstance(error, Violated) and error.violation.message == NO_OPERATION:
            for issue in error.violation.issues:
                self._report(issue.path, issue.expected, issue.got)

    def _answer_next(self) -> bool:
        number = min(self.scheduler.open)
        answers = list(self._answers(self.scheduler.open[number][1]))
        if not answers or self.answered >= OPERATIONS_MAX:
            return False
        chosen = self.choices[self.answered] if self.answered < len(self.choices) else 0
        if self.answered >= len(self.choices):
            prefix = (*self.choices, *(0,) * (self.answered - len(self.choices)))
            self.alternatives += [(*prefix, other) for other in range(1, len(answers))]
        self.answered += 1
        answer = answers[min(chosen, len(answers) - 1)]
        if isinstance(answer, Exception):
            self.scheduler.throw(number, answer)
        else:
            self.scheduler.answer(number, answer)
        return True

    def _answers(self, operation: PendingOperation) -> Iterator[Any]:
        match operation:
            case Request():
                yield from self._replies(operation)
            case Delay():
                yield None
            case WaitForSignal(types=types, timeout=timeout):
                for signal in self.flow_version.signals:
                    if signal.accepted.type in types:
                        yield from _examples(signal.accepted)
                if timeout is not None:
                    yield None
            case Perform(function=function):
                declared = return_type(function)
                if is_payload_class(declared):
                    yield from _examples(Payload.of(declared))
                elif declared in _SAMPLES:
                    yield _SAMPLES[declared]
                yield CallFailed(getattr(function, "__qualname__", "?"), "DryRun", "a sample")

    def _replies(self, request: Request) -> Iterator[Any]:
        service = self._service(request.emit)
        if service is not None:
            for payload in service.emitted.values():
                for one in payload.members or (payload,):
                    if not request.replies or one.type in request.replies:
                        yield from _examples(one)
            fault = SystemFault(errorName="DryRun", errorMessage="a sample")
            yield ServiceFailed(service.type, fault)

    def _on_wait(self, _: int, operation: PendingOperation) -> None:
        match operation:
            case Request(emit=emit, replies=replies):
                service = self._service(emit)
                if service is None:
                    self._report_unknown("ask", emit)
                elif replies:
                    self._compare(service, replies)
            case WaitForSignal(types=types):
                known = {signal.accepted.type for signal in self.flow_version.signals}
                names = [signal.type for signal in self.flow_version.signals]
                expected = _one_of(names, "a payload of {}")
                for payload_class in types:
                    if payload_class not in known:
                        self._report("wait_for", expected, type_name(payload_class))
            case Delay() | Perform():
                pass

    def _on_command(self, _: int, operation: IssueCommand) -> None:
        match operation.command:
            case Emit() as emit:
                primitive = "tell"
            case Compensate(emit=emit):
                primitive = "compensate"
        is_answer = primitive == "tell" and answered_signal(self.flow_version, emit) is not None
        if self._service(emit) is None and not is_answer:
            self._report_unknown(primitive, emit)

    def _report_unknown(self, primitive: str, emit: Emit) -> None:
        names = [service.type for service in self.flow_version.services]
        got = emit.type or type(emit.payload).__name__
        self._report(primitive, _one_of(names, "a request that {} accepts"), got)

    def _compare(self, service: VersionedContract[Any], replies: tuple[type[Any], ...]) -> None:
        path = f"ask({service.type})"
        known = {
            kind: name
            for name, payload in service.emitted.items()
            for kind in payload.types or (None,)
        }
        for reply in replies:
            if reply not in known:
                self._report(path, _one_of(known.values(), "a reply of {}"), type_name(reply))
        for other, name in known.items():
            if other is not None and other not in replies:
                self._report(path, f"{type_name(other)} among the replies ({name})", "nothing")

    def _service(self, emit: Emit) -> VersionedContract[Any] | None:
        services = self.flow_version.services
        return next((service for service in services if accepts_emit(service, emit)), None)

    def _report(self, path: str, expected: str, got: str) -> None:
        self.issues[Issue(f"{self.name} {path}", expected, got)] = None


def _examples(payload: Payload[Any]) -> Iterator[Any]:
    example = make_example(payload)
    if example is not None:
        yield example


def _one_of(names: Iterable[str], phrase: str) -> str:
    known = ", ".join(sorted(names))
    return phrase.format(f"one of {known}") if known else "nothing, because none is declared"
