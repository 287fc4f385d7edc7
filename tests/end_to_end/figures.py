"""Figures: how much a run of the harness has seen, as a table."""

from collections import Counter
from collections.abc import Mapping, Sequence

from attrs import fields, frozen

from tests.end_to_end.book import Line
from tests.end_to_end.client import Final
from tests.end_to_end.plan import Run


@frozen
class Figures:
    """What a run has seen.

    *copies*: of the *events*, those that were sent again. *deployed*: workers that a rolling deploy
    replaced. *poison*: events that end their process. *repeated*: calls that were made again, by
    the reason.
    """

    workflows: int
    events: int
    copies: int
    calls: int
    cancelled: int
    kills: int
    freezes: int
    restarts: int
    deployed: int
    server_restarts: int
    poison: int
    poison_deaths: int
    dead_letters: int
    repeated: Mapping[str, int]
    seconds: float


def count_figures(
    runs: Sequence[Run],
    lines: Sequence[Line],
    final: Final,
    reasons: Mapping[str, int],
    seconds: float,
) -> Figures:
    """Count what a book holds."""
    kinds = Counter(line.kind for line in lines)
    sent = Counter((line.run, line.key) for line in lines if line.kind == "sent")
    stops = Counter(line.detail for line in lines if line.kind == "stopping")
    return Figures(
        workflows=len(runs),
        events=sent.total(),
        copies=sent.total() - len(sent),
        calls=kinds["end"],
        cancelled=sum(run.cancel_after is not None for run in runs),
        kills=kinds["killed"],
        freezes=kinds["thawed"],
        restarts=stops["restart"],
        deployed=stops["deploy"],
        server_restarts=kinds["server up"],
        poison=sum(run.poison is not None for run in runs),
        poison_deaths=kinds["poisoned"],
        dead_letters=len(final.dead_letters),
        repeated=dict(reasons),
        seconds=seconds,
    )


def table(rows: Mapping[str, Figures]) -> str:
    """Return one row of Markdown for each name."""
    names = [each.name for each in fields(Figures)]
    lines = [
        f"| | {' | '.join(name.replace('_', ' ') for name in names)} |",
        "|---" * (len(names) + 1) + "|",
    ]
    for name, figures in rows.items():
        cells = [getattr(figures, each) for each in names]
        texts = [
            f"{cell:.0f}"
            if isinstance(cell, float)
            else ", ".join(f"{count} {reason}" for reason, count in sorted(cell.items())) or "0"
            if isinstance(cell, dict)
            else str(cell)
            for cell in cells
        ]
        lines.append(f"| {name} | {' | '.join(texts)} |")
    return "\n".join(lines)
