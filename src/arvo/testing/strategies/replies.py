"""Replies: Hypothesis strategies for the replies of a service, and for its whole behaviour."""

from hashlib import blake2b
from typing import Any, Final, final

from attrs import frozen
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from arvo.core.contracts.versioned import VersionedContract
from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT
from arvo.core.events.event import Event
from arvo.core.events.identity import derived_id
from arvo.core.events.protocol import SystemFault
from arvo.testing.strategies.payloads import faults, payloads

# Different answers of one service: enough that its answer can change twice.
ANSWERS_MAX: Final = 3


@final
@frozen
class Answer:
    """One answer of a service: an event *type* that its contract emits, and the *payload*."""

    type: str
    payload: Any


@final
@frozen
class Behaviour:
    """A service as a deterministic function from a request to its reply.

    The same request always gets the same reply, with the same id. The request's id decides which of
    the *answers* it gets.
    """

    contract: VersionedContract[Any]
    answers: tuple[Answer, ...]

    def __call__(self, request: Event[Any]) -> Event[Any]:
        """Return the reply to *request*."""
        digest = blake2b(request.id.encode(), digest_size=4).digest()[0]
        return make_reply(request, self.contract, self.answers[digest % len(self.answers)])

    def __repr__(self) -> str:
        shown = ", ".join(repr(answer.payload) for answer in self.answers)
        return f"Behaviour of {self.contract.dataschema}: {shown}"


def answers(contract: VersionedContract[Any]) -> SearchStrategy[Answer]:
    """Draw the answers that *contract* allows; system errors come last."""
    emitted = [
        st.builds(Answer, st.just(name), payloads(payload))
        for name, payload in contract.emitted.items()
    ]
    errors = faults().map(lambda fault: Answer(contract.system_error_type, fault))
    return st.one_of(*emitted, errors)


def behaviours(contract: VersionedContract[Any]) -> SearchStrategy[Behaviour]:
    """Draw behaviours of the service of *contract*; the simplest always gives the same answer."""
    lists = st.lists(answers(contract), min_size=1, max_size=ANSWERS_MAX)
    return lists.map(tuple).map(lambda drawn: Behaviour(contract, drawn))


def make_reply(request: Event[Any], contract: VersionedContract[Any], answer: Answer) -> Event[Any]:
    """Make the event with which the service of *contract* replies to *request*."""
    # A child workflow replies to its parent, on the parent's subject.
    parent = request.raw.get(PARENT_SUBJECT)
    options: Any = {
        "source": contract.type,
        "id": derived_id(contract.type, request.source, request.id, request.subject, answer.type),
        "time": request.time,
        "subject": request.subject if parent is None else parent,
        "parentid": request.id,
        "to": request.redirectto or request.source,
        "traceparent": None,
        "tracestate": None,
    }
    if isinstance(answer.payload, SystemFault):
        return contract.system_error(answer.payload, **options)
    return contract.emits(answer.payload, type=answer.type, **options)
