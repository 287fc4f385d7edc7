"""Tree: a workflow, the one that began it, and all that they began."""

from collections.abc import Generator, Iterator, Mapping
from typing import Final, TypeAlias, final

from attrs import frozen

from arvo.core.events.subject import Subject
from arvo.core.record import Record
from arvo.core.violations.issue import one_line
from arvo.core.violations.violation import Violated

# More than a person reads, and each is a look into the store.
RUNS_MAX: Final = 10_000
# How far up and how far down: a workflow that begins itself for ever has no root and no leaves.
DEPTH_MAX: Final = 100
LINES_MAX: Final = 1_000


@final
@frozen
class Tree:
    """A run of a workflow and the runs that it began, as their records tell.

    *record* is None where nothing is remembered here: it runs elsewhere, has not begun yet, or was
    forgotten. *children* are in the order they were begun; *left_out* counts those that are not
    among them because the tree is too large. Iterating gives this run and all below, parents first.
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
        """Draw it in plain text, a line for each run: workflow, version, run, and how it is."""
        lines: list[str] = []
        for line in _drawn(self, "", ""):
            if len(lines) == LINES_MAX:
                lines.append("… and more")
                break
            lines.append(line)
        return "\n".join(lines)


def tree(records: Mapping[str, Record], subject: str) -> Tree:
    """Give the whole tree that a run belongs to, from the highest parent that is known.

    *records* are by subject; any run of a tree leads to the same one. At most RUNS_MAX runs, and
    DEPTH_MAX generations.
    """
    growth = growing(subject)
    wanted = next(growth)
    while True:
        try:
            wanted = growth.send(records.get(wanted))
        except StopIteration as stop:
            grown: Tree = stop.value
            return grown


# Asks for records by their subject, one after the other, so that a store of any kind can answer.
Growing: TypeAlias = Generator[str, Record | None, Tree]


def growing(subject: str) -> Growing:
    """Grow a tree out of records that it asks for; ends with the tree."""
    known: dict[str, Record | None] = {}
    # The way up: it is in the tree, whether or not the parent's record has kept it.
    way: dict[str, str] = {}
    top = subject
    known[top] = record = yield top
    while record is not None and record.parent is not None and len(way) < DEPTH_MAX:
        parent = record.parent
        record = None if parent in known else (yield parent)
        if record is not None:
            known[parent], way[parent], top = record, top, parent
    below: dict[str, tuple[str, ...]] = {}
    placed, generation = {top}, [top]
    for _ in range(DEPTH_MAX):
        following: list[str] = []
        for each in generation:
            fresh = [child for child in _listed(known[each], way.get(each)) if child not in placed]
            room = RUNS_MAX - len(placed)
            below[each] = tuple(
                child for n, child in enumerate(fresh) if n < room or child == way.get(each)
            )
            for child in below[each]:
                placed.add(child)
                if child not in known:
                    known[child] = yield child
            following += below[each]
        generation = following
    return _grown(top, known, way, below)


def _listed(record: Record | None, climbed: str | None) -> dict[str, None]:
    """Name the children of a record in order, and the one that was climbed up from."""
    children = () if record is None else record.children.values()
    listed = dict.fromkeys(child.subject for child in children)
    return listed if climbed is None else {**listed, climbed: None}


def _grown(
    subject: str,
    known: Mapping[str, Record | None],
    way: Mapping[str, str],
    below: Mapping[str, tuple[str, ...]],
) -> Tree:
    children = tuple(_grown(child, known, way, below) for child in below.get(subject, ()))
    listed = _listed(known[subject], way.get(subject))
    return Tree(subject, known[subject], children, len(listed) - len(children))


def _drawn(node: Tree, first: str, rest: str) -> Iterator[str]:
    yield f"{first}{_told(node)}"
    last = len(node.children) - 1
    for number, child in enumerate(node.children):
        ends = number == last and not node.left_out
        yield from _drawn(
            child, f"{rest}{'└─ ' if ends else '├─ '}", f"{rest}{'   ' if ends else '│  '}"
        )
    if node.left_out:
        yield f"{rest}└─ … {node.left_out} more"


def _told(node: Tree) -> str:
    try:
        subject = Subject.parse(node.subject)
    except Violated:
        return one_line(node.subject)
    record, process = node.record, subject.orchestrator
    version = process.version if record is None else record.version
    name = f"{one_line(process.name)} {version} {one_line(subject.execution.id)}"
    if record is None:
        return f"{name}: nothing is remembered here"
    if record.failure is not None:
        return f"{name}: {record.status}: {one_line(record.failure.message)}"
    if record.status != "active":
        return f"{name}: {record.status}"
    waits = f"open requests: {len(record.unanswered)}, timers: {len(record.timers)}"
    return f"{name}: {record.status}, {waits}"
