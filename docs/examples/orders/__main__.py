"""The example as a program: `python -m docs.examples.orders --help`."""

import asyncio
import logging
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from docs.examples.orders.contracts import PlaceOrder
from docs.examples.orders.intake import BadLine, read_orders
from docs.examples.orders.report import (
    show_bad_lines,
    show_letters,
    show_outcomes,
    show_promise,
    show_trace,
)
from docs.examples.orders.shop import FAILED, Fate, fulfil_all, rehearse
from docs.examples.orders.systems import SYSTEMS


def main(arguments: list[str] | None = None) -> int:
    """Read the orders, carry them through, and report; return the process's exit code."""
    wanted = parse(arguments)
    if isinstance(sys.stdout, TextIOWrapper):
        # A pipe may know no lines and arrows.
        sys.stdout.reconfigure(errors="replace")
    console = Console(highlight=False)
    # The runtime warns of each dead letter; the report lists them.
    logging.getLogger("arvo").addHandler(logging.NullHandler())
    try:
        lines = tuple(read_orders(wanted.orders))
    except OSError as error:
        return refuse(f"cannot read the orders: {wanted.orders}: {error.strerror}")
    orders = tuple(line for line in lines if isinstance(line, PlaceOrder))
    bad = tuple(line for line in lines if isinstance(line, BadLine))
    if wanted.trace is not None and wanted.trace not in {each.order_id for each in orders}:
        return refuse(f"no order {wanted.trace} in {wanted.orders}")
    console.print(f"{wanted.orders.name}: {len(orders):,} orders, {len(bad):,} bad lines\n")
    show_bad_lines(console, bad)
    return carry_through(console, wanted.form, orders, bad, wanted.trace)


def carry_through(
    console: Console,
    form: str,
    orders: tuple[PlaceOrder, ...],
    bad: tuple[BadLine, ...],
    traced: str | None,
) -> int:
    """Run all orders under a progress bar, and show what became of them."""
    began = perf_counter()
    with progress_on(console) as progress:
        task = progress.add_task("orders", total=len(orders))
        try:
            day = asyncio.run(
                fulfil_all(form, orders, lambda ended: progress.update(task, completed=ended))
            )
        except KeyboardInterrupt:
            progress.stop()
            done = progress.tasks[0].completed
            return refuse(f"stopped: {done:,.0f} of {len(orders):,} orders were through", 130)
    took = perf_counter() - began
    if console.is_terminal:
        console.print()
    show_outcomes(console, day.fates, bad)
    shown = chosen(day.fates, traced)
    if shown is not None:
        placed = next(each for each in orders if each.order_id == shown.order_id)
        show_trace(console, shown, rehearse(SYSTEMS[form], placed))
    show_letters(console, day)
    console.print(f"{len(orders):,} orders in {took:.1f} s")
    return show_promise(console, day)


def chosen(fates: Sequence[Fate], traced: str | None) -> Fate | None:
    """Choose the order to draw: the one asked for, or else one that went all the way and failed."""
    for fate in fates:
        if fate.order_id == traced or (traced is None and fate.outcome == FAILED):
            return fate
    return next(iter(fates), None)


def progress_on(console: Console) -> Progress:
    # A pipe gets the report alone.
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def parse(arguments: list[str] | None) -> Namespace:
    parser = ArgumentParser(
        prog="python -m docs.examples.orders",
        description="Carry a file of orders through, and show what became of each.",
    )
    parser.add_argument(
        "--orders",
        type=Path,
        default=Path(__file__).parent / "orders.jsonl",
        metavar="FILE",
        help="JSON Lines, one order in each line (default: the example's own 1,000)",
    )
    parser.add_argument(
        "--as",
        dest="form",
        choices=SYSTEMS,
        default="flow",
        help="how the workflow is written (default: %(default)s)",
    )
    parser.add_argument("--trace", metavar="ORDER_ID", help="draw this order")
    return parser.parse_args(arguments)


def refuse(message: str, code: int = 2) -> int:
    print(message, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
