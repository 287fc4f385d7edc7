"""Observer: records what a runtime does as data, so that a test can look at it without an SDK."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, Literal, final

from attrs import define, evolve, field

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.trace_context import TraceContext
from arvo.core.violations.violation import Violation
from arvo.engine.step.route import ToCaller, ToDomain, ToHandler
from arvo.handlers.effect import Perform, Performed
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import Delivery, Destination, Message
from arvo.interpreters.ports.observation import Activity, Settled


@final
@define(eq=False)
class RecordedEffect:
    """An effect that was performed: the *name* of its function, the exceptions of the attempts that
    were repeated, and the result; None while it is performed.
    """

    name: str
    retries: list[BaseException] = field(factory=list)
    done: Performed | None = None

    def retried(self, attempt: int, wait: float, error: BaseException) -> None:  # noqa: ARG002 - the protocol's
        """Record the exception of an attempt."""
        self.retries.append(error)

    def performed(self, done: Performed) -> None:
        """Record the result."""
        self.done = done


@final
@define(eq=False)
class RecordedSpan:
    """One thing that a runtime did: a message that it sent or processed, or an operator's command.

    *name*: `send`, `process`, `leave`, `answer` or `client`, with the address, the domain or the
    verb. *event*: None for a command. *attempt*: which delivery of the message it is; None for an
    event that was never delivered, as it was consumed where it was emitted. *trace*: what the
    events that it emits carry. *ends*: how it ended, once for each time that it did; empty while it
    is open. *commit*, *violation*, *reason*: see `Observation.settled`.
    """

    name: str
    event: Event[Any] | None = None
    attempt: int | None = None
    trace: TraceContext | None = None
    ends: list[Settled | Literal["sent", "raised"]] = field(factory=list)
    commit: Commit | None = None
    violation: Violation | None = None
    reason: str | None = None
    effects: list[RecordedEffect] = field(factory=list)
    conflicts: list[int] = field(factory=list)
    links: list[TraceContext] = field(factory=list)
    resent: list[Event[Any]] = field(factory=list)

    @property
    def outcome(self) -> str | None:
        """How it ended; None while it is open."""
        return self.ends[-1] if self.ends else None

    @contextmanager
    def doing(self, activity: Activity) -> Iterator[None]:  # noqa: ARG002 - the protocol's
        """Record nothing."""
        yield

    @contextmanager
    def performing(self, effect: Perform[Any]) -> Iterator[RecordedEffect]:
        """Record an effect."""
        name = getattr(effect.function, "__qualname__", type(effect.function).__qualname__)
        recorded = RecordedEffect(name)
        self.effects.append(recorded)
        yield recorded

    def follows(self, trace: TraceContext) -> None:
        """Record a trace that an operator's command continues."""
        self.links.append(trace)

    def stepped(self, seconds: float) -> None:
        """Record nothing."""

    def forwarded(self, events: Sequence[Event[Any]]) -> None:
        """Record the events that are sent again."""
        self.resent += events

    def conflicted(self, revision: int) -> None:
        """Record the revision that the commit met."""
        self.conflicts.append(revision)

    def settled(
        self,
        outcome: Settled,
        *,
        commit: Commit | None = None,
        violation: Violation | None = None,
        reason: str | None = None,
    ) -> None:
        """Record the end."""
        self.ends.append(outcome)
        self.commit, self.violation, self.reason = commit, violation, reason


@final
@define(eq=False)
class RecordingObserver:
    """Records what a runtime does: `runtime.observe(observer)`, before the runtime is entered.

    *spans*: in the order in which they began. *outages*: the errors of the backend that its workers
    met. Trace ids are numbers that count up, so a test may compare the text of `tree`. An event
    without a trace begins a new one.
    """

    spans: list[RecordedSpan] = field(factory=list, init=False)
    outages: list[Unavailable] = field(factory=list, init=False)
    _numbers: Iterator[int] = field(factory=lambda: count(1), init=False)

    @property
    def open(self) -> list[RecordedSpan]:
        """The spans that have not ended."""
        return [span for span in self.spans if not span.ends]

    def received(
        self,
        message: Message,
        delivery: Delivery | None,
        began: int | None = None,  # noqa: ARG002 - the protocol's
    ) -> RecordedSpan:
        """Record that a worker takes a message in hand."""
        attempt = None if delivery is None else delivery.attempt
        return self._begin(_name(message.to), message.event, attempt)

    @contextmanager
    def sending(self, message: Message) -> Iterator[Message]:
        """Record that an event is sent from outside, and give it a trace if it has none."""
        event = message.event
        span = self._begin(f"send {event.to or event.type}", event)
        with self._ending(span):
            if event.traceparent is None and span.trace is not None:
                event = evolve(event, traceparent=span.trace.traceparent)
                message = evolve(message, event=event)
            yield message

    @contextmanager
    def operating(self, verb: str, subject: str | None) -> Iterator[RecordedSpan]:  # noqa: ARG002 - the protocol's
        """Record an operator's command."""
        span = self._begin(f"client {verb}")
        with self._ending(span):
            yield span

    @contextmanager
    def committing(self) -> Iterator[None]:
        """Record nothing."""
        yield

    def unavailable(self, error: Unavailable) -> None:
        """Record an outage."""
        self.outages.append(error)

    async def start(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing: what is open then was not finished."""

    def tree(self) -> str:
        """Return the spans as text: below each one those of the events that it caused, indented.

        A line has the name of a span, how it ended, and the attempt if it is not the first.
        """
        children: dict[str | None, list[RecordedSpan]] = {}
        known = {span.trace.traceparent for span in self.spans if span.trace is not None}
        for span in self.spans:
            parent = None if span.event is None else span.event.traceparent
            children.setdefault(parent if parent in known else None, []).append(span)

        def lines(parent: str | None, indent: str) -> Iterator[str]:
            for span in children.get(parent, ()):
                again = f", attempt {span.attempt}" if (span.attempt or 1) > 1 else ""
                yield f"{indent}{span.name}: {span.outcome or 'open'}{again}"
                for effect in span.effects:
                    ended = "failed" if effect.done is None or effect.done.error else "returned"
                    yield f"{indent}  call {effect.name}: {ended}"
                if span.trace is not None:
                    yield from lines(span.trace.traceparent, f"{indent}  ")

        return "\n".join(lines(None, ""))

    def _begin(
        self, name: str, event: Event[Any] | None = None, attempt: int | None = None
    ) -> RecordedSpan:
        number = next(self._numbers)
        parent = None if event is None else event.traceparent
        trace_id = f"{number:032x}" if parent is None else parent[3:35]
        state = None if event is None else event.tracestate
        trace = TraceContext(f"00-{trace_id}-{number:016x}-01", state)
        span = RecordedSpan(name, event, attempt, trace)
        self.spans.append(span)
        return span

    @contextmanager
    def _ending(self, span: RecordedSpan) -> Iterator[None]:
        try:
            yield
        except BaseException:
            span.ends.append("raised")
            raise
        span.ends.append("sent")


def _name(to: Destination) -> str:
    match to:
        case ToHandler(address=address):
            return f"process {address}"
        case ToDomain(domain=domain):
            return f"leave {domain}"
        case ToCaller(address=address):
            return f"answer {address}"
