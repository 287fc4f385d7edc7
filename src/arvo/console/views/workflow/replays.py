"""Replays: whether the turns of a workflow agree with the code that the console has."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, final

from attrs import define, evolve, field, frozen

from arvo.console.views.secrets import Redaction
from arvo.core.history import HistoryEntry
from arvo.core.violations.issue import Issue
from arvo.engine.history.replay import ReplayedTurn
from arvo.engine.sequence_diagram import Arrow, draw_sequence

# The turns and the differences that one page lists.
TURNS_SHOWN_MAX: Final = 500
OUTSIDE: Final = "outside"


@final
@frozen(kw_only=True)
class TurnRow:
    """One turn: whether the replay agrees, and where it differs."""

    revision: int
    event: str
    sent: tuple[str, ...]
    result: str
    reason: str
    differences: tuple[Issue, ...]


@final
@define(eq=False)
class Results:
    """The results of turns that are added oldest first: their number, and rows of some of them.

    *newest*: the last `TURNS_SHOWN_MAX`. *doubtful*: as many of those before that do not agree, the
    oldest ones; *number_doubtful* counts all that do not agree. A turn without its event or its
    effect neither agrees nor differs: it is unknown.
    """

    number: int = 0
    number_doubtful: int = 0
    newest: deque[TurnRow] = field(factory=lambda: deque(maxlen=TURNS_SHOWN_MAX))
    doubtful: list[TurnRow] = field(factory=list)

    def add(self, turns: Iterable[ReplayedTurn]) -> None:
        """Add the turns that follow."""
        for turn in turns:
            self.number += 1
            self.number_doubtful += not turn.agrees
            if len(self.newest) == TURNS_SHOWN_MAX:
                oldest = self.newest[0]
                if oldest.result != "agrees" and len(self.doubtful) < TURNS_SHOWN_MAX:
                    self.doubtful.append(oldest)
            self.newest.append(_row(turn))


def _row(turn: ReplayedTurn) -> TurnRow:
    differs = "differs" if turn.differences else "agrees"
    return TurnRow(
        revision=turn.revision,
        event=turn.event.type,
        sent=tuple(event.type for event in turn.produced),
        result=differs if turn.not_replayable is None else "unknown",
        reason=turn.not_replayable or "",
        differences=turn.differences,
    )


@final
@frozen(kw_only=True)
class ReplayView:
    """The result of a replay.

    *left_out*: the number of turns that are not listed; *doubtful_left_out* of them do not agree.
    """

    agrees: bool
    turns: tuple[TurnRow, ...]
    left_out: int
    doubtful_left_out: int
    record_differences: tuple[Issue, ...]


def show_replay(
    results: Results, record_differences: Iterable[Issue], redaction: Redaction
) -> ReplayView:
    """Return a replay as a page shows it: of very many turns the newest and the differing."""
    shown = [*results.doubtful, *results.newest]
    doubtful = sum(row.result != "agrees" for row in shown)
    differences = redaction.issues(record_differences, None)
    return ReplayView(
        agrees=not results.number_doubtful and not differences,
        turns=tuple(
            evolve(row, differences=redaction.issues(row.differences, None)) for row in shown
        ),
        left_out=results.number - len(shown),
        doubtful_left_out=results.number_doubtful - doubtful,
        record_differences=differences,
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
