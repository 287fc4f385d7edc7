"""Differences: where two pieces of JSON differ, leaf by leaf."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, zip_longest
from typing import Any, Final

from arvo.core.events.event import Event
from arvo.core.violations.issue import Issue, below, short

# More than a person reads of one turn.
DIFFERENCES_MAX: Final = 100
_NOTHING: Final = object()


def differences(path: str, then: Any, now: Any) -> tuple[Issue, ...]:
    """Say where *now* differs from *then*, which was expected; () where it does not.

    >>> [str(issue) for issue in differences("data", {"a": 1, "b": [2]}, {"a": 1, "b": [3]})]
    ['data.b[0]: expected 2, got 3']
    """
    return tuple(islice(_differences(path, then, now), DIFFERENCES_MAX))


def event_differences(then: Sequence[Event[Any]], now: Sequence[Event[Any]]) -> tuple[Issue, ...]:
    """Say where the events of a turn differ, in order."""
    issues: list[Issue] = []
    for position, (before, after) in enumerate(zip_longest(then, now)):
        path = f"events[{position}]"
        if before is None or after is None:
            issues.append(Issue(path, _said(before), _said(after)))
        elif before.type != after.type:
            # Nothing below is of interest then.
            issues.append(Issue(path, _said(before), _said(after)))
        else:
            issues += _differences(path, before.to_dict(), after.to_dict())
    return tuple(issues[:DIFFERENCES_MAX])


def _differences(path: str, then: Any, now: Any) -> Iterator[Issue]:
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys((*then, *now)):
            one, other = then.get(key, _NOTHING), now.get(key, _NOTHING)
            yield from _differences(below(path, key), one, other)
    elif isinstance(then, list | tuple) and isinstance(now, list | tuple):
        for position, (one, other) in enumerate(zip_longest(then, now, fillvalue=_NOTHING)):
            yield from _differences(below(path, position), one, other)
    elif type(then) is not type(now) or then != now:
        yield Issue(path, _shown(then), _shown(now))


def _shown(value: Any) -> str:
    return "nothing" if value is _NOTHING else short(value)


def _said(event: Event[Any] | None) -> str:
    return "no event" if event is None else f"{event.type} {short(event.raw)}"
