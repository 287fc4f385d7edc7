"""Batches: one act on many workflows or dead letters, a bounded number of them at a time."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from typing import Final, TypeAlias, final

from attrs import evolve, frozen

from arvo.core.record import Record, Status
from arvo.core.violations.arguments import check_limit, refusal
from arvo.core.violations.violation import Violated, Violation
from arvo.interpreters.delivery.tasks import gather_all
from arvo.interpreters.ports.messages import DeadLetter
from arvo.interpreters.ports.results import DeadLetterFilters, WorkflowFilters
from arvo.printable import printable

# The most that one call acts on: as many as a store keeps dead letters by default.
BATCH_MAX: Final = 100_000
# Acts in progress at the same time, beside the work of the system.
CONCURRENT_ACTS_MAX: Final = 16
# The first refusals show the fault; the others are only counted.
REFUSALS_MAX: Final = 1_000
REFUSALS_SHOWN_MAX: Final = 20


@final
@frozen(kw_only=True)
class BatchResult:
    """How far an act on many has come, in numbers.

    *matched*: what the filters selected when it began. *done*: acted on; in a dry run, what would
    be. *gone*: no longer there, or in another state: another operator was first. *refused*: what
    raised a violation; *refusals*: their ids, with the violations, of the first REFUSALS_MAX.
    *more*: whether more is selected than the limit allowed.
    """

    matched: int = 0
    done: int = 0
    gone: int = 0
    refused: int = 0
    refusals: tuple[tuple[str, Violation], ...] = ()
    more: bool = False

    def __str__(self) -> str:
        shown = self.refusals[:REFUSALS_SHOWN_MAX]
        more = ", and more beyond the limit" if self.more else ""
        head = f"done: {self.done} of {self.matched}{more}, gone: {self.gone}"
        lines = [
            f"{head}, refused: {self.refused}",
            *(printable(f"{id_}: {violation}") for id_, violation in shown),
        ]
        if self.refused > len(shown):
            lines.append(f"… {self.refused - len(shown)} more")
        return "\n".join(lines)


OnProgress: TypeAlias = Callable[[BatchResult], None]


class BatchOptions(WorkflowFilters, total=False):
    """Which workflows of which *type* an act is for, how, and who acts and why.

    The filters are those of `Client.workflows`; the status is always that of workflows on which the
    act has an effect. *subjects*: these workflows, in place of filters. *check* is awaited with the
    record of each one before it is acted on, also in a dry run, and raises `Violated` to refuse it.
    *dry_run*: change nothing, and count the acts that would be done and refused. *limit*: the most
    to act on. *on_progress* is called after each one.
    """

    type: str | None
    subjects: Collection[str] | None
    check: Callable[[Record], Awaitable[None]] | None
    dry_run: bool
    limit: int
    on_progress: OnProgress | None
    actor: str | None


class DeadLetterBatchOptions(DeadLetterFilters, total=False):
    """Which dead letters an act is for, how, and who acts and why.

    The filters are those of `Client.dead_letters`. *ids*: these dead letters, in place of filters.
    *check* is awaited with each one before it is acted on, also in a dry run, and raises `Violated`
    to refuse it. The others are those of `BatchOptions`.
    """

    ids: Collection[str] | None
    check: Callable[[DeadLetter], Awaitable[None]] | None
    dry_run: bool
    limit: int
    on_progress: OnProgress | None
    actor: str | None
    reason: str


def check_options(verb: str, status: Status, options: BatchOptions) -> None:
    """Refuse options that would select other workflows than the caller means, or act on them."""
    name = f"{verb}_workflows"
    check_names(options, BatchOptions.__optional_keys__, name)
    check_limit(options.get("limit", BATCH_MAX), of=name)
    if (chosen := options.get("status")) not in (None, status):
        raise refusal("status", chosen, f"{status!r}, or none: no others change", name)
    filters = {"type", *WorkflowFilters.__optional_keys__} - {"status"}
    check_chosen("subjects", options.get("subjects"), {it: options.get(it) for it in filters}, name)


def check_names(given: Iterable[str], known: Iterable[str], name: str) -> None:
    """Refuse an argument that is misspelled, as Python itself does: it must not be left out."""
    if unknown := sorted({*given} - {*known}):
        text = f"{name}() got an unexpected keyword argument {unknown[0]!r}"
        raise TypeError(f"{text}; it takes {', '.join(sorted(known))}")


def check_chosen(
    key: str, chosen: Collection[str] | None, filters: Mapping[str, object], name: str
) -> None:
    """Refuse filters beside the ids that a caller has *chosen*: one of the two has no effect."""
    if chosen is not None and (given := sorted(it for it in filters if _selects(filters[it]))):
        raise refusal(given[0], filters[given[0]], f"none beside {key}", name)


def _selects(value: object) -> bool:
    return value is not None and value != {}  # no handler is "", and selects


async def run_batch(
    selected: Iterable[tuple[str, str]],
    act: Callable[[str], Awaitable[bool]],
    *,
    more: bool,
    on_progress: OnProgress | None,
) -> BatchResult:
    """Call *act* with the id of each of *selected*, pairs of an id and a key.

    Those of one key one after the other, in their order; the others together. *act* returns whether
    there was something to act on. After an exception that is no `Violated` nothing more begins.
    """
    by_key: dict[str, list[str]] = {}
    for id_, key in selected:
        by_key.setdefault(key, []).append(id_)
    result = BatchResult(matched=sum(map(len, by_key.values())), more=more)
    waiting = iter(by_key.values())
    failed = False

    async def work(ids: Iterator[list[str]]) -> None:
        nonlocal result, failed
        for id_ in (id_ for same_key in ids for id_ in same_key):
            if failed:
                return
            try:
                is_done = await act(id_)
            except Violated as violated:
                refusals = result.refusals
                if len(refusals) < REFUSALS_MAX:
                    refusals = (*refusals, (id_, violated.violation))
                result = evolve(result, refused=result.refused + 1, refusals=refusals)
            except BaseException:
                failed = True
                raise
            else:
                counted = "done" if is_done else "gone"
                result = evolve(result, **{counted: getattr(result, counted) + 1})
            if on_progress is not None:
                on_progress(result)

    await gather_all(work(waiting) for _ in range(min(CONCURRENT_ACTS_MAX, len(by_key))))
    return result
