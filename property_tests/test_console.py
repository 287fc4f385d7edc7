"""Laws of the console: any record, event and text becomes a page, and no secret is on it."""

import re
import shlex
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET

import orjson
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Template

from arvo import Event, Record, StoredWorkflow, System
from arvo.console.dev.deliveries import DELIVERIES_MAX, Deliveries, HandledDelivery
from arvo.console.jobs.act import WorkflowAct
from arvo.console.render import SCRUB, make_environment
from arvo.console.views import timers
from arvo.console.views.batches.job import NAMED_MAX, group_refusals
from arvo.console.views.batches.target import command_of
from arvo.console.views.data import (
    TREE_DEPTH_MAX,
    TREE_ITEMS_MAX,
    TREE_NODES_MAX,
    DataNode,
    show_branches,
    show_data,
)
from arvo.console.views.filters import Filters, read_cursor, read_filters, write_cursor
from arvo.console.views.links import Links
from arvo.console.views.metrics.outcomes import HEIGHT as LINE_HEIGHT
from arvo.console.views.metrics.outcomes import WIDTH as LINE_WIDTH
from arvo.console.views.metrics.outcomes import Sample, show_outcomes
from arvo.console.views.secrets import (
    CUT_CHARACTERS_MIN,
    SCRUBBED_CHARACTERS_MIN,
    Redaction,
    forms_of,
    shape,
)
from arvo.console.views.sending.edit import restore
from arvo.console.views.state import meet_record, show_state
from arvo.console.views.workflow.picture import ATTRIBUTES, LABEL, TAGS, show_picture
from arvo.console.views.workflow.timeline import WIDTH, show_timeline
from arvo.console.views.workflow.travel import show_differences
from arvo.console.views.workflows import show_workflows
from arvo.core.events.protocol import SystemFault, Timer
from arvo.core.history import HistoryEntry
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.payloads.secrets import HIDDEN, hide_secrets, secret_texts
from arvo.core.record import Status
from arvo.core.violations.issue import GOT_CHARACTERS_MAX
from arvo.core.violations.violation import ConfigViolation
from arvo.engine.system.schemas import Schemas
from arvo.interpreters.ports.results import DueTimer
from arvo.interpreters.runtime.batches import BatchResult
from arvo.interpreters.worker.stats import Stats
from tests.console.pages import ReadPage

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EMPTY = System(())
TEXTS = st.text(max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text("abc", min_size=1, max_size=2), JSON, max_size=4)


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Draw a record as a store may hold it: its texts come from other programs."""
    statuses: list[Status] = ["active", "done", "failed", "cancelled"]
    status = draw(st.sampled_from(statuses))
    fault = SystemFault(errorName=draw(TEXTS), errorMessage=draw(TEXTS))
    timers = draw(st.lists(TEXTS, max_size=2, unique=True))
    labels = draw(st.dictionaries(st.text("ab", min_size=1), st.text("xy<&"), max_size=3))
    return Record(
        subject=draw(st.text(min_size=1, max_size=80)),
        handler=draw(TEXTS),
        version=draw(TEXTS),
        revision=draw(st.integers(0, 10**9)),
        status=status,
        init=draw(TEXTS),
        state=draw(JSON),
        consumed=draw(TEXTS),
        timers=FrozenDict({it: Timer(it, NOW.isoformat(), None) for it in timers}),
        failure=fault if status == "failed" else None,
        labels=FrozenDict(labels),
    )


def render(template: Template, view: Any, redaction: Redaction) -> str:
    """Print a part of a page as the console prints it."""
    links = Links("/root")
    return template.render({SCRUB: redaction.scrub, "view": view, "links": links})


ROWS = make_environment().from_string(
    """{% import "parts.html" as parts with context %}
{% for row in view.rows %}<tr><td>{{ parts.status(row.status) }}</td>
<td>{{ parts.workflow(row.subject, row.name) }}{{ row.handler }} {{ row.version }}</td>
<td>{{ row.waits_for }}</td><td>{{ row.changed | time }}{{ parts.labels(row.labels) }}</td></tr>
{% endfor %}"""
)


@given(st.lists(records(), max_size=3))
def test_any_record_is_a_row_of_the_list(listed: list[Record]) -> None:
    """One workflow whose texts are strange must not hide all the others."""
    redaction = Redaction(Schemas.of(EMPTY), shows_data=True)
    stored = [StoredWorkflow(record=it, began=NOW, changed=NOW) for it in listed]
    for it in listed:
        meet_record(EMPTY, it, redaction)

    html = render(ROWS, show_workflows(stored, Filters(), redaction), redaction)

    assert html.count("<tr>") == len(listed)
    assert html.replace("\n", "").isprintable()
    # Each less-than sign is the printed template's own.
    assert html.count("<td") == 4 * len(listed)


@given(records())
def test_any_state_is_shown_or_its_shape(record: Record) -> None:
    """Without a system nothing of a state but its shape is shown."""
    redaction = Redaction(Schemas.of(EMPTY), shows_data=True)

    shown = show_state(EMPTY, record, redaction)

    assert shown.data == shape(record.state)
    assert shape(shown.data) == _shape_of_shape(shown.data)
    assert show_data(shown.data).text is not None
    assert show_differences(shown.data, shown.data) == ()


def _shape_of_shape(data: Any) -> Any:
    # The shape of a shape has a text for each leaf but null.
    match data:
        case dict():
            return {key: _shape_of_shape(value) for key, value in data.items()}
        case list():
            return [_shape_of_shape(value) for value in data]
        case None:
            return None
        case _:
            return "string"


# A secret of the marks that hide it would be made anew by them.
SECRETS = st.text(min_size=SCRUBBED_CHARACTERS_MIN, max_size=40).filter(lambda it: "•" not in it)
DATA = make_environment().from_string(
    """{% import "parts.html" as parts with context %}{{ parts.data(view, "/file", "The data") }}"""
)
# As deep as data may be, and wider and with more values than a tree shows.
LARGE = st.tuples(JSON, st.integers(0, 50), st.integers(0, 300), st.integers(0, 4)).map(
    lambda drawn: [nested(drawn[0], drawn[1])] * drawn[2] + [[[drawn[0]] * 60] * 60] * drawn[3]
)


KEY = {"class": "key"}


def nested(value: Any, depth: int) -> Any:
    """Put a value into so many objects."""
    for _ in range(depth):
        value = {"in": value}
    return value


def below(node: DataNode) -> list[tuple[int, DataNode]]:
    """Return the values below a branch, each with its depth."""
    found = []
    for child in node.children or ():
        found += [(1, child), *((depth + 1, it) for depth, it in below(child))]
    return found


@given(JSON | LARGE)
def test_any_data_is_a_tree_within_its_limits(data: Any) -> None:
    """A tree leaves nothing out in silence, and no data makes a page that stands still."""
    tree = show_branches(data)
    nodes = below(tree)
    branches = [it for _, it in ((0, tree), *nodes) if it.children is not None]

    assert len(nodes) <= TREE_NODES_MAX
    assert all(depth <= TREE_DEPTH_MAX for depth, _ in nodes)
    for it in branches:
        assert len(it.children or ()) <= TREE_ITEMS_MAX
        assert len(it.children or ()) + it.more == it.number
    assert tree.size == len(orjson.dumps(data))
    assert all(it.size < tree.size for _, it in nodes)


@given(JSON | LARGE)
def test_any_data_is_printed(data: Any) -> None:
    """Whatever another program has sent, its page is whole and leads to all of it."""
    redaction = Redaction(Schemas.of(EMPTY), shows_data=True)
    view = show_data(data)
    page = ReadPage()

    html = render(DATA, view, redaction)
    page.feed(html)
    page.close()

    assert page.faults == []
    assert html.replace("\n", "").isprintable()
    assert len(page.all("pre")) == (view.text is not None)
    nodes = [] if view.tree is None else [view.tree, *(it for _, it in below(view.tree))]
    # The first branch is always open, and the raw JSON closed beside it.
    has_tree = bool(nodes and nodes[0].number)
    branches = [it for it in nodes if it.children is not None]
    assert len(page.all("details")) == (len(branches) if has_tree else 0)
    downloads = [it for it in page.all("a") if it.attributes == {"href": "/file", "download": ""}]
    assert len(downloads) == 1 + sum(it.more > 0 for it in branches)


@given(SECRETS, TEXTS)
def test_a_secret_that_was_copied_is_in_no_branch(secret: str, name: str) -> None:
    """As a key, as a value, and in a text."""
    redaction = Redaction(Schemas.of(EMPTY), shows_data=True)
    redaction.data({"properties": {"pin": {"writeOnly": True}}}, {"pin": secret})
    data = {secret: {"copy": secret, "in": [f"{name}{secret}", {secret: 1}]}}
    page = ReadPage()

    page.feed(render(DATA, show_data(data), redaction))
    page.close()

    shown = [it.text for it in page.elements if it.tag == "code" or it.attributes == KEY]
    assert [it for it in shown if secret in it] == []
    assert sum(HIDDEN in it for it in shown) == 4


@given(OBJECTS, st.sets(st.text("abc", min_size=1, max_size=2)))
def test_what_a_schema_marks_is_hidden_and_all_else_is_shown(
    data: dict[str, Any], marked: set[str]
) -> None:
    """The mark hides its field, and no other."""
    schema = {"properties": {name: {"writeOnly": True} for name in marked}}

    hidden = hide_secrets(schema, data)

    assert hidden.keys() == data.keys()
    for key, value in data.items():
        assert hidden[key] == (HIDDEN if key in marked and value is not None else value)


@given(SECRETS, TEXTS, TEXTS)
def test_a_secret_that_was_met_is_on_no_page(secret: str, before: str, after: str) -> None:
    """However a text that copies it is printed: plain, as JSON, or as Python shows it."""
    redaction = Redaction(Schemas.of(EMPTY), shows_data=True)
    redaction.data({"properties": {"pin": {"writeOnly": True}}}, {"pin": secret})

    for text in (
        f"{before}{secret}{after}",
        orjson.dumps({"copy": secret}).decode(),
        repr(secret),
    ):
        scrubbed = redaction.scrub(text)
        assert HIDDEN in scrubbed
        assert secret not in scrubbed
    assert secret_texts({"properties": {"pin": {"writeOnly": True}}}, {"pin": secret}) == {secret}


PARTS = st.text("ab'% ", max_size=8)


@given(st.lists(st.text("ab'% ", min_size=4, max_size=16), max_size=4), st.lists(PARTS), st.data())
def test_a_text_is_scrubbed_as_by_a_pattern_of_all_secrets(
    known: list[str], between: list[str], data: st.DataObject
) -> None:
    """It is searched for those alone of which it has a part, and loses no other."""
    redaction = Redaction(Schemas.of(EMPTY), shows_data=True)
    redaction.learn(known)
    forms = {form for secret in known for form in forms_of(secret)}
    cuts = st.tuples(st.sampled_from(sorted(forms) or [""]), st.integers(0, 16), st.integers(0, 16))
    copies = [form[first : first + length] for form, first, length in data.draw(st.lists(cuts))]
    text = "".join(data.draw(st.permutations([*between, *copies])))
    longest_first = sorted(forms, key=lambda form: (-len(form), form))
    cut = (
        each
        for form in longest_first
        if len(form) >= 2 * CUT_CHARACTERS_MIN
        for each in (
            rf"{re.escape(form[:CUT_CHARACTERS_MIN])}\S{{0,{GOT_CHARACTERS_MAX}}}",
            rf"\S{{0,{GOT_CHARACTERS_MAX}}}{re.escape(form[-CUT_CHARACTERS_MIN:])}",
        )
    )
    patterns = [*map(re.escape, longest_first), *cut]

    assert redaction.scrub(text) == (re.sub("|".join(patterns), HIDDEN, text) if forms else text)


@given(st.datetimes(timezones=st.just(UTC)), st.text(min_size=1).filter(str.isprintable))
def test_a_cursor_is_read_as_it_was_written(changed: datetime, subject: str) -> None:
    """A page ends between the same two workflows for everyone who opens its link."""
    record = Record(
        subject=subject,
        handler="",
        version="",
        revision=0,
        status="active",
        init="",
        consumed="",
    )
    stored = StoredWorkflow(record=record, began=changed, changed=changed)

    assert read_cursor(write_cursor(stored)) == stored


@given(st.datetimes(timezones=st.just(UTC)), st.text(min_size=1).filter(str.isprintable))
def test_a_cursor_of_timers_is_read_as_it_was_written(due: datetime, id_: str) -> None:
    """No timer is on two pages, and none between them."""
    timer = DueTimer(id=id_, name="", subject="", handler="", due=due)

    assert timers.read_cursor(timers.write_cursor(timer)) == timer


@given(st.lists(st.tuples(TEXTS, TEXTS)), st.lists(st.tuples(st.just("label"), TEXTS)))
def test_any_address_is_read(pairs: list[tuple[str, str]], labels: list[tuple[str, str]]) -> None:
    """What cannot be read is named, and the page is shown without it."""
    filters = read_filters([*pairs, *labels])

    assert filters.after is None
    assert len(filters.issues) <= len(pairs) + len(labels)
    assert filters.selection(NOW)["status"] is None


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 10**6)), max_size=30))
def test_a_timeline_stays_within_its_frame(drawn: list[tuple[bool, int]]) -> None:
    """Whatever the clocks of several workers have said."""
    event: Event[Any] = Event(
        id="e",
        source="com.a.b",
        type="com.c.d",
        to="com.c.d",
        subject="s",
        data={},
        time=NOW.isoformat(),
    )
    entries = [
        HistoryEntry(
            position=n,
            revision=n,
            kind="consumed" if is_consumed else "produced",
            at=datetime.fromtimestamp(seconds, UTC),
            event=event,
        )
        for n, (is_consumed, seconds) in enumerate(drawn)
    ]

    view = show_timeline(entries)

    assert len(view.dots) == len(entries)
    assert all(0 <= dot.x <= WIDTH and 0 <= dot.y <= view.height for dot in view.dots)


@given(st.lists(st.integers(1, 2 * DELIVERIES_MAX), max_size=4))
def test_open_pages_learn_of_each_delivery_once(numbers: list[int]) -> None:
    """Of the newest ones, where more came between two looks than are held."""
    deliveries = Deliveries()
    reported = []
    for number in numbers:
        for _ in range(number):
            deliveries.add(
                HandledDelivery(
                    at=NOW,
                    type="com.a.b",
                    subject=str(deliveries.number),
                    to="com.a.b",
                    attempt=1,
                    outcome="handled",
                    seconds=0.0,
                )
            )
        reported.append(deliveries.changed())

    assert [len(it) for it in reported] == [min(it, DELIVERIES_MAX) for it in numbers]
    assert len({subject for each in reported for subject in each}) == sum(map(len, reported))
    assert deliveries.changed() == ()


@given(TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=3), TEXTS)
def test_a_filter_stays_one_argument_of_its_command(
    type_: str, labels: dict[str, str], text: str
) -> None:
    """A person pastes the command into a shell: no text of a filter may become another option."""
    filters = Filters(type=type_, version="1.0.0", labels=labels, text=text)
    expected = ["--type", type_, "--version", "1.0.0"]
    for name, value in labels.items():
        expected += ["--label", f"{name}={value}"]
    expected += ["--text", text]

    command = command_of(WorkflowAct(verb="cancel", filters=filters, at=NOW))

    assert shlex.split(command) == [
        *["arvo", "cancel", "package.module:system"],
        *expected,
        *["--reason", "…"],
    ]


@given(st.lists(st.tuples(st.text("ab"), st.sampled_from("xyz")), max_size=30))
def test_each_refused_one_counts_for_its_reason(refused: list[tuple[str, str]]) -> None:
    """The sums of a page are those of the act, and the most frequent reason is first."""
    refusals = tuple((id_, ConfigViolation(reason)) for id_, reason in refused)

    groups = group_refusals(BatchResult(refused=len(refused), refusals=refusals))

    assert sum(it.number for it in groups) == len(refused)
    assert len({it.violation for it in groups}) == len(groups)
    assert [it.number for it in groups] == sorted((it.number for it in groups), reverse=True)
    assert all(len(it.ids) == min(it.number, NAMED_MAX) for it in groups)


UNMARKED = OBJECTS.filter(lambda it: HIDDEN not in orjson.dumps(it).decode())


@given(OBJECTS, st.sets(st.text("abc", min_size=1, max_size=2)), UNMARKED)
def test_a_mark_that_is_sent_back_stands_for_the_value_that_it_hides(
    data: dict[str, Any], marked: set[str], other: dict[str, Any]
) -> None:
    """An operator edits a field beside a secret: the secret is sent, and nothing else changes."""
    schema = {"properties": {name: {"writeOnly": True} for name in marked}}
    shown = hide_secrets(schema, data)
    edited = {**shown, **{key: value for key, value in other.items() if key not in marked}}

    assert restore(shown, shown, data) == data
    restored = restore(shown, edited, data)
    assert restored == {**data, **{key: edited[key] for key in edited if key not in marked}}


@given(
    st.lists(
        st.tuples(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 3)), max_size=30
    )
)
def test_a_line_of_rates_stays_within_its_frame(drawn: list[tuple[int, int, int]]) -> None:
    """For any pauses between samples; the highest rate touches the edge, and no count is lost."""
    microseconds, handled, failed, samples = 0, 0, 0, list[Sample]()
    for pause, good, bad in drawn:
        microseconds, handled, failed = microseconds + pause, handled + good, failed + bad
        samples.append(Sample(microseconds / 1e6, Stats(handled=handled, failed=failed)))

    view = show_outcomes(samples)

    assert (view is None) == (not samples)
    for row in () if view is None else view.rows:
        points = [tuple(map(float, it.split(","))) for it in row.points.split()]
        assert all(0 <= x <= LINE_WIDTH and 1 <= y <= LINE_HEIGHT - 1 for x, y in points)
        assert [x for x, _ in points] == sorted(x for x, _ in points)
        assert not points or (min(y for _, y in points) == 1) == (row.highest > 0)
        assert 0 <= row.latest <= row.highest
    if view is not None:
        counts = {row.outcome: row.in_all for row in view.rows}
        first = samples[0].stats
        assert counts["handled"] == handled - first.handled
        assert counts.get("failed", 0) == failed - first.failed


# What XML can hold, and what it may mean in HTML.
XML_TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Co", "Cn")), max_size=20)
ELEMENT_NAMES = st.sampled_from(
    [*sorted(TAGS), LABEL, "script", "style", "a", "use", "image", "div"]
)
ATTRIBUTE_NAMES = st.sampled_from([*sorted(ATTRIBUTES), "id", "class", "style", "onload", "href"])


@st.composite
def drawn_elements(draw: st.DrawFn, depth: int = 3) -> ET.Element:
    """Draw an element with attributes, texts and elements inside it."""
    element = ET.Element(draw(ELEMENT_NAMES))
    element.attrib.update(draw(st.dictionaries(ATTRIBUTE_NAMES, XML_TEXTS, max_size=4)))
    if draw(st.booleans()):
        element.set("id", f"my-svg-state-n{draw(st.integers(0, 3))}-1")
    element.text, element.tail = draw(XML_TEXTS), draw(XML_TEXTS)
    if depth:
        element.extend(draw(st.lists(drawn_elements(depth - 1), max_size=3)))
    return element


@given(drawn_elements(), st.sets(st.integers(0, 3)), st.sets(st.integers(0, 3)))
def test_a_picture_brings_nothing_into_a_page_but_shapes_and_texts(
    element: ET.Element, active: set[int], visited: set[int]
) -> None:
    """The texts of a chart are those of its author, and a library has made the rest."""
    drawn = ET.Element("svg")
    drawn.append(element)

    shown = show_picture(ET.tostring(drawn, encoding="unicode"), active, visited)

    page = ReadPage()
    page.feed(str(shown.svg))
    page.close()
    allowed = {name.lower() for name in ATTRIBUTES} | {"id", "class", "role", "aria-labelledby"}
    assert page.faults == []
    assert {it.tag for it in page.elements} <= {name.lower() for name in (*TAGS, LABEL, "div")}
    assert all(it.attributes.keys() <= allowed for it in page.elements)
    classes = [it for one in page.elements for it in one.attributes.get("class", "").split()]
    assert all(it.startswith("c-") or it in ("is-active", "was-active") for it in classes)
