"""Replays: whether the turns of a workflow agree with the code that the console has."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, final

from attrs import frozen

from arvo.console.views.secrets import Redaction
from arvo.core.history import HistoryEntry
from arvo.core.violations.issue import Issue
from arvo.engine.history.replay import Replay
from arvo.engine.sequence_diagram import Arrow, draw_sequence

# The turns and the differences that one page lists.
TURNS_SHOWN_MAX: Final = 500
OUTSIDE: Final = "outside"


@final
@frozen(kw_only=True)
class TurnRow:
    """One turn: whether the replay agrees, and where it differs."""

    revision: int
    at: datetime
    event: str
    sent: tuple[str, ...]
    result: str
    reason: str
    differences: tuple[Issue, ...]


@final
@frozen(kw_only=True)
class ReplayView:
    """The result of a replay. *left_out*: the number of turns that agree and are not listed."""

    agrees: bool
    turns: tuple[TurnRow, ...]
    left_out: int
    record_differences: tuple[Issue, ...]


def show_replay(replayed: Replay, redaction: Redaction) -> ReplayView:
    """Return a replay as a page shows it: all turns, or of very many the newest and the differing.

    A turn without its event or its effect is neither: it is unknown.
    """
    turns = replayed.turns
    newest = turns[-TURNS_SHOWN_MAX:]
    older = [turn for turn in turns[: -len(newest) or None] if not turn.agrees]
    shown = [*older[:TURNS_SHOWN_MAX], *newest] if len(turns) > TURNS_SHOWN_MAX else list(turns)
    return ReplayView(
        agrees=replayed.agrees,
        turns=tuple(
            TurnRow(
                revision=turn.revision,
                at=turn.at,
                event=turn.event.type,
                sent=tuple(event.type for event in turn.produced),
                result=(
                    "unknown"
                    if turn.not_replayable is not None
                    else "differs"
                    if turn.differences
                    else "agrees"
                ),
                reason=turn.not_replayable or "",
                differences=redaction.issues(turn.differences, None),
            )
            for turn in shown
        ),
        left_out=len(turns) - len(shown),
        record_differences=redaction.issues(replayed.record_differences, None),
    )


def show_sequence(entries: Sequence[HistoryEntry]) -> str:
    """Draw the events of a workflow as a sequence diagram in plain text, oldest first."""
    arrows = []
    for entry in entries:
        event = entry.event
        if event is None:
            continue
        own = event.to if entry.kind == "consumed" else event.source
        begin, end = event.source or OUTSIDE, event.to or event.domain or OUTSIDE
        if entry.kind == "consumed":
            end = own or OUTSIDE
        arrows.append(Arrow(begin, end, event.type))
    return draw_sequence(arrows)
