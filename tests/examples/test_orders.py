"""The order example: its system as a function, its reading of lines, and the whole program."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from attrs import evolve

from arvo import ContractViolation, Issue, Issues, System, SystemFault, run
from docs.examples.orders import carrier
from docs.examples.orders.contracts import Item, OrderClosed, PlaceOrder, order
from docs.examples.orders.intake import BadLine, read_line, read_orders
from docs.examples.orders.shop import place, rehearse
from docs.examples.orders.systems import SYSTEMS

ROOT = Path(__file__).parents[2]
ORDERS = ROOT / "docs" / "examples" / "orders" / "orders.jsonl"

# The order workflow in each of its forms: whatever it is written as, it does the same.
forms = pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)

TEA = PlaceOrder("ord-0001", "c-0001", "tok-1", "NL", (Item("kenya-250g", 2),), 2580)


@forms
def test_an_order_is_picked_paid_and_shipped(system: System) -> None:
    """The whole system is one function of the order."""
    trace = rehearse(system, TEA)

    assert [event.type for event in trace.events] == [
        "arvo.orc.order.fulfil",
        "com.warehouse.pick",
        "evt.warehouse.picked",
        "com.payment.charge",
        "evt.payment.charged",
        "com.parcel.book",
        "evt.parcel.booked",
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
    trace = rehearse(system, placed)

    assert trace.answer is not None
    assert trace.answer.data == OrderClosed(placed.order_id, outcome, note)  # type: ignore[arg-type]
    assert not trace.violations


@forms
def test_a_carrier_that_is_down_fails_the_order(system: System) -> None:
    """Tier 2 tells whoever placed the order, with what an operator must know."""
    trace = rehearse(system, evolve(TEA, country="IS"))

    assert trace.answer is not None
    assert trace.answer.type == order.system_error_type
    assert trace.answer.data == SystemFault(
        "Fail", "paid as r-ord-0001, not shipped: 503: no parcels to IS today"
    )


@forms
def test_a_wrong_total_is_refused_before_anybody_pays(system: System) -> None:
    """Tier 3 changes nothing: the order still waits for its items."""
    trace = rehearse(system, evolve(TEA, total_cents=2500))

    issue = Issue("total_cents", "2580, by the warehouse's prices", "2500")
    assert trace.violations == (
        ContractViolation("order ord-0001 was sold at another price", issue),
    )
    assert trace.answer is None
    assert [record.revision for record in trace.records.values()] == [1]
    assert "│ ✗ ContractViolation: order ord-0001 was sold" in trace.draw()


@forms
def test_a_carrier_that_breaks_its_word_is_refused(system: System) -> None:
    """What the world answers is held against the contract, too."""
    trace = run(system, place(TEA), effects={carrier.ask: lambda *_: ""})

    (violation,) = trace.violations
    assert [(each.path, each.got) for each in violation.issues] == [("data.tracking", "''")]


def test_bad_lines_are_named_with_number_and_field() -> None:
    """Somebody must mend the file."""
    lines = list(read_orders(ORDERS))

    bad = {each.number: each.issues for each in lines if isinstance(each, BadLine)}
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
    """The rest of the file goes through."""
    assert isinstance(read_line(line), Issues)


@forms
def test_a_slice_of_the_file_comes_out_as_it_should(system: System) -> None:
    """The counts of the closing table follow from the file alone."""
    orders = [each for each in read_orders(ORDERS) if isinstance(each, PlaceOrder)][:120]

    answers = [rehearse(system, each).answer for each in orders]
    assert Counter(None if each is None else each.data.outcome for each in answers) == {
        "shipped": 110,
        "declined": 7,
        "out of stock": 2,
        None: 1,
    }


@forms
def test_a_form_is_wired_well(system: System) -> None:
    """As a user would demand of a system in a test of their own."""
    assert system.check() == ()


def test_the_program_ends_with_what_became_of_each_order() -> None:
    """It is what `make demo` shows; in a pipe, there is no terminal."""
    done = _program()

    assert (done.returncode, done.stderr) == (0, "")
    table = done.stdout.partition("What became of them")[2].partition("One order")[0]
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
    assert "├── com.parcel.book ─" in done.stdout
    said = " ".join(done.stdout.split())
    assert "killed 3 times on the way: 981 orders had exactly one outcome each, and 8" in said
    assert done.stdout.count("ContractViolation: ") == 9


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--orders", "nowhere.jsonl"), "cannot read the orders: nowhere.jsonl: No such file"),
        (("--trace", "ord-9999"), "no order ord-9999 in "),
    ],
)
def test_a_wrong_argument_gets_one_clear_line(arguments: tuple[str, ...], said: str) -> None:
    """A stack trace would say less."""
    done = _program(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


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
