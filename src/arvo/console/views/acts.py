"""Acts: the forms by which a person acts on a workflow or a dead letter, and what they lead to."""

from collections.abc import Collection
from typing import Final, Literal, TypeAlias, final

from attrs import frozen

from arvo.console.views.links import Href, Links
from arvo.console.views.workflows import name_of
from arvo.core.record import Record
from arvo.engine.system.handler import is_workflow
from arvo.engine.system.system import System
from arvo.interpreters.ports.messages import DeadLetter

# Of the children and compensations of a workflow, a form names so many.
NAMED_MAX: Final = 10

FieldKind: TypeAlias = Literal["text", "checkbox", "select", "json"]


@final
@frozen(kw_only=True)
class FormField:
    """A field of a form. *is_required*: of a text."""

    name: str
    label: str
    kind: FieldKind = "text"
    value: str = ""
    options: tuple[str, ...] = ()
    is_required: bool = True


# The audit log has it, and who acted.
REASON: Final = FormField(name="reason", label="Reason")


@final
@frozen(kw_only=True)
class ActView:
    """A form: what it does, in *text* and *effects*, and the *command* that does the same.

    *problem*: why it could not be done the last time. *back*: the page to return to.
    """

    title: str
    text: str
    effects: tuple[str, ...]
    fields: tuple[FormField, ...]
    button: str
    is_danger: bool
    action: Href
    back: Href
    command: str
    problem: str = ""


@final
@frozen
class Action:
    """A link to a form."""

    label: str
    href: Href
    is_danger: bool = False


def show_actions(
    system: System, record: Record, verbs: Collection[str], links: Links
) -> tuple[Action, ...]:
    """Return what a user with these *verbs* can do with a workflow in its present state."""
    if not is_workflow(system.handler_at(record.handler)):
        return ()
    actions = []
    if record.status == "active":
        if "send" in verbs and signal_types(system, record):
            actions.append(Action("Send signal", links.act("signal", record.subject)))
        if "migrate" in verbs and other_versions(system, record):
            actions.append(Action("Migrate", links.act("migrate", record.subject)))
        if "cancel" in verbs:
            actions.append(Action("Cancel", links.act("cancel", record.subject), is_danger=True))
    if record.status == "failed" and "revive" in verbs:
        actions.append(Action("Revive", links.act("revive", record.subject)))
    if "fork" in verbs and record.init:
        actions.append(Action("Fork", links.act("fork", record.subject)))
    return tuple(actions)


def signal_types(system: System, record: Record) -> tuple[str, ...]:
    """Return the types of the signals that a workflow takes."""
    handler = system.handler_at(record.handler)
    if not is_workflow(handler):
        return ()
    return tuple(dict.fromkeys(it.type for it in handler.signals_of(record.version)))


def other_versions(system: System, record: Record) -> tuple[str, ...]:
    """Return the versions that a workflow could be moved to."""
    handler = system.handler_at(record.handler)
    if not is_workflow(handler):
        return ()
    return tuple(version for version in handler.versions if version != record.version)


def show_cancel(record: Record, links: Links, command: str) -> ActView:
    """Return the form that cancels a workflow."""
    children = [name_of(child.subject) for child in record.children.values()]
    sent = [str(it["type"]) for it in record.compensations]
    effects = [
        f"{len(children)} of its children will be cancelled: {_named(children)}."
        if children
        else "It has no children.",
        f"{len(sent)} compensations will be sent: {_named(sent)}."
        if sent
        else "It has recorded no compensation.",
    ]
    if record.parent is not None:
        effects.append("Its parent is sent a system error with the name Cancelled.")
    return ActView(
        title=f"Cancel {name_of(record.subject)}",
        text="It takes a last turn and waits no more. This cannot be taken back.",
        effects=tuple(effects),
        fields=(REASON,),
        button="Cancel the workflow",
        is_danger=True,
        action=links.act("cancel", record.subject),
        back=links.workflow(record.subject),
        command=f'{command} cancel package.module:system {_quoted(record)} --reason "…"',
    )


def show_revive(record: Record, links: Links, command: str) -> ActView:
    """Return the form that revives a failed workflow."""
    failure = record.failure
    return ActView(
        title=f"Revive {name_of(record.subject)}",
        text="It continues from its last good record, and takes the event on which it failed anew.",
        effects=(
            "Its timers are set again; one that was due meanwhile fires at once.",
            "Events that came after the failure are dead letters: redrive them afterwards.",
            *(() if failure is None else (f"It failed with {failure.name}: {failure.message}",)),
        ),
        fields=(
            FormField(
                name="after_compensation",
                label="Revive it although its failure may have sent compensations",
                kind="checkbox",
            ),
            REASON,
        ),
        button="Revive the workflow",
        is_danger=False,
        action=links.act("revive", record.subject),
        back=links.workflow(record.subject),
        command=f"{command} revive package.module:system {_quoted(record)}",
    )


