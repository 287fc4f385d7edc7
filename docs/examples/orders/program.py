"""Program: processes a file of orders and prints the report."""

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
from docs.examples.orders.reader import BadLine, read_orders
from docs.examples.orders.report import (
    show_bad_lines,
    show_dead_letters,
    show_outcomes,
    show_summary,
    show_trace,
)
from docs.examples.orders.shop import FAILED, OrderResult, fulfil_all, run_purely
from docs.examples.orders.systems import SYSTEMS


def main(arguments: list[str] | None = None) -> int:
    """Read the orders, process them, print the report, and return the exit code."""
    options = parse(arguments)
    if isinstance(sys.stdout, TextIOWrapper):
        # The encoding of a pipe may lack box-drawing characters.
        sys.stdout.reconfigure(errors="replace")
    console = Console(highlight=False)
    # The runtime logs each dead letter; the report lists them.
    logging.getLogger("arvo").addHandler(logging.NullHandler())
    try:
        lines = tuple(read_orders(options.orders))
    except OSError as error:
        return print_error(f"cannot read the orders: {options.orders}: {error.strerror}")
    orders = tuple(line for line in lines if isinstance(line, PlaceOrder))
    bad = tuple(line for line in lines if isinstance(line, BadLine))
    if options.trace is not None and options.trace not in {order.order_id for order in orders}:
        return print_error(f"no order {options.trace} in {options.orders}")
    if options.database is not None and options.database.exists():
        return print_error(f"{options.database} exists: remove it, or name another file")
    console.print(f"{options.orders.name}: {len(orders):,} orders, {len(bad):,} bad lines\n")
    show_bad_lines(console, bad)
    return process(console, options, orders, bad)


def process(
    console: Console,
    options: Namespace,
    orders: tuple[PlaceOrder, ...],
    bad: tuple[BadLine, ...],
) -> int:
    """Process all orders under a progress bar and print the outcomes."""
    form, started = options.form, perf_counter()
    with make_progress(console) as progress:
        task = progress.add_task("orders", total=len(orders))
        try:
            result = asyncio.run(
                fulfil_all(
                    form,
                    orders,
                    options.database,
                    lambda completed: progress.update(task, completed=completed),
                )
            )
        except KeyboardInterrupt:
            progress.stop()
            done = progress.tasks[0].completed
            return print_error(f"stopped: {done:,.0f} of {len(orders):,} orders were complete", 130)
    seconds = perf_counter() - started
    if console.is_terminal:
        console.print()
    show_outcomes(console, result.results, bad)
    shown = choose(result.results, options.trace)
    if shown is not None:
        placed = next(order for order in orders if order.order_id == shown.order_id)
        show_trace(console, shown, run_purely(SYSTEMS[form], placed))
    show_dead_letters(console, result)
    console.print(f"{len(orders):,} orders in {seconds:.1f} s")
    return show_summary(console, result)


def choose(results: Sequence[OrderResult], traced: str | None) -> OrderResult | None:
    """Choose the order to draw: the requested one, else the first that failed."""
    for result in results:
        if result.order_id == traced or (traced is None and result.outcome == FAILED):
            return result
    return next(iter(results), None)


def make_progress(console: Console) -> Progress:
    # Without a terminal, only the report is printed.
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
        description="Process a file of orders and print the outcome of each.",
    )
    parser.add_argument(
        "--orders",
        type=Path,
        default=Path(__file__).parent / "orders.jsonl",
        metavar="FILE",
        help="JSON Lines, one order a line (default: the example's own 1,000)",
    )
    parser.add_argument(
        "--as",
        dest="form",
        choices=SYSTEMS,
        default="flow",
        help="the form of the workflow (default: %(default)s)",
    )
    parser.add_argument(
        "--database",
        type=Path,
        metavar="FILE",
        help="a new SQLite file for the orders, which `arvo console` shows afterwards",
    )
    parser.add_argument("--trace", metavar="ORDER_ID", help="draw this order")
    return parser.parse_args(arguments)


def print_error(message: str, code: int = 2) -> int:
    print(message, file=sys.stderr)
    return code
