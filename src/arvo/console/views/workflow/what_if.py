"""What if: a turn that was taken again, beside the recorded one."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, final

from attrs import frozen

from arvo.console.views.secrets import Redaction
from arvo.console.views.state import show_state
from arvo.console.views.workflow.travel import DifferenceRow, Moment
from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.events.json_text import parse_json
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, Issues, short_repr
from arvo.core.violations.violation import Violated, Violation
from arvo.engine.history.diff import differences
from arvo.engine.history.replay_turn import NotReplayable
from arvo.engine.system.outcomes import without_outcomes
from arvo.engine.system.system import System

_MISSING: Final = object()


@final
@frozen(kw_only=True)
class WhatIf:
    """The result of the turn now, and where it differs from the recorded one.

    *refusal*: why there is no turn now, "" if there is one; *issues*: which fields do not fit.
    *status*, *failure*: then and now. *state*, *timers*, *sent*: the differences.
    """

    refusal: str = ""
    issues: tuple[Issue, ...] = ()
    status: tuple[str, str] = ("", "")
    failure: tuple[str, str] = ("", "")
    state: tuple[DifferenceRow, ...] = ()
    timers: tuple[DifferenceRow, ...] = ()
    sent: tuple[DifferenceRow, ...] = ()

    @property
    def is_same(self) -> bool:
        """Whether the turn has the same result."""
        changes = (*self.state, *self.timers, *self.sent)
        pairs = (self.status, self.failure)
        return not (self.refusal or changes or any(then != now for then, now in pairs))


def event_text(event: Event[Any], redaction: Redaction) -> str:
    """Return the data of an event as JSON text to edit, without secrets."""
    # In ASCII, so that each character comes back as it was.
    return json.dumps(_shown(event, redaction), indent=2)


def edit_event(event: Event[Any], text: str, redaction: Redaction) -> Event[Any] | Issues:
    """Return *event* with the data in *text*; a value as it was shown is the value that it had."""
    content = parse_json(text, "data")
    if isinstance(content, Issues):
        return content
    if not isinstance(content, Mapping):
        return Issues.one("data", "a JSON object", short_repr(content))
    data = _restore(content, _shown(event, redaction), event.raw)
    try:
        return Event.from_dict({**event.to_dict(), "data": data})
    except Violated as violated:
        return Issues(violated.violation.issues)


def show_what_if(
    system: System,
    moment: Moment,
    result: Commit | Violation | NotReplayable,
    redaction: Redaction,
) -> WhatIf:
    """Compare the result of a turn with the recorded one."""
    if isinstance(result, NotReplayable):
        return WhatIf(refusal=result.reason)
    if not isinstance(result, Commit):
        issues = redaction.issues(result.issues, None)
        message = result.message
        if moment.event is not None:
            message = redaction.message(message, moment.event.type)
        return WhatIf(refusal=message, issues=issues)
    record, then = result.record, moment.record
    redaction.meet((*moment.produced, *result.events))
    if record is None:
        return WhatIf(refusal=f"it changes nothing: {result.note}")
    return WhatIf(
        status=("unknown" if then is None else then.status, record.status),
        failure=("" if then is None else redaction.failure(then), redaction.failure(record)),
        state=_rows("state", _state(system, then, redaction), _state(system, record, redaction)),
        timers=_rows("timers", _timers(then), _timers(record)),
        sent=_rows(
            "sent",
            _sent(without_outcomes(moment.produced), redaction),
            _sent(without_outcomes(result.events), redaction),
        ),
    )


def _rows(path: str, then: Any, now: Any) -> tuple[DifferenceRow, ...]:
    return tuple(DifferenceRow(it.path, it.expected, it.got) for it in differences(path, then, now))


def _state(system: System, record: Record | None, redaction: Redaction) -> Any:
    return None if record is None else show_state(system, record, redaction).data


def _timers(record: Record | None) -> dict[str, str]:
    return {} if record is None else {name: timer.at for name, timer in record.timers.items()}


def _sent(events: Iterable[Event[Any]], redaction: Redaction) -> list[dict[str, Any]]:
    return [
        {
            "type": event.type,
            "to": event.to,
            "domain": event.domain,
            "data": redaction.event_data(event),
        }
        for event in events
    ]


def _shown(event: Event[Any], redaction: Redaction) -> Any:
    return _scrub(redaction.event_data(event), redaction)


def _scrub(data: Any, redaction: Redaction) -> Any:
    match data:
        case Mapping():
            return {key: _scrub(value, redaction) for key, value in data.items()}
        case list() | tuple():
            return [_scrub(value, redaction) for value in data]
        case str():
            return redaction.scrub(data)
        case _:
            return data


def _restore(edited: Any, shown: Any, original: Any) -> Any:
    """Return edited data with the original values where it is as it was shown."""
    if isinstance(edited, Mapping) and isinstance(shown, Mapping):
        return {
            key: _restore(value, shown.get(key, _MISSING), original.get(key))
            for key, value in edited.items()
        }
    if isinstance(edited, list) and isinstance(shown, list):
        size = len(shown)
        return [
            _restore(value, shown[place], original[place]) if place < size else value
            for place, value in enumerate(edited)
        ]
    return original if type(edited) is type(shown) and edited == shown else edited
