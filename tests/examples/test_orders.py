"""The order example: its system as a function, its parsing of lines, and the whole program."""

import asyncio
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from attrs import evolve

from arvo import (
    Client,
    ContractViolation,
    Issue,
    Issues,
    StoredWorkflow,
    System,
    SystemFault,
    run,
)
from docs.examples.orders import carrier, deployed
from docs.examples.orders.contracts import Item, OrderClosed, PlaceOrder, order
from docs.examples.orders.reader import BadLine, read_line, read_orders
from docs.examples.orders.shop import order_event, run_purely
from docs.examples.orders.systems import SYSTEMS

ROOT = Path(__file__).parents[2]
ORDERS = ROOT / "docs" / "examples" / "orders" / "orders.jsonl"

# The order workflow in each of its forms; all of them behave alike.
forms = pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)

TEA = PlaceOrder("ord-0001", "c-0001", "tok-1", "NL", (Item("kenya-250g", 2),), 2580)


@forms
def test_an_order_is_picked_paid_and_shipped(system: System) -> None:
    """The whole system is one function of the order."""
    trace = run_purely(system, TEA)

    assert [event.type for event in trace.events] == [
        "arvo.orc.order.fulfil",
        "com.warehouse.pick",
        "evt.warehouse.picked",
        "com.payment.charge",
        "evt.payment.charged",
        "com.shipping.book",
        "evt.shipping.booked",
        "arvo.orc.order.fulfil.done",
    ]
    assert trace.answer is not None
    assert trace.answer.data == OrderClosed("ord-0001", "shipped", "NL91405181")


@forms
@pytest.mark.parametrize(
    ("placed", "outcome", "note"),
    [
        (evolve(TEA, card="tok-1-expired"), "declined", "the card has expired"),
        (
            evolve(TEA, items=(Item("hand-grinder", 5),), total_cents=44_500),
            "declined",
            "over the card's limit",
        ),
        (evolve(TEA, items=(Item("kettle", 1),)), "out of stock", "kettle"),
        (evolve(TEA, items=(Item("tea", 1),)), "out of stock", "tea"),
    ],
)
def test_a_business_failure_closes_the_order(
    system: System, placed: PlaceOrder, outcome: str, note: str
) -> None:
    """Tier 1 is an ordinary outcome."""
    trace = run_purely(system, placed)

    assert trace.answer is not None
    assert trace.answer.data == OrderClosed(placed.order_id, outcome, note)  # type: ignore[arg-type]
    assert not trace.violations


@forms
def test_a_carrier_that_is_down_fails_the_order(system: System) -> None:
    """Tier 2 reports to the sender of the order, with the reason for an operator."""
    trace = run_purely(system, evolve(TEA, country="IS"))

    assert trace.answer is not None
    assert trace.answer.type == order.system_error_type
    assert trace.answer.data == SystemFault(
        "Fail", "paid as r-ord-0001, not shipped: 503: no shipments to IS today"
    )


@forms
def test_a_wrong_total_is_refused_before_the_card_is_charged(system: System) -> None:
    """Tier 3 changes nothing: the order still waits for its items."""
    trace = run_purely(system, evolve(TEA, total_cents=2500))

    issue = Issue("total_cents", "2580, by the warehouse's prices", "2500")
    assert trace.violations == (
        ContractViolation("order ord-0001 was sold at another price", issue),
    )
    assert trace.answer is None
    assert [record.revision for record in trace.records.values()] == [1]
    assert "│ ✗ ContractViolation: order ord-0001 was sold" in trace.draw()


@forms
def test_a_carrier_that_answers_without_a_number_is_refused(system: System) -> None:
    """The results of effects are checked against the contract, too."""
    trace = run(system, order_event(TEA), effects={carrier.request_tracking: lambda *_: ""})

    (violation,) = trace.violations
    assert [(issue.path, issue.got) for issue in violation.issues] == [("data.tracking", "''")]


