"""Change: the difference between a workflow's record before and after a turn, as JSON data."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from arvo.core.events.event import Event
from arvo.core.record import Record, write_fault, write_timer
from arvo.core.replies import Replies
from arvo.core.requests import write_child, write_request

_FIELDS: Final[tuple[str, ...]] = (
    *("version", "revision", "status", "init", "init_digest", "state", "parent", "consumed"),
    *("produced", "late_replies", "revivals", "labels"),
)
# The lists and maps of a record, and the function that writes an entry.
_LISTS: Final[tuple[str, ...]] = ("journal", "compensations", "replies")
_MAPS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "children": write_child,
    "pending_requests": write_request,
    "answered_requests": write_request,
    "timers": write_timer,
}


def record_change(before: Record, after: Record) -> dict[str, Any]:
    """Return the changes of one turn in a record, as JSON data for `apply_changes`.

    *fields*: the new values by name. *lists*: for each list the number of entries that stay, and
    the entries after them. *maps*: for each map the keys that are gone, and the new entries, which
    come last. Its size depends on these changes, not on the size of the record. The lists
    of *after* must be those of *before* with entries appended, or have begun anew.
    """
    fields = {
        name: getattr(after, name)
        for name in _FIELDS
        if getattr(after, name) is not getattr(before, name)
    }
    if after.failure is not before.failure:
        fields["failure"] = write_fault(after.failure)
    lists = {
        name: _list_change(getattr(before, name), getattr(after, name))
        for name in _LISTS
        if getattr(after, name) is not getattr(before, name)
    }
    maps = {
        name: _map_change(getattr(before, name), getattr(after, name), write)
        for name, write in _MAPS.items()
        if getattr(after, name) is not getattr(before, name)
    }
    return {"fields": fields, "lists": lists, "maps": maps}


def _list_change(old: Any, new: Any) -> list[Any]:
    if not isinstance(new, Replies):
        retained, added = _added(old, new)
        return [retained, [*added]]
    followed = new.added_since(old)
    retained, events = _added(old.events, new.events) if followed is None else (len(old), followed)
    return [retained, [*map(Event.to_dict, events)]]


def _added(old: Sequence[Any], new: Sequence[Any]) -> tuple[int, Sequence[Any]]:
    """Return how many entries of a list stay, and those after them."""
    # Entries are appended or all are new, so the first and the last entry answer for all.
    size = len(old)
    is_longer = 0 < size <= len(new) and new[0] is old[0] and new[size - 1] is old[-1]
    retained = size if is_longer else 0
    return retained, new[retained:]


def _map_change(
    old: Mapping[str, Any], new: Mapping[str, Any], write: Callable[[Any], Any]
) -> list[Any]:
    retained = {key: None for key, value in old.items() if new.get(key) is value}
    if [*islice(new, len(retained))] != [*retained]:
        # An entry has another place: all are written again.
        retained = {}
    added = {key: write(value) for key, value in islice(new.items(), len(retained), None)}
    return [[key for key in old if key not in retained], added]


def apply_changes(content: Mapping[str, Any], changes: Iterable[Mapping[str, Any]]) -> Any:
    """Return the content of a record, as `Record.to_dict` does, after *changes*, oldest first."""
    lists = {name: list(content[name]) for name in _LISTS}
    maps = {name: dict(content[name]) for name in _MAPS}
    fields = dict(content)
    for change in changes:
        fields.update(change["fields"])
        for name, (retained, entries) in change["lists"].items():
            del lists[name][retained:]
            lists[name] += entries
        for name, (gone, entries) in change["maps"].items():
            for key in gone:
                del maps[name][key]
            maps[name].update(entries)
    return {**fields, **lists, **maps}
