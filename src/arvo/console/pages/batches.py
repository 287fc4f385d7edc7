"""Batches: a person acts on many workflows or dead letters: first a dry run, then a job."""

from collections.abc import Awaitable, Callable
from typing import cast

from attrs import evolve
from starlette.responses import RedirectResponse, Response

from arvo.console.jobs.act import (
    SELECTED_MAX,
    STATUS_OF,
    Act,
    DeadLetterAct,
    DeadLetterVerb,
    WorkflowAct,
    WorkflowVerb,
)
from arvo.console.jobs.job import Job
from arvo.console.jobs.runner import RUNNING_MAX, make_job_id
from arvo.console.requests.access import Reader
from arvo.console.requests.visit import Page, Refused, Visit
from arvo.console.views.batches.bar import versions_of
from arvo.console.views.batches.job import Named, ids_to_name, show_job, show_row
from arvo.console.views.batches.target import command_of, target_of
from arvo.console.views.data import Block
from arvo.console.views.dead_letters import Selection
from arvo.console.views.filters import read_filters
from arvo.console.views.state import meet_record
from arvo.console.views.workflows import name_of
from arvo.core.record import Record
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.ports.messages import DeadLetter
from arvo.interpreters.runtime.client import Client
from arvo.interpreters.runtime.connection import check_act
from arvo.interpreters.runtime.lookup import is_subject


async def workflow_batch(client: Client, visit: Visit) -> Response:
    """Begin the dry run of an act on many workflows, and lead to its page."""
    pairs = await visit.form_pairs()
    form = dict(pairs)
    verb = form.get("verb", "")
    if verb not in STATUS_OF:
        raise Refused(404, "There is no such action", "Expected cancel, revive or migrate.")
    verb = cast("WorkflowVerb", verb)
    await visit.require(verb)
    filters = read_filters((name, value) for name, value in pairs if name not in ("after", "verb"))
    if filters.issues:
        # Without one of its filters it would act on more than its user means.
        raise Refused(422, "A filter cannot be read", "; ".join(map(str, filters.issues)))
    if filters.status not in (None, STATUS_OF[verb]):
        text = f"{verb} is for workflows that are {STATUS_OF[verb]}, not {filters.status}."
        raise Refused(422, "Nothing to act on", text)
    to = form.get("to", "")
    if verb == "migrate" and to not in versions_of(client.system, None):
        raise Refused(422, "There is no such version", f"No workflow here has a version {to!r}.")
    act = WorkflowAct(
        verb=verb,
        filters=evolve(filters, status=None, after=None),
        at=visit.now,
        selected=_selected(pairs, "subject"),
        to=to if verb == "migrate" else "",
    )
    return _start(visit, _dry_run(visit, act))


async def dead_letter_batch(client: Client, visit: Visit) -> Response:
    """Begin the dry run of an act on many dead letters, and lead to its page."""
    pairs = await visit.form_pairs()
    form = dict(pairs)
    verb = form.get("verb", "")
    if verb not in ("retry", "drop"):
        raise Refused(404, "There is no such action", "Expected retry or drop.")
    await visit.require(cast("DeadLetterVerb", verb))
    selection = Selection(
        cause=form.get("cause", ""), type=form.get("type", ""), handler=form.get("handler", "")
    )
    act = DeadLetterAct(
        verb=cast("DeadLetterVerb", verb), selection=selection, selected=_selected(pairs, "id")
    )
    # A cause may quote a secret, and the page describes its selection.
    visit.redaction.meet(it.event for it in await client.dead_letters(limit=1, **selection.filters))
    return _start(visit, _dry_run(visit, act))


def _selected(pairs: list[tuple[str, str]], name: str) -> tuple[str, ...] | None:
    """Return the rows that the user selected one by one, None for all that match."""
    form = dict(pairs)
    if form.get("scope") == "all":
        return None
    found = tuple(dict.fromkeys(value for key, value in pairs if key == name and value))
    if not 0 < len(found) <= SELECTED_MAX:
        text = f"Select 1 to {SELECTED_MAX} rows, or all that match. You selected {len(found)}."
        raise Refused(422, "Nothing is selected" if not found else "Too many are selected", text)
    return found


def _dry_run(visit: Visit, act: Act) -> Job:
    return Job(
        id=make_job_id(),
        act=act,
        is_dry_run=True,
        actor=visit.reader.user,
        reason="",
        target=visit.redaction.scrub(target_of(act)),
        command=Block(visit.redaction.scrub(command_of(act))),
        began=visit.now,
    )


def _start(visit: Visit, job: Job) -> Response:
    if visit.jobs.is_full:
        text = f"{RUNNING_MAX} jobs run at a time: wait until one has ended, or stop one."
        raise Refused(429, "Too many jobs", text)
    visit.jobs.start(job, _check(visit, job.act))
    return RedirectResponse(visit.links.to("job", id=job.id), 303)


def _check(visit: Visit, act: Act) -> Callable[[Record | DeadLetter], Awaitable[None]]:
    """Return the check that refuses each one on which the user may not act."""
    client, user, allow = visit.jobs.client, visit.reader.user, visit.reader.allow

    async def check(item: Record | DeadLetter) -> None:
        record = item if isinstance(item, Record) else await _record_of(client, item)
        # Anew for each: the application may withdraw a right meanwhile.
        if not await Reader(user, allow).may(act.verb, record):
            expected = f"one on which you may act by {act.verb}"
            issue = Issue("allow", expected, "one that the console does not let you")
            raise Violated(ConfigViolation("you may not do this", issue))

    return check


