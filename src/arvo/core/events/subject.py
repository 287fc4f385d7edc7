"""Subject: which run of which workflow an event belongs to."""

import base64
import binascii
import re
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, final

import orjson
from attrs import Attribute, field, frozen

from arvo.core.events.dataschema import WILDCARD, is_version
from arvo.core.events.stamp import stamp
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.payloads.json_data import encodes
from arvo.core.violations.issue import Issue, one_line, short
from arvo.core.violations.violation import ExecutionViolation, Violated

# A realistic subject has 300 characters; a bomb inflates a thousandfold (design section 11).
SUBJECT_BYTES_MAX: Final = 64 * 1024
# Decoding costs 15 µs and every step needs it; 4096 workflows in flight stay warm.
SUBJECTS_CACHED_MAX: Final = 4096

_NAME: Final = re.compile(r"[a-z0-9]+(\.[a-z0-9]+)+", re.ASCII)
# Event types of two segments are ours alone; a subject must stay readable on the reference's side,
# which wants three (F062).
_SEGMENTS_MIN: Final = 3
_DOMAIN: Final = re.compile(r"[a-z0-9.]+", re.ASCII)


def is_domain(text: str) -> bool:
    """Tell whether *text* names a domain (reference F016).

    >>> is_domain("human.review"), is_domain("Human")
    (True, False)
    """
    return _DOMAIN.fullmatch(text) is not None


@final
@frozen
class Process:
    """Which workflow: the address of its handler, and the version it stays on."""

    name: str
    version: str = WILDCARD


@final
@frozen
class Execution:
    """Which run: its id, the address of whoever started it, and the domain it runs in."""

    id: str
    initiator: str
    domain: str | None = None


def _checked_meta(meta: Mapping[str, str]) -> FrozenDict:
    return meta if isinstance(meta, FrozenDict) else FrozenDict(meta)


def _check(subject: "Subject", _: "Attribute[Any]", __: object) -> None:
    issues = tuple(_issues(subject))
    if issues:
        raise Violated(ExecutionViolation("this subject cannot be", issues))


@final
@frozen
class Subject:
    """One run of one workflow, and who started it.

    On the wire base64 of zlib of JSON (reference F060), so that any broker can carry it. `meta`
    holds texts; its `redirectto` is the address that the workflow's completion goes to (F066).

    >>> subject = Subject.new("arvo.orc.order", "1.0.0", initiator="com.shop.web", id="run-1")
    >>> Subject.parse(str(subject)) == subject
    True
    """

    orchestrator: Process
    execution: Execution
    # Last, so that its validator sees all three: one error then names every wrong field.
    meta: FrozenDict = field(default=EMPTY, converter=_checked_meta, validator=_check)

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
        """Begin a run (reference F063); *id* is made up where none is given."""
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
        """Begin a run on behalf of this one (reference F064): domain and meta are inherited."""
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
        """The address that the run's completion goes to (reference F131)."""
        redirectto = self.meta.get("redirectto")
        return redirectto if isinstance(redirectto, str) else self.execution.initiator

    @staticmethod
    def parse(text: str) -> "Subject":
        """Read a subject off the wire; raises `Violated` with the field that is wrong."""
        return _parse(text)

    def __str__(self) -> str:
        return _encode(self)

    def to_dict(self) -> dict[str, Any]:
        """Say the content as JSON data, keys in the reference's order (F061)."""
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
        """Read a subject's content; raises `Violated` with the field that is wrong."""
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
                        "this subject cannot be read", Issue("subject", shape, short(content))
                    )
                )


def _issues(subject: Subject) -> "list[Issue]":
    process, run = subject.orchestrator, subject.execution
    meta: Mapping[Any, Any] = subject.meta
    found = [
        *_name_issues("subject.orchestrator.name", process.name),
        *_name_issues("subject.execution.initiator", run.initiator),
    ]
    if not is_version(process.version):
        found.append(
            Issue("subject.orchestrator.version", "a version such as 1.0.0", short(process.version))
        )
    if not run.id or ";" in run.id or not encodes(run.id):
        found.append(Issue("subject.execution.id", "a text without ';'", short(run.id)))
    domain: object = run.domain
    if domain is not None and not (isinstance(domain, str) and is_domain(domain)):
        found.append(
            Issue("subject.execution.domain", "lower-case letters, digits, dots", short(run.domain))
        )
    found += [
        Issue(one_line(f"subject.meta.{key}"), "a text", short(value))
        for key, value in meta.items()
        if not isinstance(key, str) or not isinstance(value, str) or not encodes(key + value)
    ]
    return found


def _name_issues(path: str, name: str) -> "list[Issue]":
    if _NAME.fullmatch(name) and name.count(".") >= _SEGMENTS_MIN - 1:
        return []
    return [Issue(path, "a name of three segments such as com.shop.web", short(name))]


@lru_cache(maxsize=SUBJECTS_CACHED_MAX)
def _encode(subject: Subject) -> str:
    content = orjson.dumps(subject.to_dict())
    text = base64.b64encode(zlib.compress(content)).decode()
    # What nobody could read back must not be made: meta grows from parent to child.
    if max(len(content), len(text)) > SUBJECT_BYTES_MAX:
        raise _too_large(f"{max(len(content), len(text))}")
    return text


@lru_cache(maxsize=SUBJECTS_CACHED_MAX)
def _parse(text: str) -> Subject:
    return Subject.from_dict(_inflate(text))


def _inflate(text: str) -> Any:
    if len(text) > SUBJECT_BYTES_MAX:
        raise _too_large(f"{len(text)}")
    try:
        packed = base64.b64decode(text, validate=True)
        inflater = zlib.decompressobj()
        # The bound is the decoder's own, so that a bomb is never held in memory.
        content = inflater.decompress(packed, SUBJECT_BYTES_MAX + 1)
        if len(content) > SUBJECT_BYTES_MAX:
            raise _too_large("more")
        # Cut short, or with something behind it: two texts would name one workflow.
        if not inflater.eof or inflater.unused_data:
            raise _unreadable("base64 of one whole zlib stream", short(text))
        return orjson.loads(content)
    except (
        binascii.Error,
        zlib.error,
        orjson.JSONDecodeError,
        UnicodeEncodeError,
        ValueError,
    ) as e:
        if isinstance(e, Violated):
            raise
        raise _unreadable("base64 of zlib of JSON", short(text)) from None


def _too_large(got: str) -> Violated:
    return _unreadable(f"at most {SUBJECT_BYTES_MAX} bytes", got)


def _unreadable(expected: str, got: str) -> Violated:
    return Violated(
        ExecutionViolation("this subject cannot be read", Issue("subject", expected, got))
    )
