"""Strategies: Hypothesis strategies for everything that travels."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar, overload

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from arvo.core.contracts.contract import Contract
from arvo.core.contracts.versioned import PARENT_SUBJECT, VersionedContract, VersionedWorkflow
from arvo.core.events.envelope import RESERVED
from arvo.core.events.event import Event
from arvo.core.events.stamp import Stamp, stamping
from arvo.core.events.subject import Subject
from arvo.core.events.uri import encode_uri
from arvo.testing.strategies.payloads import payloads
from arvo.testing.strategies.replies import answers, reply_to

A = TypeVar("A")

# Who asks in generated events, and when.
CLIENT: Final = "com.testing.client"
TIME: Final = "2026-01-02T03:04:05.000+00:00"

_SEGMENT: Final = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=8)
# Half of a surrogate pair is no Unicode text and does not travel.
_TEXT: Final = st.text(st.characters(codec="utf-8"), max_size=20)
_KEY: Final = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=12)
_NUMBER: Final = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)


def event_types(segments_min: int = 2) -> SearchStrategy[str]:
    """Types and addresses of handlers: lower-case segments and dots."""
    return st.lists(_SEGMENT, min_size=segments_min, max_size=5).map(".".join)


def domains() -> SearchStrategy[str]:
    """Names of domains."""
    return st.lists(_SEGMENT, min_size=1, max_size=3).map(".".join)


def addresses() -> SearchStrategy[str]:
    """Encoded URIs, of any characters."""
    return _TEXT.filter(bool).map(encode_uri)


def json_objects() -> SearchStrategy[Mapping[str, Any]]:
    """Objects of whatever JSON can say."""
    scalars = st.none() | st.booleans() | _NUMBER | _TEXT
    values = st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
        max_leaves=8,
    )
    return st.dictionaries(_TEXT, values, max_size=4)


def _times() -> SearchStrategy[str]:
    offsets = st.sampled_from(["Z", "+00:00", "+05:30", "-11:00"])
    return st.builds(
        lambda at, offset: f"{at.isoformat(timespec='milliseconds')}{offset}",
        st.datetimes(),
        offsets,
    )


@st.composite
def subjects(draw: st.DrawFn) -> Subject:
    """Subjects of any workflow, run and meta."""
    return Subject.new(
        draw(event_types(3)),
        draw(st.none() | st.tuples(*[st.integers(0, 99)] * 3).map(lambda v: ".".join(map(str, v)))),
        initiator=draw(event_types(3)),
        domain=draw(st.none() | domains()),
        meta=draw(st.dictionaries(_TEXT, _TEXT, max_size=3)),
        id=draw(_TEXT.filter(lambda text: text != "" and ";" not in text)),
    )


@overload
def events() -> SearchStrategy[Event[Any]]: ...
@overload
def events(
    contract: Contract[A] | VersionedContract[A], **known: SearchStrategy[Any]
) -> SearchStrategy[Event[A]]: ...
def events(
    contract: Contract[Any] | VersionedContract[Any] | None = None, **known: SearchStrategy[Any]
) -> SearchStrategy[Event[Any]]:
    """Draw events that a contract accepts; without one, any event that may travel.

    Of a `Contract`, those of all its versions. *known* gives strategies for single fields of the
    payload, as in `payloads`.
    """
    match contract:
        case None:
            return _any_events()
        case Contract():
            return st.one_of([accepted(each, **known) for each in contract.versions.values()])
        case VersionedContract():
            return accepted(contract, **known)


def accepted(
    contract: VersionedContract[Any], **known: SearchStrategy[Any]
) -> SearchStrategy[Event[Any]]:
    """Draw events that one version of a contract accepts; the same draw has the same ids."""
    if isinstance(contract, VersionedWorkflow) and contract.accepted.type is None:
        # A parent is named by a real subject, or not at all.
        known = {**known, PARENT_SUBJECT: st.none()}
    drawn = payloads(contract.accepted, **known)
    return st.builds(
        _made, st.just(contract), drawn, st.integers(1, 99), st.sampled_from(_ENVELOPES)
    )


# One choice among few, for each choice more makes shrinking slower.
_ENVELOPES: Final[tuple[Mapping[str, str], ...]] = (
    {},
    {"redirectto": "com.testing.desk"},
    {"accesscontrol": "user:1"},
    {"domain": "ops"},
    {"redirectto": "com.testing.desk", "accesscontrol": "user:1", "domain": "ops"},
)


def _made(
    contract: VersionedContract[Any], payload: object, number: int, envelope: Any
) -> Event[Any]:
    key = f"event-{number}"
    with stamping(lambda: Stamp(key, TIME)):
        return contract.accepts(payload, source=CLIENT, id=key, **envelope)


def replies(
    contract: VersionedContract[Any], request: Event[Any] | None = None
) -> SearchStrategy[Event[Any]]:
    """Draw events that a service may answer with, its system errors included.

    They answer *request*, or, without one, any request that the contract accepts.
    """
    requests = accepted(contract) if request is None else st.just(request)
    return st.builds(reply_to, requests, st.just(contract), answers(contract))


@st.composite
def _any_events(draw: st.DrawFn) -> Event[Any]:
    text = _TEXT.filter(bool)
    return Event(
        id=draw(text),
        source=draw(addresses()),
        type=draw(event_types()),
        subject=draw(subjects().map(str) | addresses()),
        dataschema=draw(st.none() | addresses()),
        data=draw(json_objects()),
        time=draw(_times()),
        to=draw(addresses()),
        accesscontrol=draw(st.none() | text),
        redirectto=draw(st.none() | addresses()),
        executionunits=draw(st.none() | _NUMBER),
        parentid=draw(st.none() | text),
        domain=draw(st.none() | domains()),
        traceparent=draw(st.none() | text),
        tracestate=draw(st.none() | text),
        extensions=draw(
            st.dictionaries(
                _KEY.filter(lambda key: key not in RESERVED),
                st.none() | st.booleans() | _NUMBER | _TEXT,
                max_size=3,
            )
        ),
    )
