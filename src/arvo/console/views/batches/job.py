"""Job: the page of an act on many, or of its dry run: its progress and its refusals."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, final

from attrs import evolve, frozen

from arvo.console.jobs.act import WorkflowAct
from arvo.console.jobs.job import Job, Outcome
from arvo.console.views.batches.bar import LABELS
from arvo.console.views.links import Href
from arvo.console.views.secrets import Redaction
from arvo.core.violations.violation import Violation
from arvo.interpreters.runtime.batches import BatchResult

# The reasons that a page lists, the most frequent ones, and the ids that it names for each.
REASONS_SHOWN_MAX: Final = 10
NAMED_MAX: Final = 3

_DONE: Final[Mapping[str, str]] = {
    "cancel": "sent a cancellation",
    "revive": "revived",
    "migrate": "migrated",
    "retry": "redriven",
    "drop": "dropped",
}


@final
@frozen
class Named:
    """A workflow or dead letter that the reader may see. *shows_data*: its values as well."""

    label: str
    href: Href
    shows_data: bool


@final
@frozen(kw_only=True)
class Refusals:
    """The refused ones with one violation: the ids of the first, and their *number*."""

    violation: Violation
    ids: tuple[str, ...]
    number: int


@final
@frozen(kw_only=True)
class ReasonRow:
    """A reason for which some were refused, their *number*, and some of them."""

    text: str
    number: int
    named: tuple[Named, ...]


@final
@frozen(kw_only=True)
class JobRow:
    """A job in a list."""

    id: str
    title: str
    target: str
    actor: str
    outcome: Outcome
    began: datetime
    done: int
    matched: int


@final
@frozen(kw_only=True)
class JobView:
    """A job. *counts*: pairs of a label and a number. *left_out*: the number of the reasons that
    are not listed, *unlisted*: of the refused ones whose reasons were not noted.

    *command*, *reason*: empty where the reader may not see data. *can_run*: whether the reader may
    carry out the act of this dry run. *can_revive_all*: whether a revival may be tried once more,
    also of those whose failure may have sent compensations.
    """

    row: JobRow
    reason: str
    command: str
    ended: datetime | None
    is_stopping: bool
    problem: str
    counts: tuple[tuple[str, int], ...]
    handled: int
    more: bool
    reasons: tuple[ReasonRow, ...]
    left_out: int
    unlisted: int
    samples: tuple[Named, ...]
    follower: str | None
    button: str
    is_danger: bool
    can_stop: bool
    can_run: bool
    can_revive_all: bool
    can_try_again: bool


def group_refusals(result: BatchResult) -> tuple[Refusals, ...]:
    """Group refusals by their violation, the most frequent one first."""
    groups: dict[Violation, list[str]] = {}
    for id_, violation in result.refusals:
        groups.setdefault(violation, []).append(id_)
    sorted_ = sorted(groups.items(), key=lambda it: -len(it[1]))
    return tuple(
        Refusals(violation=violation, ids=tuple(ids[:NAMED_MAX]), number=len(ids))
        for violation, ids in sorted_
    )


def show_row(job: Job, *, shows_data: bool) -> JobRow:
    """Return a job as a row of a list."""
    verb = LABELS[job.act.verb]
    is_plain = shows_data or job.act.selected is not None
    noun = "workflows" if isinstance(job.act, WorkflowAct) else "dead letters"
    return JobRow(
        id=job.id,
        title=f"{verb} {noun}: dry run" if job.is_dry_run else f"{verb} {noun}",
        target=job.target if is_plain else f"{noun} by a filter",
        actor=job.actor or "unknown",
        outcome=job.outcome,
        began=job.began,
        done=job.result.done,
        matched=job.result.matched,
    )


def show_job(
    job: Job, names: Mapping[str, Named], redaction: Redaction, *, may_act: bool
) -> JobView:
    """Return the page of a job. *names*: those that the reader may see; see `ids_to_name`."""
    result, verb = job.result, job.act.verb
    groups = group_refusals(result)
    shown = groups[:REASONS_SHOWN_MAX]
    refused = {id_ for id_, _ in result.refusals}
    is_tried = job.is_dry_run and job.outcome == "done"
    would = "would be " if job.is_dry_run else ""
    return JobView(
        row=show_row(job, shows_data=redaction.shows_data),
        reason=job.reason if redaction.shows_data else "",
        command=job.command if redaction.shows_data else "",
        ended=job.ended,
        is_stopping=job.is_stopping,
        problem=job.problem,
        counts=(
            ("match", result.matched),
            (f"{would}{_DONE[verb]}", result.done),
            ("gone or changed before", result.gone),
            (f"{would}refused", result.refused),
        ),
        handled=result.done + result.gone + result.refused,
        more=result.more,
        reasons=tuple(_reason(it, names, redaction) for it in shown),
        left_out=len(groups) - len(shown),
        unlisted=result.refused - len(result.refusals),
        samples=_named((it for it in job.samples if it not in refused), names),
        follower=job.follower,
        button=f"{LABELS[verb]} {result.done}",
        is_danger=verb in ("cancel", "drop"),
        can_stop=may_act and job.is_running,
        can_run=may_act and is_tried and result.done > 0 and job.follower is None,
        can_revive_all=(
            may_act
            and is_tried
            and isinstance(job.act, WorkflowAct)
            and verb == "revive"
            and not job.act.after_compensation
            and result.refused > 0
        ),
        can_try_again=may_act and not job.is_running and job.outcome != "done",
    )


def ids_to_name(job: Job) -> tuple[str, ...]:
    """Return the ids that the page of a job names."""
    groups = group_refusals(job.result)[:REASONS_SHOWN_MAX]
    refused = (id_ for group in groups for id_ in group.ids)
    return tuple(dict.fromkeys([*job.samples, *refused]))


def _reason(refusals: Refusals, names: Mapping[str, Named], redaction: Redaction) -> ReasonRow:
    named = _named(refusals.ids, names)
    violation = refusals.violation
    if not named:
        text = "you may not see these"
    elif all(it.shows_data for it in named):
        text = str(violation)
    else:
        strict = evolve(redaction, shows_data=False)
        text = str(evolve(violation, issues=strict.issues(violation.issues, None)))
    return ReasonRow(text=text, number=refusals.number, named=named)


def _named(ids: Iterable[str], names: Mapping[str, Named]) -> tuple[Named, ...]:
    return tuple(names[id_] for id_ in ids if id_ in names)