async def _record_of(client: Client, dead_letter: DeadLetter) -> Record | None:
    subject = dead_letter.event.subject
    return await client.record(subject) if is_subject(subject) else None


async def job(client: Client, visit: Visit) -> Page:
    """Show a job."""
    await visit.require("see")
    return await _page(client, visit, _find(visit))


async def jobs(client: Client, visit: Visit) -> Page:  # noqa: ARG001 - as every page
    """List the jobs."""
    await visit.require("see")
    rows = tuple(show_row(it, shows_data=visit.redaction.shows_data) for it in visit.jobs.newest)
    return Page(template="jobs.html", title="Jobs", view=rows, section="activity")


async def run_job(client: Client, visit: Visit) -> Page | Response:
    """Carry out the act of a dry run, with a reason; a second time it leads to the same job."""
    form = await visit.form()
    tried = _find(visit)
    await visit.require(tried.act.verb)
    if tried.follower is not None:
        return RedirectResponse(visit.links.to("job", id=tried.follower), 303)
    if not tried.is_dry_run or tried.outcome != "done":
        raise Refused(409, "This is no dry run that has ended", "Begin with a dry run.")
    reason = form.get("reason", "").strip()
    actor = visit.reader.user
    if not reason:
        problem = "reason: expected why you do this, got nothing"
        return await _page(client, visit, tried, problem)
    try:
        check_act({"actor": actor, "reason": reason}, tried.act.verb)
    except Violated as violated:
        return await _page(client, visit, tried, str(violated))
    job = _follow(tried, visit, reason=reason, is_dry_run=False)
    answer = _start(visit, job)
    tried.follower = job.id
    return answer


def _follow(tried: Job, visit: Visit, *, reason: str, is_dry_run: bool) -> Job:
    """Make a job with the act of another one."""
    return Job(
        id=make_job_id(),
        act=tried.act,
        is_dry_run=is_dry_run,
        actor=visit.reader.user,
        reason=reason,
        target=tried.target,
        command=tried.command,
        began=visit.now,
    )


async def try_again(client: Client, visit: Visit) -> Response:  # noqa: ARG001 - as every page
    """Begin another dry run of a job, for those that are left of it."""
    form = await visit.form()
    tried = _find(visit)
    await visit.require(tried.act.verb)
    again = _follow(tried, visit, reason="", is_dry_run=True)
    if isinstance(again.act, WorkflowAct) and form.get("after_compensation") == "yes":
        again.act = evolve(again.act, after_compensation=True)
        again.command = Block(visit.redaction.scrub(command_of(again.act)))
    return _start(visit, again)


async def stop_job(client: Client, visit: Visit) -> Response:  # noqa: ARG001 - as every page
    """Stop a job: acts in progress are completed."""
    await visit.form()
    found = _find(visit)
    await visit.require(found.act.verb)
    if found.is_running:
        found.stop()
    return RedirectResponse(visit.links.to("job", id=found.id), 303)


async def back_to_list(client: Client, visit: Visit) -> Response:  # noqa: ARG001 - as every page
    """Lead from the address that takes the form of a list to the list."""
    return RedirectResponse(visit.links.to(visit.request.url.path.rpartition("/")[2]), 303)


async def back_to_job(client: Client, visit: Visit) -> Response:  # noqa: ARG001 - as every page
    """Lead from an address that takes a form of a job to the job."""
    id_ = visit.request.query_params.get("id", "")
    return RedirectResponse(visit.links.to("job", id=id_), 303)


def _find(visit: Visit) -> Job:
    found = visit.jobs.find(visit.request.query_params.get("id", ""))
    if found is None:
        text = (
            "A job is in the memory of the process that serves the console, which may have been "
            "started again since. Each act of it is on the page of activity."
        )
        raise Refused(404, "There is no such job", text)
    return found


async def _page(client: Client, visit: Visit, job: Job, problem: str = "") -> Page:
    names = {id_: it for id_ in ids_to_name(job) if (it := await _name(client, visit, job, id_))}
    may_act = await visit.reader.may(job.act.verb)
    view = show_job(job, names, visit.redaction, may_act=may_act)
    return Page(
        template="job.html",
        title=view.row.title,
        view=view,
        status=422 if problem else 200,
        section="activity",
        crumbs=[("Jobs", visit.links.to("jobs"))],
        more={"refused": problem, "refresh_seconds": 2 if job.is_running else None},
    )


async def _name(client: Client, visit: Visit, job: Job, id_: str) -> Named | None:
    """Return a workflow or dead letter of a job as the page names it; None if it may not."""
    if isinstance(job.act, WorkflowAct):
        record, event = await client.record(id_), None
    else:
        found = await client.backend.find_dead_letter(id_) if id_.isprintable() else None
        if found is None:
            return None
        record, event = await _record_of(client, found), found.event
    if not await visit.reader.may("see", record):
        return None
    shows_data = await visit.reader.may("see_data", record)
    if record is not None:
        meet_record(client.system, record, visit.redaction)
    if event is not None:
        visit.redaction.meet((event,))
        name = f"{event.type} of {name_of(event.subject)}"
        return Named(name, visit.links.to("dead-letter", id=id_), shows_data)
    if record is None:
        return None
    return Named(name_of(id_), visit.links.workflow(id_), shows_data)
