"""Moment: what a workflow is told in one turn, whatever its kind, and what it comes to."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, final

from attrs import frozen

from arvo.core.command import Command
from arvo.core.events.event import Event
from arvo.core.events.subject import Subject
from arvo.core.payloads.json import Json
from arvo.core.record import Record
from arvo.handlers.effect import Performed


@final
@frozen(kw_only=True)
class TurnInput:
    """One event for a workflow of one *version*, and what is remembered of it.

    *event* is admitted: its data is a payload of the workflow's own contract (the first event), of
    a service (a reply), of a signal, or a `SystemFault`, a `TimerFired`, a `Cancellation`. *record*
    is None in the first turn; *standing* what the store holds all the same, where the first turn
    failed and the workflow was revived. *performed* are the effects of this turn so far. *stack*:
    whether a `Fail` tells where it came from.
    """

    event: Event[Any]
    subject: Subject
    version: str
    record: Record | None
    standing: Record | None = None
    now: datetime
    performed: Sequence[Performed] = ()
    stack: bool = False


@final
@frozen(kw_only=True)
class TurnOutcome:
    """What a turn comes to: commands, and what the workflow remembers.

    *state* and *journal*: None where they stay as they were (a resumable persists by a command).
    *abandoned*: ids of the events whose replies nobody waits for any more; children that they began
    are cancelled. *anew*: the workflow began anew, and of what it asked before it waits for nothing
    but its children. *ended*: the workflow is done, even if no command completes it.
    """

    commands: tuple[Command, ...]
    state: Json = None
    journal: tuple[Any, ...] | None = None
    abandoned: tuple[str, ...] = ()
    anew: bool = False
    ended: bool = False
