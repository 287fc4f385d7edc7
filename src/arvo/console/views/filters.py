"""Filters: which workflows a list shows, as its address says."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, final

from attrs import field, frozen

from arvo.core.events.dataschema import is_version
from arvo.core.payloads.frozen_json import EMPTY
from arvo.core.record import STATUSES, Record, Status
from arvo.core.violations.issue import Issue, short_repr
from arvo.interpreters.ports.results import StoredWorkflow
from arvo.interpreters.runtime.batches import BatchOptions

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_QUIET: Final = re.compile(r"([1-9][0-9]{0,5})([smhd])", re.ASCII)


@final
@frozen(kw_only=True)
class Filters:
    """The filters of the list of workflows.

    *quiet*: for how long a workflow has not changed, such as `90s`, `15m`, `1h` or `2d`. *text*:
    a part of an id or of a label. *after*: the end of the previous page. *issues*: what of the
    address could not be read; those filters are left out.
    """

    status: Status | None = None
    type: str | None = None
    version: str | None = None
    labels: Mapping[str, str] = EMPTY
    quiet: str | None = None
    text: str | None = None
    after: StoredWorkflow | None = None
    issues: tuple[Issue, ...] = ()
    _quiet_for: timedelta | None = field(default=None, repr=False)

    @property
    def query(self) -> dict[str, Any]:
        """The filters as they stand in an address, without the page."""
        return {
            "status": self.status,
            "type": self.type,
            "version": self.version,
            "label": tuple(f"{name}={value}" for name, value in self.labels.items()),
            "quiet": self.quiet,
            "q": self.text,
        }

    @property
    def is_empty(self) -> bool:
        """Whether the list shows every workflow."""
        return not any(self.query.values())

    def selection(self, now: datetime) -> dict[str, Any]:
        """Return the arguments of `Client.workflows`."""
        return {
            "status": self.status,
            "type": self.type,
            "version": self.version,
            "labels": self.labels,
            "text": self.text,
            "unchanged_since": None if self._quiet_for is None else now - self._quiet_for,
            "after": self.after,
        }

    def of_batch(self, now: datetime) -> BatchOptions:
        """Return the arguments of an act on many; its verb gives the status."""
        return {
            "type": self.type,
            "version": self.version,
            "labels": self.labels,
            "text": self.text,
            "unchanged_since": None if self._quiet_for is None else now - self._quiet_for,
        }

    def command_options(self) -> list[str]:
        """Return the filters as options of `arvo cancel` and the others like it."""
        options = [] if self.type is None else ["--type", self.type]
        if self.version is not None:
            options += ["--version", self.version]
        for name, value in self.labels.items():
            options += ["--label", f"{name}={value}"]
        if self.text is not None:
            options += ["--text", self.text]
        if self._quiet_for is not None:
            options += ["--unchanged-for", f"{self._quiet_for.total_seconds():g}"]
        return options


def read_filters(pairs: Iterable[tuple[str, str]]) -> Filters:
    """Read the filters from the query of an address; a value that fits none becomes an issue."""
    found: dict[str, Any] = {"labels": {}}
    issues: list[Issue] = []
    for name, value in pairs:
        text = value.strip()
        if text and name in _EXPECTED and not _read(found, name, text):
            issues.append(Issue(name, _EXPECTED[name], short_repr(text)))
    return Filters(**found, issues=tuple(issues))


_EXPECTED: Final[Mapping[str, str]] = {
    "status": f"one of {', '.join(STATUSES)}",
    "type": "the type of a workflow",
    "version": "a version such as 1.0.0",
    "q": "a text",
    "label": "name=value",
    "quiet": "a time such as 90s, 15m, 1h or 2d",
    "after": "the end of a page",
}


def _read(found: dict[str, Any], name: str, text: str) -> bool:
    """Add one filter to *found*; return False if the text is none."""
    match name:
        case "status" if text in STATUSES:
            found["status"] = text
        case "type":
            found["type"] = text
        case "version" if is_version(text):
            found["version"] = text
        case "q":
            found["text"] = text
        case "label" if "=" in text:
            label, _, wanted = text.partition("=")
            found["labels"][label] = wanted
        case "quiet" if match := _QUIET.fullmatch(text):
            found["quiet"] = text
            found["quiet_for"] = timedelta(seconds=int(match[1]) * _UNITS[match[2]])
        case "after" if page := read_cursor(text):
            found["after"] = page
        case _:
            return False
    return True


def write_cursor(last: StoredWorkflow) -> str:
    """Return the end of a page as text: lists go by the time of the last change, and subject."""
    return f"{last.changed.isoformat()}~{last.record.subject}"


def read_cursor(text: str) -> StoredWorkflow | None:
    """Return the end of a page, as far as a backend looks at it; None for any other text."""
    time, _, subject = text.partition("~")
    try:
        changed = datetime.fromisoformat(time)
    except ValueError:
        return None
    if changed.tzinfo is None or not subject or not subject.isprintable():
        return None
    record = Record(
        subject=subject, handler="", version="", revision=0, status="active", init="", consumed=""
    )
    return StoredWorkflow(record=record, began=changed, changed=changed)
