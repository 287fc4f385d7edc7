"""Subject: which run of which workflow an event belongs to."""

import base64
import re
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, final

import orjson
from attrs import Attribute, field, frozen

from arvo.core.events.dataschema import WILDCARD, is_version
from arvo.core.events.deflate import compress
from arvo.core.events.identity import is_workflow_id
from arvo.core.events.stamp import stamp
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.payloads.json_data import is_encodable
from arvo.core.violations.arguments import check_argument
from arvo.core.violations.issue import Issue, one_line, short_repr
from arvo.core.violations.violation import ExecutionViolation, Violated

# Subjects are about 300 characters long. A decompression bomb inflates a thousandfold.
SUBJECT_BYTES_MAX: Final = 64 * 1024
# Decoding takes 15 µs and every step needs it: up to 4096 active workflows stay cached.
SUBJECTS_CACHED_MAX: Final = 4096
# Longer ones are parsed each time: a sender could fill the memory with them.
SUBJECT_CHARACTERS_CACHED_MAX: Final = 4096
# Enough to tell the runs with one id apart.
LABEL_CHARACTERS: Final = 12

_NAME: Final = re.compile(r"[a-z0-9]+(\.[a-z0-9]+)+", re.ASCII)
# The TypeScript packages require three segments in a subject, and must be able to read ours.
_SEGMENTS_MIN: Final = 3
_DOMAIN: Final = re.compile(r"[a-z0-9.]+", re.ASCII)


def is_domain(text: str) -> bool:
    """Return whether *text* is a valid domain name.

    >>> is_domain("human.review"), is_domain("Human")
    (True, False)
    """
    return _DOMAIN.fullmatch(text) is not None


@final
@frozen
class Process:
    """A workflow: the address of its handler, and the contract version it runs on."""

    name: str
    version: str = WILDCARD


@final
@frozen
class Execution:
    """A run: its id, the address of its initiator, and the domain it runs in."""

    id: str
    initiator: str
    domain: str | None = None


def _freeze_meta(meta: Mapping[str, str]) -> FrozenDict:
    if isinstance(meta, FrozenDict):
        return meta
    check_argument("meta", meta, Mapping, "a mapping of strings to strings", of="a subject")
    return FrozenDict(meta)


def _check(subject: "Subject", _: "Attribute[Any]", __: object) -> None:
    issues = () if _is_sound(subject) else tuple(_issues(subject))
    if issues:
        raise Violated(ExecutionViolation("invalid subject", issues))


