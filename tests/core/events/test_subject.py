"""Subject: the identity of a workflow, on the wire and in memory."""

import base64
import zlib
from hashlib import sha256

import orjson
import pytest

from arvo import Issue, Subject, Violated
from arvo.core.events.subject import SUBJECT_BYTES_MAX

SUBJECT = Subject.new("arvo.orc.order", "1.0.0", initiator="com.shop.web", id="run-1")


def encode(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content)).decode()


def issues_of(text: str) -> list[Issue]:
    with pytest.raises(Violated) as refused:
        Subject.parse(text)
    return list(refused.value.violation.issues)


def test_a_subject_round_trips_through_its_wire_format() -> None:
    """The store finds the record of a workflow by it."""
    subject = Subject.new(
        "arvo.orc.order", None, initiator="com.shop.web", domain="eu.west", meta={"k": "ü;"}, id="1"
    )

    assert Subject.parse(str(subject)) == subject
    assert Subject.from_dict(subject.to_dict()) == subject
    assert subject.orchestrator.version == "0.0.0"


def test_a_child_inherits_domain_and_meta() -> None:
    """Arguments override them. B23: meta includes the return address, as the wire has it."""
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


def test_a_completion_goes_to_the_redirect_or_else_to_the_initiator() -> None:
    """The subject is durable, so the return address survives a restart."""
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
        encode(b"{"),
        encode(b"\xff"),
        encode(b"1" * 5_000),
        encode(b"[" * 60_000),
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
def test_text_that_is_not_a_subject_is_refused(text: str) -> None:
    """No exception of base64, zlib, JSON or Unicode escapes."""
    (issue,) = issues_of(text)

    assert issue.path == "subject"
    assert issue.expected.startswith("base64 of")


def test_two_texts_do_not_name_one_workflow() -> None:
    """The store keys records by the text: trailing garbage would make a second record."""
    assert Subject.parse(str(SUBJECT)) == SUBJECT
    assert issues_of(str(SUBJECT).rstrip("=") + "AAAA")


def test_a_bomb_is_refused_without_being_inflated() -> None:
    """A thousand bytes may inflate to a megabyte."""
    bomb = encode(b'{"a":"' + b"0" * 50_000_000 + b'"}')

    (issue,) = issues_of(bomb)

    assert len(bomb) < 100_000
    assert issue.expected == "at most 65536 bytes"


@pytest.mark.parametrize("size", [1_000, 16_000])
def test_a_subject_may_be_long(size: int) -> None:
    """B20: a database column of 255 characters was too short for real subjects."""
    meta = {"k": "".join(sha256(bytes([n])).hexdigest() for n in range(size // 128))}
    subject = Subject.new("a.b.c", "1.0.0", initiator="x.y.z", meta=meta, id="1")

    assert len(str(subject)) > size // 4
    assert Subject.parse(str(subject)) == subject


def test_a_subject_over_the_size_limit_is_not_encoded() -> None:
    """Meta grows from parent to child, and no reader would accept the text."""
    subject = Subject.new("a.b.c", "1.0.0", initiator="x.y.z", meta={"k": "x" * 70_000}, id="1")

    with pytest.raises(Violated, match=f"at most {SUBJECT_BYTES_MAX} bytes, got 70"):
        str(subject)


def test_all_invalid_fields_are_named_at_once() -> None:
    """The sender can fix them in one go."""
    content = {
        "orchestrator": {"name": "Order", "version": "1"},
        "execution": {"id": "a;b", "initiator": "web", "domain": "EU"},
        "meta": {"k": 1},
    }

    assert [issue.path for issue in issues_of(encode(orjson.dumps(content)))] == [
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
    """The error is a violation, not a KeyError."""
    with pytest.raises(Violated, match=r"subject: expected .orchestrator: .name, version., "):
        Subject.from_dict(content)


@pytest.mark.parametrize("deep", [1, [[[]]], {"a": {}}, None])
def test_meta_holds_strings(deep: object) -> None:
    """Subjects are compared and hashed, with their meta."""
    with pytest.raises(Violated, match=r"subject\.meta\.k: expected a string"):
        Subject.from_dict({**SUBJECT.to_dict(), "meta": {"k": deep}})


def test_text_that_cannot_be_encoded_is_refused_by_the_constructor() -> None:
    """Otherwise the JSON encoder raises a TypeError later."""
    with pytest.raises(Violated, match=r"subject\.execution\.id: .*; subject\.meta\.k"):
        Subject.new("a.b.c", None, initiator="x.y.z", id="\ud800", meta={"k": "\ud800"})