def show_migrate(system: System, record: Record, links: Links) -> ActView:
    """Return the form that moves a workflow to another version."""
    return ActView(
        title=f"Migrate {name_of(record.subject)}",
        text=f"It moves from version {record.version} to another one, between two turns.",
        effects=("Its state must fit the other version; otherwise nothing changes.",),
        fields=(
            FormField(
                name="to", label="Version", kind="select", options=other_versions(system, record)
            ),
            REASON,
        ),
        button="Migrate the workflow",
        is_danger=False,
        action=links.act("migrate", record.subject),
        back=links.workflow(record.subject),
        command=f"client.migrate({record.subject[:12]!r}…, to=…, reason=…)  # in Python",
    )


def show_fork(record: Record, links: Links, command: str, at: int | None) -> ActView:
    """Return the form that begins a new workflow from revision *at* of another one."""
    revision = last_active_revision(record) if at is None else at
    first = {
        "active": "This workflow goes on as well: cancel it if the new one takes its place.",
        "done": "If the new one fails, it compensates what was done before this revision.",
    }
    compensated = "What was done before this revision is compensated by this workflow alone."
    return ActView(
        title=f"Fork {name_of(record.subject)}",
        text="A new workflow begins with the state of a revision. This one does not change.",
        effects=(
            "Open requests are sent again, and open children begin anew: for the new one.",
            "Its timers keep their times; one that was due meanwhile fires at once.",
            "Signals and replies that came after the revision are not repeated.",
            *((first[record.status],) if record.status in first else ()),
            *((compensated,) if record.status != "done" else ()),
            "It has no parent, and answers no caller.",
        ),
        fields=(
            FormField(name="at", label="Revision", value=str(revision)),
            FormField(
                name="id",
                label="Workflow id of the new one (generated if empty)",
                is_required=False,
            ),
            FormField(
                name="after_compensation",
                label="Fork it although compensations were sent since",
                kind="checkbox",
            ),
            REASON,
        ),
        button="Begin the new workflow",
        is_danger=False,
        action=links.act("fork", record.subject, at=at),
        back=links.workflow(record.subject),
        command=(
            f'{command} fork package.module:system {_quoted(record)} --at {revision} --reason "…"'
        ),
    )


def last_active_revision(record: Record) -> int:
    """Return the last revision at which a workflow was active."""
    ended = record.status != "active"
    return max(1, record.revision - record.late_replies - (1 if ended else 0))


def show_signal(system: System, record: Record, links: Links, command: str) -> ActView:
    """Return the form that sends a signal to a workflow."""
    return ActView(
        title=f"Send a signal to {name_of(record.subject)}",
        text="The workflow takes it as an event, in the order in which it arrives.",
        effects=(),
        fields=(
            FormField(
                name="type", label="Signal", kind="select", options=signal_types(system, record)
            ),
            FormField(name="data", label="Payload as JSON", kind="json", value="{}"),
            REASON,
        ),
        button="Send the signal",
        is_danger=False,
        action=links.act("signal", record.subject),
        back=links.workflow(record.subject),
        command=(
            f"{command} signal package.module:system {_quoted(record)} --type … --data '{{}}'"
        ),
    )


def show_dead_letter_act(
    dead_letter: DeadLetter, verb: Literal["retry", "drop"], links: Links, command: str
) -> ActView:
    """Return the form that redrives or drops a dead letter."""
    is_drop = verb == "drop"
    return ActView(
        title=f"{'Drop' if is_drop else 'Redrive'} the dead letter",
        text=(
            "Its event is deleted and is not delivered again. This cannot be taken back."
            if is_drop
            else "Its event is sent again, and the dead letter is deleted."
        ),
        effects=(f"The event is {dead_letter.event.type}, id {dead_letter.event.id}.",),
        fields=(REASON,),
        button="Drop it" if is_drop else "Redrive it",
        is_danger=is_drop,
        action=links.to("act-dead-letter", id=dead_letter.id, verb=verb),
        back=links.to("dead-letter", id=dead_letter.id),
        command=f"{command} dead-letters {'delete' if is_drop else 'redrive'} {dead_letter.id}",
    )


def _named(names: Collection[str]) -> str:
    shown = ", ".join(list(names)[:NAMED_MAX])
    return f"{shown} and more" if len(names) > NAMED_MAX else shown


def _quoted(record: Record) -> str:
    name = name_of(record.subject)
    return f"'{record.subject}'" if name.startswith("…") else f"'{name}'"