@final
@frozen
class Subject:
    """One run of one workflow, and its initiator.

    On the wire it is base64 of zlib of JSON, so that any broker can carry it. `meta` maps strings
    to strings; its `redirectto` is the address for the workflow's completion event.

    >>> subject = Subject.new("arvo.orc.order", "1.0.0", initiator="com.shop.web", id="run-1")
    >>> Subject.parse(str(subject)) == subject
    True
    """

    orchestrator: Process
    execution: Execution
    # The last field, so that its validator sees all three and one error names each invalid field.
    meta: FrozenDict = field(default=EMPTY, converter=_freeze_meta, validator=_check)

    @classmethod
    def new(
        cls,
        orchestrator: str,
        version: str | None,
        *,
        initiator: str,
        domain: str | None = None,
        meta: Mapping[str, str] = EMPTY,
        id: str | None = None,  # noqa: A002 - the wire's name
    ) -> "Subject":
        """Make the subject of a new run; without *id* it gets a generated one."""
        run = id if id is not None else stamp().id
        return cls(
            Process(orchestrator, version or WILDCARD), Execution(run, initiator, domain), meta
        )

    def child(
        self,
        orchestrator: str,
        version: str | None,
        *,
        domain: str | None = None,
        meta: Mapping[str, str] = EMPTY,
        id: str | None = None,  # noqa: A002 - the wire's name
    ) -> "Subject":
        """Make the subject of a child run, which inherits domain and meta."""
        return Subject.new(
            orchestrator,
            version,
            initiator=self.orchestrator.name,
            domain=domain if domain is not None else self.execution.domain,
            meta={**self.meta, **meta},
            id=id,
        )

    @property
    def answers_to(self) -> str:
        """The address that the run's completion event goes to."""
        redirectto = self.meta.get("redirectto")
        return redirectto if isinstance(redirectto, str) else self.execution.initiator

    @staticmethod
    def parse(text: str) -> "Subject":
        """Parse a subject in its wire format; raises `Violated`, which names the invalid field."""
        check_argument("text", text, str, "the text of a subject", of="Subject.parse")
        return _parse(text)

    def __str__(self) -> str:
        return _encode(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the content as JSON data, in the key order of the TypeScript packages."""
        run = self.execution
        return {
            "orchestrator": {
                "name": self.orchestrator.name,
                "version": self.orchestrator.version,
            },
            "execution": {"id": run.id, "initiator": run.initiator, "domain": run.domain},
            "meta": dict(self.meta),
        }

    @staticmethod
    def from_dict(content: object) -> "Subject":
        """Read a subject's content; raises `Violated`, which names the invalid field."""
        match content:
            case {
                "orchestrator": {"name": str(name), "version": str(version)},
                "execution": {"id": str(id_), "initiator": str(initiator), **execution},
                "meta": dict(meta),
            }:
                domain: Any = execution.get("domain")
                return Subject(Process(name, version), Execution(id_, initiator, domain), meta)
            case _:
                shape = "{orchestrator: {name, version}, execution: {id, initiator, domain}, meta}"
                raise Violated(
                    ExecutionViolation(
                        "unreadable subject", Issue("subject", shape, short_repr(content))
                    )
                )


def workflow_id_of(subject: str) -> str:
    """Return the workflow id in a subject's wire format, "" where it has none that can be indexed.

    Another program may have written the subject, with any text as the id.

    >>> subject = Subject.new("arvo.orc.order", "1.0.0", initiator="com.shop.web", id="order-1")
    >>> workflow_id_of(str(subject)), workflow_id_of("no subject")
    ('order-1', '')
    """
    try:
        id_ = _parse(subject).execution.id
    except Violated:
        return ""
    return id_ if is_workflow_id(id_) else ""


def subject_label(subject: str) -> str:
    """Return a subject for people: its workflow id and its last characters, if it has an id.

    The last ones, because subjects of one type begin alike.
    """
    id_ = workflow_id_of(subject)
    return f"{id_}  …{subject[-LABEL_CHARACTERS:]}" if id_ else subject


def _is_sound(subject: Subject) -> bool:
    """Return True only if the subject has no issue; nearly all pass this quick check."""
    process, run = subject.orchestrator, subject.execution
    try:
        return (
            type(run.id) is str
            and run.id != ""
            and run.id.isascii()
            and ";" not in run.id
            and _is_sound_route(process.name, process.version, run.initiator, run.domain)
            and all(
                type(key) is str and type(value) is str and (key + value).isascii()
                for key, value in subject.meta.items()
            )
        )
    except TypeError:
        return False


@lru_cache(maxsize=1024)
def _is_sound_route(name: str, version: str, initiator: str, domain: str | None) -> bool:
    """Check the parts that the subjects of one workflow share."""
    return (
        not _name_issues("", name)
        and not _name_issues("", initiator)
        and is_version(version)
        and (domain is None or is_domain(domain))
    )


def _issues(subject: Subject) -> "list[Issue]":
    process, run = subject.orchestrator, subject.execution
    meta: Mapping[Any, Any] = subject.meta
    issues = [
        *_name_issues("subject.orchestrator.name", process.name),
        *_name_issues("subject.execution.initiator", run.initiator),
    ]
    version: object = process.version
    if not (isinstance(version, str) and is_version(version)):
        issues.append(
            Issue(
                "subject.orchestrator.version",
                "a version such as 1.0.0",
                short_repr(process.version),
            )
        )
    if not _is_run_id(run.id):
        issues.append(Issue("subject.execution.id", "a string without ';'", short_repr(run.id)))
    domain: object = run.domain
    if domain is not None and not (isinstance(domain, str) and is_domain(domain)):
        issues.append(
            Issue(
                "subject.execution.domain",
                "lower-case letters, digits, dots",
                short_repr(run.domain),
            )
        )
    issues += [
        Issue(one_line(f"subject.meta.{key}"), "a string", short_repr(value))
        for key, value in meta.items()
        if not isinstance(key, str) or not isinstance(value, str) or not is_encodable(key + value)
    ]
    return issues


def _is_run_id(value: object) -> bool:
    return isinstance(value, str) and value != "" and ";" not in value and is_encodable(value)


def is_initiator(name: str) -> bool:
    """Return whether a sender of this name may begin a run.

    >>> is_initiator("com.shop.web"), is_initiator("web")
    (True, False)
    """
    return _NAME.fullmatch(name) is not None and name.count(".") >= _SEGMENTS_MIN - 1


def _name_issues(path: str, name: object) -> "list[Issue]":
    if not isinstance(name, str):
        return [Issue(path, "a string", short_repr(name))]
    if is_initiator(name):
        return []
    return [Issue(path, "a name of three segments such as com.shop.web", short_repr(name))]


@lru_cache(maxsize=SUBJECTS_CACHED_MAX)
def _encode(subject: Subject) -> str:
    content = orjson.dumps(subject.to_dict())
    text = base64.b64encode(compress(content)).decode()
    # The same limit as for reading: meta grows from parent to child.
    if max(len(content), len(text)) > SUBJECT_BYTES_MAX:
        raise _too_large(f"{max(len(content), len(text))}")
    _remember(text, subject)
    return text


_parsed: Final[dict[str, Subject]] = {}


def _parse(text: str) -> Subject:
    subject = _parsed.get(text)
    if subject is None:
        subject = Subject.from_dict(_decode(text))
        _remember(text, subject)
    return subject


def _remember(text: str, subject: Subject) -> None:
    # A dict and not `lru_cache`, because a subject that was written need not be parsed.
    if len(text) > SUBJECT_CHARACTERS_CACHED_MAX:
        return
    if len(_parsed) >= SUBJECTS_CACHED_MAX:
        for oldest in list(_parsed)[: SUBJECTS_CACHED_MAX // 4]:
            _parsed.pop(oldest, None)
    _parsed[text] = subject


def _decode(text: str) -> Any:
    if len(text) > SUBJECT_BYTES_MAX:
        raise _too_large(f"{len(text)}")
    try:
        compressed = base64.b64decode(text, validate=True)
        inflater = zlib.decompressobj()
        # The decoder itself stops at the limit, so that a bomb never fills the memory.
        content = inflater.decompress(compressed, SUBJECT_BYTES_MAX + 1)
        if len(content) > SUBJECT_BYTES_MAX:
            raise _too_large("more")
        # Truncated, or followed by other bytes: two texts would name one workflow.
        if not inflater.eof or inflater.unused_data:
            raise _unreadable("base64 of one whole zlib stream", short_repr(text))
        return orjson.loads(content)
    except Violated:
        raise
    except (zlib.error, ValueError):
        # The errors of base64, JSON and Unicode are kinds of ValueError.
        raise _unreadable("base64 of zlib of JSON", short_repr(text)) from None


def _too_large(got: str) -> Violated:
    return _unreadable(f"at most {SUBJECT_BYTES_MAX} bytes", got)


def _unreadable(expected: str, got: str) -> Violated:
    return Violated(ExecutionViolation("unreadable subject", Issue("subject", expected, got)))
