"""Sampler: samples workflows as a whole, for the SDK of OpenTelemetry."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, final

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import Attributes

from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.telemetry.conventions import names

_BITS: Final = 64
_MASK: Final = 2**_BITS - 1


@final
class WorkflowSampler(Sampler):
    """Samples a share of all workflows, and all turns and children of each of them.

    *ratio*: the share, 0 to 1. A span follows the decision of its parent. A new trace that is
    linked to another, such as that of a timer, follows the decision of the span that it is linked
    to. All others are decided by the subject of the event, where they have one: the same event that
    is sent again has the same decision.

    Raises `Violated` for a ratio that is out of bounds.
    """

    def __init__(self, ratio: float) -> None:
        if not 0 <= ratio <= 1:
            issue = Issue("ratio", "0 to 1", short_repr(ratio))
            raise Violated(ConfigViolation("invalid share of workflows", issue))
        self.ratio = ratio
        self._bound = round(ratio * 2**_BITS)

    def should_sample(  # noqa: PLR0913 - the signature of the SDK
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,  # noqa: ARG002 - the signature of the SDK
        kind: SpanKind | None = None,  # noqa: ARG002 - the signature of the SDK
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,  # noqa: ARG002 - the signature of the SDK
    ) -> SamplingResult:
        """Decide about a span before it begins."""
        parent = get_current_span(parent_context).get_span_context()
        if parent.is_valid:
            is_sampled = bool(parent.trace_flags.sampled)
        elif links and links[0].context.is_valid:
            is_sampled = bool(links[0].context.trace_flags.sampled)
        else:
            subject = (attributes or {}).get(names.CONVERSATION_ID)
            is_sampled = _number(subject, trace_id) < self._bound
        decision = Decision.RECORD_AND_SAMPLE if is_sampled else Decision.DROP
        state = parent.trace_state if parent.is_valid else None
        return SamplingResult(decision, attributes if is_sampled else None, state)

    def get_description(self) -> str:
        """Return the name that the SDK shows."""
        return f"WorkflowSampler{{{self.ratio}}}"


def _number(subject: object, trace_id: int) -> int:
    """Return a number of 64 bits: from the subject, or else from the trace id, which is random."""
    if not isinstance(subject, str):
        return trace_id & _MASK
    digest = blake2b(subject.encode(), digest_size=_BITS // 8).digest()
    return int.from_bytes(digest)
