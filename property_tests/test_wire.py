"""Laws of the wire: what is said is what is read."""

import pickle
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from arvo import Event, ManagedId, Subject, Violated
from arvo.core.events.domain import DomainContext, resolve_domain, resolve_domains
from arvo.core.events.uri import encode_uri, is_uri
from arvo.testing import domains, events, json_objects, subjects


@given(events())
def test_an_event_is_read_as_it_was_said(event: Event[Any]) -> None:
    """Both languages, every broker and every store pass events on as JSON."""
    assert Event.parse(event.to_json()) == event
    assert Event.parse(event.to_json()).to_dict() == event.to_dict()
    assert pickle.loads(pickle.dumps(event)) == event  # noqa: S301 - our own bytes


@given(subjects())
def test_a_subject_is_read_as_it_was_said(subject: Subject) -> None:
    """A workflow's identity must come back as it left."""
    assert Subject.parse(str(subject)) == subject


@given(st.text() | st.binary())
def test_whatever_comes_in_is_an_event_or_refused(junk: str | bytes) -> None:
    """A sender's mistake must not take a worker down."""
    try:
        Event.parse(junk)
    except Violated as refused:
        assert refused.violation.issues


@given(events().map(Event.to_dict), st.data())
def test_whatever_object_comes_in_is_an_event_or_refused(
    said: dict[str, Any], data: st.DataObject
) -> None:
    """One attribute bent out of shape is named, and nothing but `Violated` is raised."""
    name = data.draw(st.sampled_from(sorted(said)))
    junk = data.draw(st.none() | st.booleans() | st.integers() | st.text() | json_objects())

    try:
        event = Event.from_dict({**said, name: junk})
    except Violated as refused:
        assert any(name in issue.path for issue in refused.violation.issues)
    else:
        assert event.to_dict()[name] == junk


@given(st.text())
def test_whatever_comes_in_is_a_subject_or_refused(junk: str) -> None:
    """Subjects come from anybody."""
    try:
        Subject.parse(junk)
    except Violated as refused:
        assert refused.violation.issues


@given(st.text().filter(bool))
def test_encoding_twice_is_encoding_once(text: str) -> None:
    """B26: an event made again from another keeps its subject."""
    once = encode_uri(text)

    assert is_uri(once)
    assert encode_uri(once) == once


@given(st.text(), st.text(st.characters(codec="utf-8")))
def test_a_managed_id_is_read_as_it_was_said(uuid: str, value: str) -> None:
    """The value that a sender put into an id comes out again."""
    try:
        said = str(ManagedId(uuid, value))
    except (TypeError, UnicodeEncodeError):
        return
    parsed = ManagedId.parse(said)

    assert parsed is None if len(said) > 1024 else parsed == ManagedId(uuid, value)


@given(
    st.lists(st.none() | domains() | st.sampled_from(["domain.parent.subject"]), max_size=6),
    st.none() | domains(),
    subjects(),
    subjects() | st.none(),
)
def test_domains_are_resolved_each_once_in_order(
    rules: list[str | None], triggering: str | None, subject: Subject, parent: Subject | None
) -> None:
    """One event for each place, not for each way of naming it (F085)."""
    above = None if parent is None else str(parent)
    context = DomainContext(None, None, triggering, str(subject), above)
    each = [resolve_domain(rule, context) for rule in rules]

    assert resolve_domains(rules, context) == tuple(dict.fromkeys(each))
