"""Report: the input lines and the outcome of each order, for a terminal or a pipe."""

from collections.abc import Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from arvo import Trace
from docs.examples.orders.reader import BadLine
from docs.examples.orders.shop import FAILED, REFUSED, OrderResult, RunResult

# The outcomes in the order of the table, each with its title and its tier of errors.
OUTCOMES: Final = {
    "shipped": ("[green]shipped", ""),
    "declined": ("[yellow]card declined", "1  business failure"),
    "out of stock": ("[yellow]out of stock", "1  business failure"),
    FAILED: ("[red]failed", "2  system error"),
    REFUSED: ("[red]refused", "3  violation"),
}
# Rows beyond this number are counted and not shown.
SHOWN_MAX: Final = 20


def show_bad_lines(console: Console, bad: Sequence[BadLine]) -> None:
    """List the bad lines: number, and an issue for each wrong field."""
    table = _table("Bad lines, skipped", "line", "issues")
    table.columns[0].justify = "right"
    for line in bad[:SHOWN_MAX]:
        table.add_row(str(line.number), Text("\n".join(map(str, line.issues))))
    _show(console, table, len(bad))


def show_outcomes(console: Console, results: Sequence[OrderResult], bad: Sequence[BadLine]) -> None:
    """Count the orders by outcome, with the first of each as an example."""
    table = _table("Outcomes", "outcome", "tier", "orders", "for example")
    table.columns[2].justify = "right"
    table.show_footer = True
    for outcome, (title, tier) in OUTCOMES.items():
        matching = [result for result in results if result.outcome == outcome]
        example = f"{matching[0].order_id}: {matching[0].note}" if matching else ""
        table.add_row(title, tier, f"{len(matching):,}", _one_line(example))
    example = f"line {bad[0].number}: {bad[0].issues[0]}" if bad else ""
    table.add_row("[dim]bad line", "", f"{len(bad):,}", _one_line(example))
    table.columns[0].footer = "all"
    table.columns[2].footer = f"{len(results) + len(bad):,}"
    console.print(table)


def show_trace(console: Console, result: OrderResult, trace: Trace) -> None:
    """Draw the events of one order."""
    console.print(
        f"[bold]One order, {result.order_id}: {result.outcome}[/] (--trace draws another)\n"
    )
    console.print(Text(trace.draw(width=console.width)), soft_wrap=True)
    console.print()


def show_dead_letters(console: Console, run: RunResult) -> None:
    """List the events that could not be handled."""
    dead_letters = [
        (result.order_id, result.dead_letter)
        for result in run.results
        if result.dead_letter is not None
    ]
    dead_letters += [("", dead_letter) for dead_letter in run.unmatched]
    table = _table("Dead letters, for an operator", "order", "event", "reason")
    for order_id, dead_letter in dead_letters[:SHOWN_MAX]:
        table.add_row(order_id, dead_letter.event.type, Text(dead_letter.reason))
    _show(console, table, len(dead_letters))


def show_summary(console: Console, run: RunResult) -> int:
    """Print whether each order had exactly one outcome, and return the exit code."""
    completed = [result for result in run.results if result.outcome != REFUSED]
    wrong = [result.order_id for result in completed if result.outcomes != 1]
    wrong += [
        result.order_id
        for result in run.results
        if result.outcome == REFUSED and not result.dead_letter
    ]
    killed = f"The worker process was killed {run.kills} times during the run"
    if wrong:
        console.print(f"[red]{killed}; lost or doubled: {', '.join(wrong[:SHOWN_MAX])}")
        return 1
    refused = len(run.results) - len(completed)
    console.print(
        f"{killed}: {len(completed):,} orders had exactly one outcome each, and {refused:,} wait as"
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
