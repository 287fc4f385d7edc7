"""Tree: a workflow with its ancestors and descendants, each with its status."""

from collections.abc import Iterator
from typing import Final, final

from attrs import frozen

from arvo.console.views.secrets import Redaction
from arvo.console.views.workflows import name_of, waits_for
from arvo.core.events.subject import Subject
from arvo.core.violations.violation import Violated
from arvo.engine.workflow_tree import Tree

# Of a larger tree the page shows so many runs, and counts the rest.
RUNS_SHOWN_MAX: Final = 1_000


@final
@frozen(kw_only=True)
class TreeRow:
    """A run of a tree, in the order of a reader: parents before their children."""

    depth: int
    subject: str
    name: str
    handler: str
    version: str
    status: str
    detail: str
    is_this: bool


@final
@frozen(kw_only=True)
class TreeView:
    """The tree that a workflow belongs to. *left_out*: the number of runs that are not shown."""

    rows: tuple[TreeRow, ...]
    left_out: int


def show_tree(tree: Tree, subject: str, redaction: Redaction) -> TreeView:
    """Return a tree as a page shows it; *subject* is the workflow of the page."""
    rows: list[TreeRow] = []
    left_out = 0
    for node, depth in _walk(tree, 0):
        left_out += node.left_out
        if len(rows) < RUNS_SHOWN_MAX:
            rows.append(_row(node, depth, subject, redaction))
        else:
            left_out += 1
    return TreeView(rows=tuple(rows), left_out=left_out)


def _walk(tree: Tree, depth: int) -> Iterator[tuple[Tree, int]]:
    yield tree, depth
    for child in tree.children:
        yield from _walk(child, depth + 1)


def _row(node: Tree, depth: int, subject: str, redaction: Redaction) -> TreeRow:
    record = node.record
    if record is None:
        handler, version = _process(node.subject)
        status, detail = "unknown", "no record here: it runs elsewhere, or retention removed it"
    else:
        handler, version = record.handler, record.version
        status, detail = record.status, waits_for(record, redaction)
    return TreeRow(
        depth=depth,
        subject=node.subject,
        name=name_of(node.subject),
        handler=handler,
        version=version,
        status=status,
        detail=detail,
        is_this=node.subject == subject,
    )


def _process(subject: str) -> tuple[str, str]:
    try:
        process = Subject.parse(subject).orchestrator
    except Violated:
        return "–", ""
    return process.name, process.version
