"""Overview: how many workflows and messages there are, and which need a person."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, final

from attrs import frozen

from arvo.console.views.links import Links
from arvo.interpreters.ports.messages import DeadLetter
from arvo.interpreters.ports.results import PAGE_MAX, Depth, StoredWorkflow

# How long an active workflow may be quiet before a person should look at it.
QUIET: Final = timedelta(hours=1)
FAILED_SINCE: Final = timedelta(hours=24)


@final
@frozen
class Count:
    """A number of workflows or dead letters, with the page that lists them.

    *text* ends in a plus where there are more than were counted; None where it is not known.
    """

    label: str
    text: str | None
    href: str
    needs_a_person: bool


@final
@frozen(kw_only=True)
class OverviewView:
    """The numbers of the first page. *is_empty*: nothing has run yet."""

    counts: tuple[Count, ...]
    depth: Depth
    can_list: bool
    is_empty: bool

    @property
    def needs(self) -> tuple[Count, ...]:
        """The counts that need a person, and are not zero."""
        return tuple(it for it in self.counts if it.needs_a_person and it.text not in (None, "0"))


@final
@frozen(kw_only=True)
class Listed:
    """One page each of what the overview counts. *has_any*: also of ended ones."""

    has_any: bool
    active: Sequence[StoredWorkflow]
    failed: Sequence[StoredWorkflow]
    quiet: Sequence[StoredWorkflow]


def show_overview(
    listed: Listed | None,
    dead_letters: Sequence[DeadLetter],
    depth: Depth,
    *,
    workers: int | None,
    links: Links,
    now: datetime,
) -> OverviewView:
    """Return the first page. *listed*: None where the backend cannot list workflows.

    *workers*: how many are live, None where the backend does not list them.
    """
    failed = (
        None if listed is None else [it for it in listed.failed if it.changed > now - FAILED_SINCE]
    )
    counts = (
        _count("active", listed and listed.active, links.to("workflows", status="active")),
        _count(
            "failed in 24 h", failed, links.to("workflows", status="failed"), needs_a_person=True
        ),
        _count(
            "quiet for an hour",
            listed and listed.quiet,
            links.to("workflows", status="active", quiet="1h"),
            needs_a_person=True,
        ),
        _count("dead letters", dead_letters, links.to("dead-letters"), needs_a_person=True),
        Count(
            "live workers",
            None if workers is None else str(workers),
            links.to("workers"),
            needs_a_person=False,
        ),
    )
    is_empty = listed is not None and not (listed.has_any or dead_letters) and not depth.total
    return OverviewView(counts=counts, depth=depth, can_list=listed is not None, is_empty=is_empty)


def _count(
    label: str,
    items: Sequence[object] | None,
    href: str,
    *,
    needs_a_person: bool = False,
) -> Count:
    text = None if items is None else str(len(items)) + ("+" if len(items) >= PAGE_MAX else "")
    return Count(label, text, href, needs_a_person)
