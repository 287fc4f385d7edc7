"""Workflow: one span and one duration for each workflow that ends, from its begin to its end."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime
from hashlib import blake2b
from typing import Final, final

from attrs import define, field
from opentelemetry.trace import Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from arvo.core.commit import Commit
from arvo.core.record import Record
from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.ports.results import StoredWorkflow
from arvo.telemetry.conventions import names
from arvo.telemetry.metrics.instruments import Metrics
from arvo.telemetry.spans.attributes import workflow_attributes
from arvo.telemetry.spans.tracing import Tracing, end_span

# Workflows that began here and have not ended: of others the backend is asked when they began.
BEGUN_MAX: Final = 10_000
# Questions to the backend at the same time; beyond that a workflow ends without its span.
ASKING_MAX: Final = 100

_NANOSECONDS: Final = 1_000_000_000


@final
@define(eq=False)
class Workflows:
    """Notes when workflows begin and end.

    *find*: returns a workflow as the backend has it.
    """

    tracing: Tracing
    metrics: Metrics
    find: Callable[[str], Awaitable[StoredWorkflow | None]]
    # By subject: when it began, and the span of its first turn.
    _begun: "OrderedDict[str, tuple[int, SpanContext]]" = field(factory=OrderedDict, init=False)
    _asking: set["asyncio.Task[None]"] = field(factory=set, init=False)

    def note(self, commit: Commit, record: Record, span: Span, began: int) -> None:
        """Note a turn that was committed. *began*: when it was taken in hand, in nanoseconds."""
        subject, before = record.subject, commit.before
        if commit.expected == 0:
            self.metrics.add(names.WORKFLOWS_STARTED, record.handler, record.version)
            self._begun[subject] = began, span.get_span_context()
            if len(self._begun) > BEGUN_MAX:
                self._begun.popitem(last=False)
        was_active = before is None or before.status == "active"
        if record.status == "active" or not was_active:
            return
        self.metrics.add(names.WORKFLOWS_ENDED, record.handler, record.version, record.status)
        known = self._begun.pop(subject, None)
        # The time of the step is in whole milliseconds, so it may be before its turn began.
        end = began if commit.now is None else max(began, _nanoseconds(commit.now))
        if known is not None:
            self._end(record, known[0], end, known[1])
        elif len(self._asking) < ASKING_MAX:
            last = span.get_span_context()
            task = asyncio.get_running_loop().create_task(self._ask(record, end, last))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def close(self) -> None:
        """Wait for the answers of the backend."""
        if self._asking:
            await asyncio.wait(self._asking)

    async def _ask(self, record: Record, end: int, last: SpanContext) -> None:
        """End a workflow that began in another process, or before a restart."""
        try:
            stored = await self.find(record.subject)
        except (Unavailable, Corrupt):
            return
        if stored is not None:
            # The span of its first turn is not known, so it is shown below that of the last.
            self._end(record, _nanoseconds(stored.began), end, last)

    def _end(self, record: Record, began: int, end: int, parent: SpanContext) -> None:
        end = max(began, end)
        attributes: dict[str, AttributeValue] = {
            names.WORKFLOW_TYPE: record.handler,
            names.WORKFLOW_VERSION: record.version,
            names.WORKFLOW_STATUS: record.status,
        }
        self.metrics.workflow_duration.record((end - began) / _NANOSECONDS, attributes)
        span = self.tracing.begin(
            f"workflow {record.handler}",
            parent,
            SpanKind.INTERNAL,
            {**attributes, names.CONVERSATION_ID: record.subject},
            start=began,
            span_id=derived_span_id(record.subject),
        )
        if span.is_recording():
            span.set_attributes(workflow_attributes(record.subject))
            span.set_attribute(names.WORKFLOW_REVISION, record.revision)
        if span.is_recording() and record.failure is not None:
            span.set_attribute(names.ERROR_TYPE, record.failure.name)
            span.set_status(Status(StatusCode.ERROR, record.failure.message))
        end_span(span, end)


def derived_span_id(subject: str) -> int:
    """Return the id of a workflow's span: the same, should its last turn be committed again.

    >>> derived_span_id("run-1") == derived_span_id("run-1") != derived_span_id("run-2")
    True
    """
    digest = blake2b(f"{subject}workflow".encode(), digest_size=8).digest()
    return int.from_bytes(digest) or 1


def _nanoseconds(time: datetime) -> int:
    # Not `timestamp() * 1e9`: a float has no room for nanoseconds.
    return int(time.timestamp() * 1_000_000) * 1_000
