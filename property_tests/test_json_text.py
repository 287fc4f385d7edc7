"""Laws of foreign JSON text: it is read exactly, or refused by name."""

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from arvo import Event, Violated
from arvo.core.events.json_text import NotJson, parse_json
from arvo.core.payloads.json_data import INTEGER_MAX, INTEGER_MIN
from arvo.core.violations.issue import Issues
from arvo.testing import events

_EDGES = st.sampled_from([2**63, 2**64, -(2**63), 10**18, 10**19, 10**308, 10**400])
_INTEGERS = st.integers() | st.builds(lambda edge, near: edge + near, _EDGES, st.integers(-2, 2))
_DIGITS = st.text("0123456789", min_size=1, max_size=40)
# As other programs write them: with a fraction, an exponent, and more digits than a float has.
_NUMBERS = _INTEGERS.map(str) | st.builds(
    lambda sign, whole, rest: f"{sign}{int(whole)}{rest}",
    st.sampled_from(["", "-"]),
    _DIGITS,
    _DIGITS.map(lambda digits: f".{digits}") | st.integers(-400, 400).map(lambda n: f"e{n}"),
)
_TEXTS = st.text(max_size=8) | _DIGITS
_SCALARS = _NUMBERS | _TEXTS.map(json.dumps) | st.sampled_from(["true", "false", "null"])


def _array(items: list[str]) -> str:
    return f"[{', '.join(items)}]"


def _object(items: list[tuple[str, str]]) -> str:
    return f"{{{', '.join(f'{json.dumps(key)}: {item}' for key, item in items)}}}"


JSON_TEXTS = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4).map(_array)
        | st.lists(st.tuples(_TEXTS, inner), max_size=4).map(_object)
    ),
    max_leaves=12,
)


@given(JSON_TEXTS)
@example("18446744073709551617")
@example('{"a": [-9223372036854775809]}')
@example("-0")
@example("1e400")
def test_json_text_is_read_as_python_reads_it_or_refused(text: str) -> None:
    """An amount that becomes another number is charged without an error."""
    content = parse_json(text, "event")

    if isinstance(content, Issues):
        assert isinstance(content, NotJson) or _large_integers(json.loads(text))
        assert all(issue.expected and issue.got for issue in content.items)
    else:
        assert repr(content) == repr(json.loads(text))
        assert parse_json(text.encode(), "event") == content
        assert not _large_integers(content)


@given(st.text() | st.binary())
def test_any_text_is_json_or_refused(junk: str | bytes) -> None:
    """An invalid message must not crash a worker."""
    content = parse_json(junk, "event")

    assert isinstance(content, Issues) or repr(content) == repr(json.loads(junk))


@given(events(), JSON_TEXTS)
def test_the_data_of_an_event_is_exact_or_refused_by_name(event: Event[Any], text: str) -> None:
    """The issue starts with the path of the field, as the sender wrote it."""
    envelope = {name: value for name, value in event.to_dict().items() if name != "data"}
    whole = f'{json.dumps(envelope)[:-1]}, "data": {{"field": {text}}}}}'
    try:
        read = Event.parse(whole)
    except Violated as violated:
        paths = [issue.path for issue in violated.violation.issues]
        assert all(path.startswith("data.field") or path == "event" for path in paths)
    else:
        assert repr(json.loads(read.to_json())["data"]) == repr(json.loads(whole)["data"])


def _large_integers(content: Any) -> list[int]:
    match content:
        case dict():
            return [n for item in content.values() for n in _large_integers(item)]
        case list():
            return [n for item in content for n in _large_integers(item)]
        case bool():
            return []
        case int() if not INTEGER_MIN <= content <= INTEGER_MAX:
            return [content]
        case _:
            return []
