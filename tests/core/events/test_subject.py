"""Subject: identity of a workflow, on the wire and off it."""

import base64
import zlib
from hashlib import sha256

import orjson
import pytest

from arvo import Issue, Subject, Violated
from arvo.core.events.subject import SUBJECT_BYTES_MAX

SUBJECT = Subject.new("arvo.orc.order", "1.0.0", initiator="com.shop.web", id="run-1")


def packed(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content)).decode()


def issues_of(text: str) -> list[Issue]:
    with pytest.raises(Violated) as refused:
        Subject.parse(text)
    return list(refused.value.violation.issues)


def test_it_comes_back_from_the_wire_equal() -> None:
    """The record of a workflow is found by it."""
    subject = Subject.new(
        "arvo.orc.order", None, initiator="com.shop.web", domain="eu.west", meta={"k": "ü;"}, id="1"
    )

    assert Subject.parse(str(subject)) == subject
    assert Subject.from_dict(subject.to_dict()) == subject
    assert subject.orchestrator.version == "0.0.0"


def test_a_child_belongs_to_its_parent() -> None:
    """F064: domain and meta are inherited, what is given wins (B23 is kept, as the wire has it)."""
    parent = Subject.new(
        "arvo.orc.order",
        "1.0.0",
        initiator="com.shop.web",
        domain="eu",
        meta={"redirectto": "com.shop.web", "tenant": "t1"},
        id="run-1",
    )

    child = parent.child("arvo.orc.refund", "2.0.0", meta={"redirectto": "x"}, id="run-2")

    assert child.to_dict() == {
        "orchestrator": {"name": "arvo.orc.refund", "version": "2.0.0"},
        "execution": {"id": "run-2", "initiator": "arvo.orc.order", "domain": "eu"},
        "meta": {"redirectto": "x", "tenant": "t1"},
    }
    assert parent.child("arvo.orc.refund", None, domain="us").execution.domain == "us"


def test_a_completion_goes_where_the_subject_says() -> None:
    """F066, F131: else to whoever began the run."""
    assert SUBJECT.answers_to == "com.shop.web"
    assert SUBJECT.child("a.b.c", None, meta={"redirectto": "com.x.y"}).answers_to == "com.x.y"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not base64",
        "YWJj",
        "é",
        "\ud800",
        packed(b"{"),
        packed(b"\xff"),
        packed(b"1" * 5_000),
        packed(b"[" * 60_000),
        base64.b64encode(zlib.compress(orjson.dumps(SUBJECT.to_dict())) + b"more").decode(),
        base64.b64encode(zlib.compress(orjson.dumps(SUBJECT.to_dict()))[:-4]).decode(),
        base64.urlsafe_b64encode(b"\xff\xfe\xfd").decode(),
        str(SUBJECT) + "\n",
        " " + str(SUBJECT),
    ],
    ids=[
        *("empty", "no base64", "no zlib", "no ascii", "surrogate", "no json", "no utf-8"),
        *("huge number", "deep", "garbage behind", "cut", "url-safe", "line break", "space"),
    ],
)
def test_what_is_no_subject_is_refused(text: str) -> None:
    """Nothing escapes as an exception of base64, zlib, JSON or Unicode."""
    (issue,) = issues_of(text)

    assert issue.path == "subject"
    assert issue.expected.startswith("base64 of")


def test_two_texts_do_not_name_one_workflow() -> None:
    """The record is kept under the text: with garbage behind it there would be a second one."""
    assert Subject.parse(str(SUBJECT)) == SUBJECT
    assert issues_of(str(SUBJECT).rstrip("=") + "AAAA")


def test_a_bomb_is_refused_without_being_inflated() -> None:
    """A thousand bytes can hold a megabyte; design section 11."""
    bomb = packed(b'{"a":"' + b"0" * 50_000_000 + b'"}')

    (issue,) = issues_of(bomb)

    assert len(bomb) < 100_000
    assert issue.expected == "at most 65536 bytes"


@pytest.mark.parametrize("size", [1_000, 16_000])
def test_a_subject_may_be_long(size: int) -> None:
    """B20: a column of 255 characters held no real one."""
    meta = {"k": "".join(sha256(bytes([n])).hexdigest() for n in range(size // 128))}
    subject = Subject.new("a.b.c", "1.0.0", initiator="x.y.z", meta=meta, id="1")

    assert len(str(subject)) > size // 4
    assert Subject.parse(str(subject)) == subject


def test_a_subject_that_nobody_could_read_is_not_made() -> None:
    """Meta grows from parent to child, and the wire has a limit."""
    subject = Subject.new("a.b.c", "1.0.0", initiator="x.y.z", meta={"k": "x" * 70_000}, id="1")

    with pytest.raises(Violated, match=f"at most {SUBJECT_BYTES_MAX} bytes, got 70"):
        str(subject)


def test_every_wrong_field_is_named_at_once() -> None:
    """The sender mends them in one go."""
    content = {
        "orchestrator": {"name": "Order", "version": "1"},
        "execution": {"id": "a;b", "initiator": "web", "domain": "EU"},
        "meta": {"k": 1},
    }

    assert [issue.path for issue in issues_of(packed(orjson.dumps(content)))] == [
        "subject.orchestrator.name",
        "subject.execution.initiator",
        "subject.orchestrator.version",
        "subject.execution.id",
        "subject.execution.domain",
        "subject.meta.k",
    ]


@pytest.mark.parametrize(
    "content", [None, [], {}, {"orchestrator": {}}, {**SUBJECT.to_dict(), "meta": None}]
)
def test_json_of_another_shape_is_refused_with_the_shape(content: object) -> None:
    """Not a KeyError."""
    with pytest.raises(Violated, match=r"subject: expected .orchestrator: .name, version., "):
        Subject.from_dict(content)


@pytest.mark.parametrize("deep", [1, [[[]]], {"a": {}}, None])
def test_meta_holds_texts(deep: object) -> None:
    """It is compared and hashed with the subject."""
    with pytest.raises(Violated, match=r"subject\.meta\.k: expected a text"):
        Subject.from_dict({**SUBJECT.to_dict(), "meta": {"k": deep}})


def test_text_that_no_encoding_takes_is_refused_when_the_subject_is_made() -> None:
    """Not later, as a TypeError of the JSON writer."""
    with pytest.raises(Violated, match=r"subject\.execution\.id: .*; subject\.meta\.k"):
        Subject.new("a.b.c", None, initiator="x.y.z", id="\ud800", meta={"k": "\ud800"})
