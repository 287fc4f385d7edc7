"""Acts: the forms by which a person acts on a schedule, and the signals that they send."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias, get_args

import orjson
from attrs import evolve

from arvo.console.views.acts import REASON, ActView, FormField
from arvo.console.views.links import Links
from arvo.console.views.workflows import name_of
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, Issues, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.handlers.schedule.plan import PLAN, ScheduleState
from arvo.handlers.schedule.signals import (
    BackfillSchedule,
    DeleteSchedule,
    PauseSchedule,
    ResumeSchedule,
    ScheduleSignal,
    TriggerSchedule,
    UpdateSchedule,
)

ScheduleVerb: TypeAlias = Literal["pause", "resume", "trigger", "backfill", "update", "delete"]
SCHEDULE_VERBS: Final[tuple[ScheduleVerb, ...]] = get_args(ScheduleVerb)
_TEXTS: Final[Mapping[ScheduleVerb, tuple[str, ...]]] = {
    "pause": ("Nothing begins until it is resumed, but by a trigger.", "Its runs go on."),
    "resume": ("It goes on with the next occurrence.", "Those of the pause are left out."),
    "trigger": ("A run begins now.", "The overlap policy of the schedule holds."),
    "backfill": (
        "The past occurrences of a range begin, one after the other.",
        "Those with a run begin no second one.",
        "A date, or a time such as 2026-01-01T09:00; without an offset in UTC.",
    ),
    "update": (
        "Another plan holds for the occurrences from now on.",
        "Counts, pause and runs stay. The code replaces it when it declares another plan.",
        "The payload is not shown, and stays as it is; a plan with a payload replaces it.",
    ),
    "delete": ("It ends, and begins nothing more.", "Its runs go on; cancel it to cancel them."),
}
_TIMES: Final = (
    FormField(name="start", label="After"),
    FormField(name="end", label="Up to"),
)


def show_schedule_act(
    verb: ScheduleVerb, state: ScheduleState, record: Record, links: Links, command: str
) -> ActView:
    """Return the form of an act on a schedule."""
    text, *effects = _TEXTS[verb]
    name = name_of(record.subject)
    extra = {"backfill": _TIMES, "update": (_plan_field(state),)}.get(verb, ())
    place = f"package.module:system {name}"
    shell = {
        "backfill": f"schedules backfill {place} START END",
        "update": f"signal {place} --type arvo.schedule.update --data …",
    }.get(verb, f"schedules {verb} {place}")
    return ActView(
        title=f"{verb.capitalize()} {name}",
        text=text,
        effects=tuple(effects),
        fields=(*extra, REASON),
        button=f"{verb.capitalize()} the schedule",
        is_danger=verb == "delete",
        action=links.act(verb, record.subject),
        back=links.workflow(record.subject),
        command=f'{command} {shell} --reason "…"',
    )


def _plan_field(state: ScheduleState) -> FormField:
    written: Any = PLAN.write(evolve(state.plan, payload=None))
    shown = {key: it for key, it in written.items() if key != "payload"}
    text = orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode()
    return FormField(name="plan", label="Plan as JSON", kind="json", value=text)


def read_signal(
    verb: ScheduleVerb, form: Mapping[str, str], state: ScheduleState
) -> ScheduleSignal:
    """Return the signal that a form asks for; raises `Violated`, which names the field."""
    match verb:
        case "pause":
            return PauseSchedule(form.get("reason", "").strip())
        case "resume":
            return ResumeSchedule()
        case "trigger":
            return TriggerSchedule()
        case "backfill":
            return BackfillSchedule(_time(form, "start"), _time(form, "end"))
        case "update":
            return _read_update(form.get("plan", ""), state)
        case "delete":
            return DeleteSchedule()


def _time(form: Mapping[str, str], name: str) -> datetime:
    text = form.get(name, "").strip()
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        issue = Issue(name, "a date, or a time such as 2026-01-01T09:00", short_repr(text))
        raise Violated(ConfigViolation("the form is incomplete", issue)) from None
    return at.replace(tzinfo=UTC) if at.utcoffset() is None else at


def _read_update(text: str, state: ScheduleState) -> UpdateSchedule:
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        issue = Issue("plan", "a plan as JSON", str(error))
        raise Violated(ConfigViolation("the plan cannot be read", issue)) from error
    if isinstance(given, dict):
        given = {"payload": state.plan.payload, **given}
    plan = PLAN.read(given, "plan")
    if isinstance(plan, Issues):
        raise Violated(ConfigViolation("the plan cannot be read", plan.items))
    return UpdateSchedule(plan)
