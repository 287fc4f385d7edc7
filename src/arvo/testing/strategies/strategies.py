"""Strategies: Hypothesis strategies for events and for the parts of their envelope."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar, overload

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from arvo.core.contracts.contract import Contract
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT, VersionedWorkflow
from arvo.core.events.envelope import RESERVED
from arvo.core.events.event import Event
from arvo.core.events.stamp import Stamp, stamping
from arvo.core.events.subject import Subject
from arvo.core.events.uri import encode_uri
from arvo.testing.strategies.payloads import payloads
from arvo.testing.strategies.replies import answers, make_reply

A = TypeVar("A")

# The source of generated events, and their time.
CLIENT: Final = "com.testing.client"
TIME: Final = "2026-01-02T03:04:05.000+00:00"

_SEGMENT: Final = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=8)
# Lone surrogates are not valid Unicode text and cannot be encoded as UTF-8.
_TEXT: Final = st.text(st.characters(codec="utf-8"), max_size=20)
_KEY: Final = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=12)
_NUMBER: Final = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)


def event_types(segments_min: int = 2) -> SearchStrategy[str]:
    """Draw event types, which are also the addresses of handlers: lower-case segments and dots.

    >>> from hypothesis import find
    >>> find(event_types(), lambda it: True)
    '0.0'
    """
    return st.lists(_SEGMENT, min_size=segments_min, max_size=5).map(".".join)


def domains() -> SearchStrategy[str]:
    """Draw the names of domains.

    >>> from hypothesis import find
    >>> find(domains(), lambda it: True)
    '0'
    """
    return st.lists(_SEGMENT, min_size=1, max_size=3).map(".".join)


def addresses() -> SearchStrategy[str]:
    """Draw percent-encoded URIs of any characters.

    >>> from hypothesis import find
    >>> find(addresses(), lambda it: True)
    '0'
    """
    return _TEXT.filter(bool).map(encode_uri)


def json_objects() -> SearchStrategy[Mapping[str, Any]]:
    """Draw JSON objects of any shape.

    >>> from hypothesis import find
    >>> find(json_objects(), lambda it: True)
    {}
    """
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
    """Draw subjects of any workflow, execution and meta.

    >>> from hypothesis import find
    >>> find(subjects(), lambda it: not it.meta).meta == {}
    True
    """
    return Subject.new(
        draw(event_types(3)),
        draw(
            st.none()
            | st.tuples(*[st.integers(0, 99)] * 3).map(lambda parts: ".".join(map(str, parts)))
        ),
        initiator=draw(event_types(3)),
        domain=draw(st.none() | domains()),
        meta=draw(st.dictionaries(_TEXT, _TEXT, max_size=3)),
        id=draw(_TEXT.filter(lambda text: text != "" and ";" not in text)),
    )


@overload
def events() -> SearchStrategy[Event[Any]]: ...
@overload
def events(
    contract: Contract[A] | VersionedContract[A], **fields: SearchStrategy[Any]
) -> SearchStrategy[Event[A]]: ...
def events(
    contract: Contract[Any] | VersionedContract[Any] | None = None, **fields: SearchStrategy[Any]
) -> SearchStrategy[Event[Any]]:
    """Draw the events that a contract accepts; without a contract, any valid event.

    For a `Contract`, draws events of all its versions. *fields* maps names of payload fields to
    strategies that replace the default ones, as in `payloads`.
    """
    match contract:
        case None:
            return _any_events()
        case Contract():
            versions = contract.versions.values()
            return st.one_of([accepted_events(version, **fields) for version in versions])
        case VersionedContract():
            return accepted_events(contract, **fields)


def accepted_events(
    contract: VersionedContract[Any], **fields: SearchStrategy[Any]
) -> SearchStrategy[Event[Any]]:
    """Draw events that one version of a contract accepts; equal draws have equal ids."""
    if isinstance(contract, VersionedWorkflow) and contract.accepted.type is None:
        # Only a real subject can name a parent, and there is none here.
        fields = {**fields, PARENT_SUBJECT: st.none()}
    data = payloads(contract.accepted, **fields)
    options = st.sampled_from(_EVENT_OPTIONS)
    return st.builds(_make_event, st.just(contract), data, st.integers(1, 99), options)


# One draw from a short list: each further draw makes shrinking slower.
_EVENT_OPTIONS: Final[tuple[Mapping[str, str], ...]] = (
    {},
    {"redirectto": "com.testing.review"},
    {"accesscontrol": "user:1"},
    {"domain": "ops"},
    {"redirectto": "com.testing.review", "accesscontrol": "user:1", "domain": "ops"},
)


def _make_event(
    contract: VersionedContract[Any], payload: object, number: int, options: Any
) -> Event[Any]:
    key = f"event-{number}"
    with stamping(lambda: Stamp(key, TIME)):
        return contract.accepts(payload, source=CLIENT, id=key, **options)


def replies(
    contract: VersionedContract[Any], request: Event[Any] | None = None
) -> SearchStrategy[Event[Any]]:
    """Draw the replies that the service of *contract* may send, system errors included.

    They reply to *request*, or without one to any request that the contract accepts.
    """
    requests = accepted_events(contract) if request is None else st.just(request)
    return st.builds(make_reply, requests, st.just(contract), answers(contract))


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
