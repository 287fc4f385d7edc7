"""Exits: any text leaves in visible characters where a person reads it, and exactly in JSON."""

import io
import logging
import re
from typing import Any, Final

import orjson
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from arvo import Record, SystemFault, Trace, run, tree
from arvo.cli.terminal.errors import format_error
from arvo.core.violations.issue import GOT_CHARACTERS_MAX, Issue, one_line
from arvo.engine.sequence_diagram import Arrow, draw_sequence
from arvo.interpreters.delivery.brokers.headers import REASON_CHARACTERS_MAX, reason_text
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.delivery.log import format_traceback, get_logger
from arvo.interpreters.http.problem import DETAIL_CHARACTERS_MAX, problem
from arvo.interpreters.ports.messages import DeadLetter
from arvo.interpreters.ports.results import StoredWorkflow
from arvo.interpreters.runtime.description import describe
from arvo.printable import printable, printable_block, printable_json, printable_lines
from arvo.statechart import Chart, State, draw
from tests.exits import HOSTILE, assert_visible
from tests.shop import order_request, shop

# Among all texts, those with escape codes, line breaks and markup are the interesting ones.
HOSTILE_TEXTS = st.lists(
    st.sampled_from(("\n", "\r", "\0", "\x1b[2J", "\x1b]0;t\x07", "\x9b", "\u202e", "<b>", "]]>"))
    | st.sampled_from(("end note", "direction LR", "ERROR c", "&", "#60;", '"', "%s", "\udcff"))
    | st.text(st.characters(), max_size=5),
    max_size=8,
).map("".join)
TRACE: Trace = run(shop, order_request())
RECORD: Record = TRACE.records[order_request().subject]


@given(HOSTILE_TEXTS, st.none() | st.integers(2, 20))
def test_printable_text_is_one_line_of_visible_characters(text: str, most: int | None) -> None:
    """Visible text stays as it is, apart from its length."""
    shown = printable(text, most)

    assert shown.isprintable()
    assert most is None or len(shown) <= most
    assert most is not None or not text.isprintable() or shown == text
    assert_visible(printable_lines(text))
    assert printable_lines(text).count("\n") == text.count("\n")
    assert all(line.startswith("    ") for line in printable_block(text).split("\n")[1:])
    assert len(one_line(text)) <= GOT_CHARACTERS_MAX


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON_VALUES)
def test_printable_json_has_the_same_value(value: Any) -> None:
    """A terminal shows it as it is, and a program reads what was written."""
    text = printable_json(orjson.dumps(value).decode())

    assert text.isprintable()
    assert orjson.loads(text) == orjson.loads(orjson.dumps(value))


@given(HOSTILE_TEXTS, HOSTILE_TEXTS)
@example(HOSTILE, HOSTILE)
def test_a_log_record_is_one_line_and_a_traceback_forges_none(text: str, other: str) -> None:
    """Whatever an event, a reason or an exception holds."""
    written, logger = io.StringIO(), get_logger("test_exits")
    handler = logging.StreamHandler(written)
    logger.propagate = False
    logger.addHandler(handler)
    error = ValueError(text)
    error.add_note(other)
    try:
        logger.warning("event %s (%r) after %d: %s", text, other, 3, error)
    finally:
        logger.removeHandler(handler)

    assert written.getvalue().rstrip("\n").isprintable()
    lines = format_traceback(error).split("\n")
    assert all(line.isprintable() for line in lines)
    assert all(not line or line.startswith("    ") for line in lines[1:])


@given(HOSTILE_TEXTS, HOSTILE_TEXTS, HOSTILE_TEXTS)
@example(HOSTILE, HOSTILE, HOSTILE)
def test_text_for_an_operator_is_printable(text: str, other: str, name: str) -> None:
    """Diagrams, trees, descriptions, lists, errors, and headers of dead letters."""
    arrows = [Arrow(text or "a", other or "b", name, text), Arrow("b", text or "a", "x")]
    failure = SystemFault(text, other)
    record = evolve(RECORD, version=text, handler=other, failure=failure, status="failed")
    event = evolve(order_request(), id=f"e{text.encode(errors='replace').decode()}"[:1024])
    stored = StoredWorkflow(record=record, began=utc_now(), changed=utc_now())
    dead_letter = DeadLetter(id=name, event=event, reason=text, attempts=1, at=other)

    for shown in (
        draw_sequence(arrows),
        tree({record.subject: record}, record.subject).draw(),
        str(describe(stored, (), (dead_letter,))),
        str(stored),
        str(Issue(text, other, name)),
        reason_text(text),
    ):
        assert_visible(shown)
    assert len(str(stored).split("\n")) == 2
    # Head, id, subject, two times, failure, state, the last line about waiting, dead letter.
    assert len(str(describe(stored, (), (dead_letter,))).split("\n")) == 9
    assert len(reason_text(text)) <= REASON_CHARACTERS_MAX


@given(HOSTILE_TEXTS, HOSTILE_TEXTS)
@example(HOSTILE * 50, HOSTILE)
def test_a_problem_is_printable_and_bounded(text: str, other: str) -> None:
    """A client prints the detail of an error."""
    detail, issue = text.encode(errors="replace").decode(), other.encode(errors="replace").decode()

    content = orjson.loads(problem(400, detail, (Issue(issue, issue, issue),)).body)

    assert content["detail"].isprintable()
    assert len(content["detail"]) <= DETAIL_CHARACTERS_MAX
    assert all(value.isprintable() for value in content["issues"][0].values())


@given(HOSTILE_TEXTS)
def test_an_error_of_the_command_line_has_one_line(text: str) -> None:
    """It is printed after `printable`, which keeps its words."""
    assert "\n" not in printable(format_error(ValueError(text)))


@given(HOSTILE_TEXTS.filter(lambda text: text and "." not in text and "*" not in text))
@example(HOSTILE.replace(".", ""))
@example("direction LR")
@example("End  Note")
def test_a_name_adds_no_statement_to_a_drawing(name: str) -> None:
    """The labels hold letters, digits and codes, so that Mermaid reads nothing else in them."""

    def chart(name: str) -> Chart[None]:
        states: dict[str, State] = {
            name: State(on={f"{name} a": "#m.last"}),
            "last": State(type="final"),
        }
        return Chart(id="m", initial="last", states=states, on={f"{name} b": ".last"})

    drawn, plain = draw(chart(name)).splitlines(), draw(chart("plain")).splitlines()

    label = PLAIN_LABEL.fullmatch
    assert len(drawn) == len(plain)
    for line, expected in zip(drawn, plain, strict=True):
        before, name_in_plain, after = expected.partition("plain")
        assert line.startswith(before)
        assert line.endswith(after)
        assert not name_in_plain or label(line.removeprefix(before).removesuffix(after))


PLAIN_LABEL: Final = re.compile(
    r"(?i:(?!.*(?:end +note|direction +(?:tb|bt|rl|lr))))(?:[^\W]|[ _./,\[\]()+-]|#\d+;)+"
)
