"""Shell: what stands around every page: the backend, the user, the links to the other pages."""

from collections.abc import Collection, Mapping
from typing import Final, final

from attrs import frozen

from arvo.console.views.links import Href, Links

SECTIONS: Final[tuple[tuple[str, str], ...]] = (
    ("", "Overview"),
    ("workflows", "Workflows"),
    ("dead-letters", "Dead letters"),
    ("timers", "Timers"),
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
    "retry": "The dead letter was redriven.",
    "drop": "The dead letter was dropped.",
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
    """The frame of a page. *address*: its own. *verbs*: what the user may do."""

    backend: str
    label: str
    user: str
    items: tuple[Item, ...]
    crumbs: tuple[Item, ...]
    done: str
    token: str
    verbs: frozenset[str]
    address: Href


def show_sections(links: Links, section: str) -> tuple[Item, ...]:
    """Return the links to the pages, that of *section* as the current one."""
    return tuple(Item(label, links.to(name), name == section) for name, label in SECTIONS)


def show_crumbs(
    links: Links, section: str, names: Collection[tuple[str, Href]]
) -> tuple[Item, ...]:
    """Return the way to a page below *section*: that section, and the pages *names*."""
    label = dict(SECTIONS).get(section)
    if label is None or not names:
        return ()
    return (Item(label, links.to(section)), *(Item(text, href) for text, href in names))