def test_bad_lines_are_named_with_number_and_field() -> None:
    """An operator mends the file by this list."""
    lines = list(read_orders(ORDERS))

    bad = {line.number: line.issues for line in lines if isinstance(line, BadLine)}
    assert {number: [issue.path for issue in issues] for number, issues in bad.items()} == {
        57: ["order"],
        148: ["order.card"],
        203: ["order.items[0].quantity"],
        290: ["order.total_cents"],
        366: ["order.items"],
        441: ["order.country"],
        512: ["order.total_cents"],
        618: ["order"],
        737: ["order.items[0].quantity"],
        805: ["order.order_id"],
        934: ["order.customer", "order.order_id"],
    }
    assert len(lines) == 1000


@pytest.mark.parametrize("line", [b"\xff", b"nul", b"1", b"{}", b"[" * 2000, b" " * 70_000])
def test_no_line_stops_the_reading(line: bytes) -> None:
    """The rest of the file is processed."""
    assert isinstance(read_line(line), Issues)


@forms
def test_the_outcomes_of_a_slice_follow_from_the_file(system: System) -> None:
    """The counts of the closing table follow from the file alone."""
    orders = [line for line in read_orders(ORDERS) if isinstance(line, PlaceOrder)][:120]

    answers = [run_purely(system, placed).answer for placed in orders]
    assert Counter(None if answer is None else answer.data.outcome for answer in answers) == {
        "shipped": 110,
        "declined": 7,
        "out of stock": 2,
        None: 1,
    }


@forms
def test_a_form_passes_the_check_of_its_system(system: System) -> None:
    """As a user would test a system of their own."""
    assert system.check() == ()


def test_the_program_ends_with_the_outcome_of_each_order(tmp_path: Path) -> None:
    """It is what `make demo` shows; in a pipe, there is no terminal. The console shows its file."""
    database = tmp_path / "demo.db"
    process = _program("--database", str(database))

    assert (process.returncode, process.stderr) == (0, "")
    table = process.stdout.partition("Outcomes")[2].partition("One order")[0]
    rows = [line for line in table.splitlines() if any(map(str.isdigit, line))]
    end = table.index("orders") - table.index(" outcome") + len("orders")
    counts = {row[:14].strip(): int(row[:end].split()[-1].replace(",", "")) for row in rows}
    assert counts == {
        "shipped": 879,
        "card declined": 65,
        "out of stock": 33,
        "failed": 4,
        "refused": 8,
        "bad line": 11,
        "all": 1000,
    }
    assert "├── com.shipping.book ─" in process.stdout
    text = " ".join(process.stdout.split())
    assert "killed 3 times during the run: 981 orders had exactly one outcome each, and 8" in text
    assert process.stdout.count("ContractViolation: ") == 9
    assert len(asyncio.run(_failed_orders(database))) == 4


async def _failed_orders(database: Path) -> tuple[StoredWorkflow, ...]:
    async with Client(deployed.system, f"sqlite:///{database}") as client:
        return await client.workflows(status="failed")


def test_make_console_without_a_demo_says_what_to_run(tmp_path: Path) -> None:
    """An empty list of orders would look like a demo that failed."""
    make = shutil.which("make")
    assert make is not None
    shutil.copy(ROOT / "Makefile", tmp_path)
    ended = subprocess.run(
        [make, "console"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == 2
    assert "there are no orders yet: run make demo first" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--orders", "nowhere.jsonl"), "cannot read the orders: nowhere.jsonl: No such file"),
        (("--trace", "ord-9999"), "no order ord-9999 in "),
        (("--database", "Makefile"), "Makefile exists: remove it, or name another file"),
    ],
)
def test_a_wrong_argument_gets_one_clear_line(arguments: tuple[str, ...], error: str) -> None:
    """A traceback would hide the remedy."""
    process = _program(*arguments)

    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr.startswith(error)
    assert process.stderr.count("\n") == 1


def _program(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "docs.examples.orders", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"COLUMNS": "100", "PYTHONUTF8": "1"},
    )


def test_ctrl_c_in_the_first_second_prints_no_traceback() -> None:
    """A user who starts the wrong command sees one line."""
    with subprocess.Popen(
        [sys.executable, "-m", "docs.examples.orders"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONVERBOSE": "1", "PYTHONUTF8": "1"},
    ) as process:
        assert process.stderr is not None
        # Python reports each import on standard error: the signal arrives in the middle of them.
        for line in process.stderr:
            if "import 'attr'" in line:
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()

    assert process.returncode == 130
    assert "stopped" in rest
    assert "Traceback" not in rest
