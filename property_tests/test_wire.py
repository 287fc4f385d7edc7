"""Laws of the wire format: events, subjects and ids round-trip."""

import pickle
import zlib
from datetime import UTC, datetime
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st

from arvo import Event, ManagedId, Subject, Violated
from arvo.core.events.deflate import compress
from arvo.core.events.domain import DomainContext, resolve_domain, resolve_domains
from arvo.core.events.envelope import (
    ARVO_CONTENT_TYPE,
    ENVELOPE,
    envelope_issues,
    is_sound_envelope,
    time_text,
)
from arvo.core.events.uri import encode_uri, is_uri
from arvo.core.payloads.frozen_json import EMPTY
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


@given(st.binary(max_size=1100) | st.text("abc", max_size=1100).map(str.encode))
def test_the_text_of_a_subject_is_that_of_zlib(content: bytes) -> None:
    """A replay compares subjects as text with those that earlier versions have written."""
    assert compress(content) == zlib.compress(content)


@given(st.datetimes(timezones=st.just(UTC) | st.timezones()))
def test_the_text_of_a_time_is_that_of_isoformat(time: datetime) -> None:
    """A replay makes the same events as the step did, in whatever way the text is made."""
    assert time_text(time) == time.isoformat(timespec="milliseconds")
    whole = time.replace(microsecond=0)
    assert time_text(whole) == whole.isoformat(timespec="milliseconds")


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


@given(events(), st.data())
def test_the_quick_check_of_an_event_agrees_with_the_one_that_explains(
    event: Event[Any], data: st.DataObject
) -> None:
    """The quick one decides alone whether an event from outside is valid."""
    name = data.draw(st.sampled_from(ENVELOPE))
    likely = data.draw(st.sampled_from(ENVELOPE))
    junk = data.draw(
        st.none()
        | st.booleans()
        | st.floats()
        | st.text()
        | json_objects()
        | st.sampled_from(["", "a b", "com.Web", "1.0", getattr(event, likely)])
    )
    envelope = [junk if each == name else getattr(event, each) for each in ENVELOPE]

    issues = list(envelope_issues(envelope, EMPTY))
    if event.datacontenttype == ARVO_CONTENT_TYPE and name != "datacontenttype":
        assert is_sound_envelope(envelope) == (not issues)
    assert not (is_sound_envelope(envelope) and issues)


@given(events(), events())
def test_an_event_is_written_anew_after_a_change(event: Event[Any], other: Event[Any]) -> None:
    """It keeps the text that it was written to, and no copy may be sent with that of another."""
    text = event.to_bytes()

    assert event.to_bytes() is text
    assert Event.parse(attrs.evolve(event, id=other.id).to_bytes()).id == other.id
    changed = event.with_payload(other.raw, other.raw)
    assert Event.parse(changed.to_bytes()).raw == other.raw
    assert event.with_payload(event.data, event.raw).to_bytes() is text


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
