"""Diff: the differences between two JSON values, leaf by leaf."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, zip_longest
from typing import Any, Final

from arvo.core.events.event import Event
from arvo.core.violations.issue import Issue, join_path, short_repr

# More than a person reads about one turn.
DIFFERENCES_MAX: Final = 100
_NOTHING: Final = object()


def differences(path: str, then: Any, now: Any) -> tuple[Issue, ...]:
    """Return where *now* differs from *then*; () where they are equal.

    An issue has the value of *then* as expected and the value of *now* as got.

    >>> [str(issue) for issue in differences("data", {"a": 1, "b": [2]}, {"a": 1, "b": [3]})]
    ['data.b[0]: expected 2, got 3']
    """
    return tuple(islice(_differences(path, then, now), DIFFERENCES_MAX))


def event_differences(then: Sequence[Event[Any]], now: Sequence[Event[Any]]) -> tuple[Issue, ...]:
    """Return where the events of a turn differ, compared position by position."""
    issues: list[Issue] = []
    for position, (before, after) in enumerate(zip_longest(then, now)):
        path = f"events[{position}]"
        if before is None or after is None:
            issues.append(Issue(path, _describe(before), _describe(after)))
        elif before.type != after.type:
            # The fields of two different event types are not worth comparing.
            issues.append(Issue(path, _describe(before), _describe(after)))
        else:
            issues += _differences(path, before.to_dict(), after.to_dict())
    return tuple(issues[:DIFFERENCES_MAX])


def _differences(path: str, then: Any, now: Any) -> Iterator[Issue]:
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys((*then, *now)):
            left, right = then.get(key, _NOTHING), now.get(key, _NOTHING)
            yield from _differences(join_path(path, key), left, right)
    elif isinstance(then, list | tuple) and isinstance(now, list | tuple):
        for position, (left, right) in enumerate(zip_longest(then, now, fillvalue=_NOTHING)):
            yield from _differences(join_path(path, position), left, right)
    elif type(then) is not type(now) or then != now:
        yield Issue(path, _show(then), _show(now))


def _show(value: Any) -> str:
    return "nothing" if value is _NOTHING else short_repr(value)


def _describe(event: Event[Any] | None) -> str:
    return "no event" if event is None else f"{event.type} {short_repr(event.raw)}"
