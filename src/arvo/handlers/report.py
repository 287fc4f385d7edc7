"""Report: what an effect reports while it runs, to those who watch its workflow."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final, TypeAlias

import orjson

from arvo.core.payloads.json_data import to_json_data
from arvo.core.payloads.payload import Payload
from arvo.core.payloads.secrets import hide_secrets
from arvo.core.payloads.types.adapters import is_payload_class
from arvo.core.payloads.types.classes import PayloadError
from arvo.core.violations.issue import Issue, Issues, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated

# The longest report, as JSON. Watchers get many of them: the data itself is a result, or a file.
REPORT_BYTES_MAX: Final = 8 * 1024

# Takes the JSON text of a report; any thread may call it, and it never blocks.
Reporter: TypeAlias = Callable[[bytes], None]

# Where the reports of the effect go that the current task or thread performs.
REPORTER: Final[ContextVar[Reporter | None]] = ContextVar("arvo_reporter", default=None)


def report(value: object) -> None:
    """Report progress from inside of an effect, such as a percentage or a token, to those who watch
    its workflow (`Client.watch`).

    *value*: JSON data, or an instance of a payload class, of at most REPORT_BYTES_MAX bytes; the
    fields that its class marks as `Secret` are hidden. A watcher gets it at most once, as a
    `Report`; it is stored in no history, and lost where none watches. It returns at once. In a
    function that no worker performs it reports to nothing, so a test calls the function as it is.

    Raises `Violated` for a value that is no JSON, or too long.
    """
    content = orjson.dumps(_to_json(value))
    if len(content) > REPORT_BYTES_MAX:
        raise _refusal(Issue("value", f"at most {REPORT_BYTES_MAX} bytes", f"{len(content)} bytes"))
    reporter = REPORTER.get()
    if reporter is not None:
        reporter(content)


def _to_json(value: object) -> Any:
    kind = type(value)
    if not is_payload_class(kind):
        data = to_json_data(value, "value")
        if isinstance(data, Issues):
            raise _refusal(*data.items)
        return data
    try:
        payload: Payload[Any] = Payload.of(kind)
    except PayloadError as error:
        issue = Issue("value", "JSON data or a payload", short_repr(value))
        raise _refusal(issue) from error
    written = payload.write(value, path="value")
    if isinstance(written, Issues):
        raise _refusal(*written.items)
    return hide_secrets(payload.checked_schema, written)


def _refusal(*issues: Issue) -> Violated:
    return Violated(ConfigViolation("an effect cannot report this value", issues))
