"""Shell: what stands around every page: the backend, the user, the links to the other pages."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Final, final

from attrs import frozen

from arvo.console.views.links import Href, Links

SECTIONS: Final[tuple[tuple[str, str], ...]] = (
    ("", "Overview"),
    ("workflows", "Workflows"),
    ("dead-letters", "Dead letters"),
    ("timers", "Timers"),
    ("schedules", "Schedules"),
    ("system", "System"),
    ("send", "Send"),
    ("workers", "Workers"),
    ("activity", "Activity"),
)
# The text of a page after an act, by the name in its address.
DONE: Final[Mapping[str, str]] = {
    "cancel": "The cancellation was sent.",
    "revive": "The workflow was revived: its last event is delivered once more.",
    "migrate": "The workflow was migrated.",
    "signal": "The signal was sent.",
    "send": "The event was sent.",
    "pause": "The signal to pause was sent.",
    "resume": "The signal to resume was sent.",
    "trigger": "The signal to begin a run was sent.",
    "backfill": "The signal to begin past occurrences was sent.",
    "update": "The new plan was sent.",
    "delete": "The signal to end the schedule was sent.",
    "retry": "The dead letter was redriven.",
    "edit": "The dead letter was redriven with other data.",
    "drop": "The dead letter was dropped.",
    "skip": "The clock was set ahead: the timer is due.",
    "skip-none": "No workflow waits for a timer that is not due.",
}


@final
@frozen
class Item:
    """A link to a page."""

    label: str
    href: Href
    is_current: bool = False


@final
@frozen(kw_only=True)
class Shell:
    """The frame of a page. *address*: its own. *verbs*: those that the user may do.

    *since*: the id of the last change before it was read, None where it follows none. *ahead*: how
    far the clock is ahead of the host's, in words; None where no page can move it.
    """

    backend: str
    label: str
    user: str
    items: tuple[Item, ...]
    crumbs: tuple[Item, ...]
    done: str
    token: str
    verbs: frozenset[str]
    address: Href
    since: str | None = None
    ahead: str | None = None


def show_sections(
    links: Links, section: str, more: tuple[tuple[str, str], ...] = ()
) -> tuple[Item, ...]:
    """Return the links to the pages, that of *section* as the current one; *more* are the last."""
    return tuple(Item(label, links.to(name), name == section) for name, label in (*SECTIONS, *more))


def show_ahead(ahead: timedelta | None) -> str | None:
    """Return in words how far a clock is ahead; an empty text if it is not.

    >>> show_ahead(timedelta(days=2, seconds=61)), show_ahead(timedelta()), show_ahead(None)
    ('2 days, 0:01:01', '', None)
    """
    if ahead is None:
        return None
    return str(timedelta(seconds=round(ahead.total_seconds()))) if ahead else ""


def show_crumbs(
    links: Links, section: str, names: Collection[tuple[str, Href]]
) -> tuple[Item, ...]:
    """Return the way to a page below *section*: that section, and the pages *names*."""
    label = dict(SECTIONS).get(section)
    if label is None or not names:
        return ()
    return (Item(label, links.to(section)), *(Item(text, href) for text, href in names))
