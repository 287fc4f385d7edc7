"""TurnInput: the input of one workflow turn and its outcome, the same for every kind."""

from collections.abc import Container, Sequence
from datetime import datetime
from typing import Any, final

from attrs import define

from arvo.core.command import Command
from arvo.core.events.event import Event
from arvo.core.events.subject import Subject
from arvo.core.payloads.json_data import Json
from arvo.core.record import Record
from arvo.handlers.effect import Performed


@final
@define
class TurnInput:
    """One event for a workflow of one *version*, with the workflow's record.

    *event* is admitted: its data is a payload of the workflow's own contract (the first event), of
    a service (a reply) or of a signal, or a `SystemFault`, a `TimerFired` or a `Cancellation`.
    *record* is None in the first turn. *stored* is the record in the store; it differs from
    *record* only where the first turn failed and the workflow was revived. *performed* holds the
    effects of this turn so far, in order. *stack*: whether a `Fail` carries a stack trace.
    """

    event: Event[Any]
    subject: Subject
    version: str
    record: Record | None
    now: datetime
    stored: Record | None = None
    performed: Sequence[Performed] = ()
    stack: bool = False


@final
@define
class TurnOutcome:
    """The result of a turn: commands, and the workflow's new state and journal.

    *state* and *journal* are None where they do not change (a resumable persists by a command).
    *abandoned_requests*: ids of the requests whose replies the workflow no longer waits for; the
    engine cancels the children that they started. *continued_as_new*: the workflow started again,
    and of its earlier requests it waits only for its children. *ended*: the workflow is done, even
    if no command completes it. *requests*: the ids of the requests that it waits for, of all that
    it sends; None: all.
    """

    commands: tuple[Command, ...]
    state: Json = None
    journal: tuple[Any, ...] | None = None
    abandoned_requests: tuple[str, ...] = ()
    continued_as_new: bool = False
    ended: bool = False
    requests: Container[str] | None = None
