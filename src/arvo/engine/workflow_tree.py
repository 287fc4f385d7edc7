"""Workflow tree: a workflow with its ancestors and descendants."""

from collections.abc import Generator, Iterator, Mapping
from typing import Final, TypeAlias, final

from attrs import frozen

from arvo.core.events.subject import Subject
from arvo.core.record import Record
from arvo.core.violations.issue import one_line
from arvo.core.violations.violation import Violated

# More than a person reads, and each run costs one read of the store.
RUNS_MAX: Final = 10_000
# Generations up, and generations down: a workflow that starts itself forever has no root and no
# leaves.
DEPTH_MAX: Final = 100
LINES_MAX: Final = 1_000


@final
@frozen
class Tree:
    """A run of a workflow and the runs that it started, by their records.

    *record* is None where the store has none: the workflow runs elsewhere, has not started yet, or
    retention has removed it. *children* are in the order in which they were started; *left_out*
    counts the children that the tree has no room for. Iterating yields this run and all runs below
    it, parents first.
    """

    subject: str
    record: Record | None
    children: tuple["Tree", ...] = ()
    left_out: int = 0

    def __iter__(self) -> Iterator["Tree"]:
        yield self
        for child in self.children:
            yield from child

    def draw(self) -> str:
        """Return the tree in plain text: one line for each run, with version, id and status."""
        lines: list[str] = []
        for line in _lines(self, "", ""):
            if len(lines) == LINES_MAX:
                lines.append("… and more")
                break
            lines.append(line)
        return "\n".join(lines)


def tree(records: Mapping[str, Record], subject: str) -> Tree:
    """Return the whole tree that a run belongs to, from its topmost known ancestor.

    *records*: by subject. Every run of a tree leads to the same tree. It has at most RUNS_MAX runs
    and DEPTH_MAX generations.
    """
    loader = tree_loader(subject)
    requested = next(loader)
    while True:
        try:
            requested = loader.send(records.get(requested))
        except StopIteration as stop:
            loaded: Tree = stop.value
            return loaded


# Yields the subject of each record that it needs and receives the record. The caller reads it, so
# that the loader works with synchronous and asynchronous stores.
TreeLoader: TypeAlias = Generator[str, Record | None, Tree]


def tree_loader(subject: str) -> TreeLoader:
    """Build a tree from the records that the caller sends; return the tree at the end."""
    known: dict[str, Record | None] = {}
    # The child on the path up, by parent. It is in the tree even if the parent's record has
    # dropped it.
    path: dict[str, str] = {}
    top = subject
    known[top] = record = yield top
    while record is not None and record.parent is not None and len(path) < DEPTH_MAX:
        parent = record.parent
        record = None if parent in known else (yield parent)
        if record is not None:
            known[parent], path[parent], top = record, top, parent
    below: dict[str, tuple[str, ...]] = {}
    placed, generation = {top}, [top]
    for _ in range(DEPTH_MAX):
        following: list[str] = []
        for run in generation:
            subjects = _child_subjects(known[run], path.get(run))
            fresh = [child for child in subjects if child not in placed]
            room = RUNS_MAX - len(placed)
            below[run] = tuple(
                child for n, child in enumerate(fresh) if n < room or child == path.get(run)
            )
            for child in below[run]:
                placed.add(child)
                if child not in known:
                    known[child] = yield child
            following += below[run]
        generation = following
    return _build(top, known, path, below)


def _child_subjects(record: Record | None, on_path: str | None) -> dict[str, None]:
    """Return the children of a record in order, as keys, and the one on the path up."""
    children = () if record is None else record.children.values()
    listed = dict.fromkeys(child.subject for child in children)
    return listed if on_path is None else {**listed, on_path: None}


def _build(
    subject: str,
    known: Mapping[str, Record | None],
    path: Mapping[str, str],
    below: Mapping[str, tuple[str, ...]],
) -> Tree:
    children = tuple(_build(child, known, path, below) for child in below.get(subject, ()))
    listed = _child_subjects(known[subject], path.get(subject))
    return Tree(subject, known[subject], children, len(listed) - len(children))


def _lines(node: Tree, first: str, rest: str) -> Iterator[str]:
    yield f"{first}{_describe(node)}"
    last = len(node.children) - 1
    for number, child in enumerate(node.children):
        ends = number == last and not node.left_out
        yield from _lines(
            child, f"{rest}{'└─ ' if ends else '├─ '}", f"{rest}{'   ' if ends else '│  '}"
        )
    if node.left_out:
        yield f"{rest}└─ … {node.left_out} more"


def _describe(node: Tree) -> str:
    try:
        subject = Subject.parse(node.subject)
    except Violated:
        return one_line(node.subject)
    record, process = node.record, subject.orchestrator
    version = process.version if record is None else one_line(record.version)
    name = f"{one_line(process.name)} {version} {one_line(subject.execution.id)}"
    if record is None:
        return f"{name}: no record here"
    if record.failure is not None:
        return f"{name}: {record.status}: {one_line(record.failure.message)}"
    if record.status != "active":
        return f"{name}: {record.status}"
    pending = f"pending requests: {len(record.open_requests)}, timers: {len(record.timers)}"
    return f"{name}: {record.status}, {pending}"
