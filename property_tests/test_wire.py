"""Laws of the wire format: events, subjects and ids round-trip."""

import pickle
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from arvo import Event, ManagedId, Subject, Violated
from arvo.core.events.domain import DomainContext, resolve_domain, resolve_domains
from arvo.core.events.uri import encode_uri, is_uri
from arvo.testing import domains, events, json_objects, subjects


@given(events())
def test_an_event_round_trips(event: Event[Any]) -> None:
    """Services in both languages, brokers and stores exchange events as JSON."""
    assert Event.parse(event.to_json()) == event
    assert Event.parse(event.to_json()).to_dict() == event.to_dict()
    assert pickle.loads(pickle.dumps(event)) == event  # noqa: S301 - our own bytes


@given(subjects())
def test_a_subject_round_trips(subject: Subject) -> None:
    """It identifies the workflow in every store."""
    assert Subject.parse(str(subject)) == subject


@given(st.text() | st.binary())
def test_any_text_is_an_event_or_refused(junk: str | bytes) -> None:
    """An invalid message must not crash a worker."""
    try:
        Event.parse(junk)
    except Violated as error:
        assert error.violation.issues


@given(events().map(Event.to_dict), st.data())
def test_any_object_is_an_event_or_refused(content: dict[str, Any], data: st.DataObject) -> None:
    """An invalid attribute is named, and only `Violated` is raised."""
    name = data.draw(st.sampled_from(sorted(content)))
    junk = data.draw(st.none() | st.booleans() | st.integers() | st.text() | json_objects())

    try:
        event = Event.from_dict({**content, name: junk})
    except Violated as error:
        assert any(name in issue.path for issue in error.violation.issues)
    else:
        assert event.to_dict()[name] == junk


@given(st.text())
def test_any_text_is_a_subject_or_refused(junk: str) -> None:
    """Subjects come from untrusted senders."""
    try:
        Subject.parse(junk)
    except Violated as error:
        assert error.violation.issues


@given(st.text().filter(bool))
def test_encoding_is_idempotent(text: str) -> None:
    """B26: an event rebuilt from the attributes of another has the same subject."""
    once = encode_uri(text)

    assert is_uri(once)
    assert encode_uri(once) == once


@given(st.text(), st.text(st.characters(codec="utf-8")))
def test_a_managed_id_round_trips(uuid: str, value: str) -> None:
    """The receiver correlates by the value in the id."""
    try:
        text = str(ManagedId(uuid, value))
    except (TypeError, UnicodeEncodeError):
        return
    parsed = ManagedId.parse(text)

    assert parsed is None if len(text) > 1024 else parsed == ManagedId(uuid, value)


@given(
    st.lists(st.none() | domains() | st.sampled_from(["domain.parent.subject"]), max_size=6),
    st.none() | domains(),
    subjects(),
    subjects() | st.none(),
)
def test_each_domain_is_resolved_once_in_order(
    rules: list[str | None], triggering: str | None, subject: Subject, parent: Subject | None
) -> None:
    """A domain gets one event, however many rules name it."""
    parent_text = None if parent is None else str(parent)
    context = DomainContext(None, None, triggering, str(subject), parent_text)
    resolved = [resolve_domain(rule, context) for rule in rules]

    assert resolve_domains(rules, context) == tuple(dict.fromkeys(resolved))
