"""Replies: whatever a service may answer, and whole ways for it to behave."""

from hashlib import blake2b
from typing import Any, Final, final

from attrs import frozen
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from arvo.core.contracts.versioned import PARENT_SUBJECT, VersionedContract
from arvo.core.events.event import Event
from arvo.core.events.fault import SystemFault
from arvo.core.events.identity import derived_id
from arvo.testing.strategies.payloads import faults, payloads

# How many different answers one service gives: enough for it to change its mind twice.
ANSWERS_MAX: Final = 3


@final
@frozen
class Answer:
    """What a service says: an event *type* of its contract, and the payload."""

    type: str
    payload: Any


@final
@frozen
class Behaviour:
    """One way for a service to behave: a function from a request to its reply.

    The same request gets the same reply, with the same id. *answers* are those that it gives; which
    one follows from the request's id.
    """

    contract: VersionedContract[Any]
    answers: tuple[Answer, ...]

    def __call__(self, request: Event[Any]) -> Event[Any]:
        """Answer *request*."""
        drawn = blake2b(request.id.encode(), digest_size=4).digest()[0]
        return reply_to(request, self.contract, self.answers[drawn % len(self.answers)])

    def __repr__(self) -> str:
        said = ", ".join(f"{each.payload!r}" for each in self.answers)
        return f"Behaviour of {self.contract.dataschema}: {said}"


def answers(contract: VersionedContract[Any]) -> SearchStrategy[Answer]:
    """Draw what the contract permits as an answer, system errors included; these come last."""
    ways = [
        st.builds(Answer, st.just(name), payloads(payload))
        for name, payload in contract.emitted.items()
    ]
    return st.one_of(*ways, faults().map(lambda value: Answer(contract.system_error_type, value)))


def behaviours(contract: VersionedContract[Any]) -> SearchStrategy[Behaviour]:
    """Draw whole ways for a service to behave, the simplest first: always the same answer."""
    some = st.lists(answers(contract), min_size=1, max_size=ANSWERS_MAX).map(tuple)
    return some.map(lambda given: Behaviour(contract, given))


def reply_to(request: Event[Any], contract: VersionedContract[Any], answer: Answer) -> Event[Any]:
    """Make the event that answers *request*, as the service itself would."""
    # A child workflow answers its parent, on the parent's subject.
    parent = request.raw.get(PARENT_SUBJECT)
    envelope: Any = {
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
        return contract.system_error(answer.payload, **envelope)
    return contract.emits(answer.payload, type=answer.type, **envelope)
