"""Report: what came in and what became of it, for a terminal or a pipe."""

from collections.abc import Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from arvo import Trace
from docs.examples.orders.intake import BadLine
from docs.examples.orders.shop import FAILED, REFUSED, Day, Fate

# The outcomes in the order of the table: what they are called there, and which tier of errors.
OUTCOMES: Final = {
    "shipped": ("[green]shipped", ""),
    "declined": ("[yellow]card declined", "1  business failure"),
    "out of stock": ("[yellow]out of stock", "1  business failure"),
    FAILED: ("[red]failed", "2  system error"),
    REFUSED: ("[red]refused", "3  violation"),
}
# More than this of a kind is counted and not shown.
SHOWN_MAX: Final = 20


def show_bad_lines(console: Console, bad: Sequence[BadLine]) -> None:
    """Name each bad line by its number, with each field that is wrong."""
    table = _table("Bad lines, passed over", "line", "what is wrong")
    table.columns[0].justify = "right"
    for each in bad[:SHOWN_MAX]:
        table.add_row(str(each.number), Text("\n".join(map(str, each.issues))))
    _show(console, table, len(bad))


def show_outcomes(console: Console, fates: Sequence[Fate], bad: Sequence[BadLine]) -> None:
    """Count the lines by what became of them, with the first of each kind."""
    table = _table("What became of them", "outcome", "tier", "orders", "for example")
    table.columns[2].justify = "right"
    table.show_footer = True
    for outcome, (title, tier) in OUTCOMES.items():
        found = [fate for fate in fates if fate.outcome == outcome]
        example = f"{found[0].order_id}: {found[0].note}" if found else ""
        table.add_row(title, tier, f"{len(found):,}", _one_line(example))
    example = f"line {bad[0].number}: {bad[0].issues[0]}" if bad else ""
    table.add_row("[dim]bad line", "", f"{len(bad):,}", _one_line(example))
    table.columns[0].footer = "all"
    table.columns[2].footer = f"{len(fates) + len(bad):,}"
    console.print(table)


def show_trace(console: Console, fate: Fate, trace: Trace) -> None:
    """Draw the events of one order."""
    console.print(f"[bold]One order, {fate.order_id}: {fate.outcome}[/] (--trace draws another)\n")
    console.print(Text(trace.draw(width=console.width)), soft_wrap=True)
    console.print()


def show_letters(console: Console, day: Day) -> None:
    """List the events that nobody could take."""
    dead_letters = [(fate.order_id, fate.letter) for fate in day.fates if fate.letter is not None]
    dead_letters += [("", dead_letter) for dead_letter in day.stray]
    table = _table("Dead letters, kept for an operator", "order", "event", "reason")
    for order_id, dead_letter in dead_letters[:SHOWN_MAX]:
        table.add_row(order_id, dead_letter.event.type, Text(dead_letter.reason))
    _show(console, table, len(dead_letters))


def show_promise(console: Console, day: Day) -> int:
    """Say that each order had exactly one outcome, or which had not; gives the exit code."""
    settled = [fate for fate in day.fates if fate.outcome != REFUSED]
    wrong = [fate.order_id for fate in settled if fate.outcomes != 1]
    wrong += [fate.order_id for fate in day.fates if fate.outcome == REFUSED and not fate.letter]
    killed = f"The worker process was killed {day.kills} times on the way"
    if wrong:
        console.print(f"[red]{killed}; lost or doubled: {', '.join(wrong[:SHOWN_MAX])}")
        return 1
    refused = len(day.fates) - len(settled)
    console.print(
        f"{killed}: {len(settled):,} orders had exactly one outcome each, and {refused:,} wait as"
        " dead letters."
    )
    return 0


def _one_line(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis")


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for column in columns:
        table.add_column(column)
    return table


def _show(console: Console, table: Table, number: int) -> None:
    if number:
        console.print(table)
    if number > SHOWN_MAX:
        console.print(f"… and {number - SHOWN_MAX:,} more")
