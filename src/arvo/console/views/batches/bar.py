"""Bar: the buttons below a list that act on the selected rows, or on all that match."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, final

from attrs import frozen

from arvo.console.jobs.act import STATUS_OF
from arvo.console.views.dead_letters import Selection
from arvo.console.views.filters import Filters
from arvo.console.views.links import Href, Links
from arvo.engine.system.handler import is_workflow
from arvo.engine.system.system import System

# The words for the verbs on buttons and in titles.
LABELS: Final[Mapping[str, str]] = {
    "cancel": "Cancel",
    "revive": "Revive",
    "migrate": "Migrate",
    "retry": "Redrive",
    "drop": "Drop",
}


@final
@frozen(kw_only=True)
class BarView:
    """The form of a list: it acts on the selected rows, or on *every* row that matches.

    *verbs*: pairs of a verb and its label. *hidden*: the filters, as fields of the form.
    *versions*: those that a workflow can be migrated to.
    """

    action: Href
    verbs: tuple[tuple[str, str], ...]
    hidden: tuple[tuple[str, str], ...]
    every: str
    versions: tuple[str, ...] = ()


def show_workflow_bar(
    system: System, filters: Filters, verbs: Collection[str], links: Links
) -> BarView | None:
    """Return the form below a list of workflows; None if its user can do nothing with them."""
    versions = versions_of(system, filters.type)
    possible = [
        verb
        for verb, status in STATUS_OF.items()
        if verb in verbs and filters.status in (None, status) and (verb != "migrate" or versions)
    ]
    hidden = [
        (name, one)
        for name, value in filters.query.items()
        for one in (value if isinstance(value, tuple) else (value,))
        if one
    ]
    return _bar(
        possible,
        links.to("batches/workflows"),
        hidden,
        "every workflow" if filters.is_empty else "all workflows that match the filters",
        versions if "migrate" in possible else (),
    )


def show_dead_letter_bar(
    selection: Selection, number: int | None, verbs: Collection[str], links: Links
) -> BarView | None:
    """Return the form below a list of dead letters; None if its user can do nothing with them.

    *number*: how many the selection has, if it is a group that was counted.
    """
    count = "" if number is None else f"{number} "
    return _bar(
        [verb for verb in ("retry", "drop") if verb in verbs],
        links.to("batches/dead-letters"),
        [(name, value) for name, value in selection.query.items() if value],
        "every dead letter" if selection.is_empty else f"all {count}dead letters of the group",
    )


def _bar(
    verbs: Sequence[str],
    action: Href,
    hidden: list[tuple[str, str]],
    every: str,
    versions: tuple[str, ...] = (),
) -> BarView | None:
    if not verbs:
        return None
    return BarView(
        action=action,
        verbs=tuple((verb, LABELS[verb]) for verb in verbs),
        hidden=tuple(hidden),
        every=every,
        versions=versions,
    )


def versions_of(system: System, type_: str | None) -> tuple[str, ...]:
    """Return the versions of the workflow with a type, or of all workflows, the newest first."""
    versions = {
        version
        for handler in system.handlers
        if is_workflow(handler) and type_ in (None, handler.source)
        for version in handler.versions
    }
    return tuple(sorted(versions, reverse=True))
