"""Ordered: a workflow that takes five numbered signals, and records their order."""

from typing import Any

from attrs import frozen

from arvo import (
    Commands,
    Complete,
    Contract,
    Event,
    OrchestratorContract,
    Persist,
    Resumable,
    Stamp,
    Subject,
    System,
    Turn,
    Version,
    Workflow,
    stamping,
)

SIGNALS = 5
SOURCE = "com.ordered.test"
TIME = "2026-01-02T03:04:05.000+00:00"


@frozen
class Open:
    name: str


@frozen
class Mark:
    number: int


@frozen
class Closed:
    numbers: list[int]


mark = Contract(
    uri="#/ordered/mark",
    type="com.ordered.mark",
    versions={"1.0.0": Version(accepts=Mark, emits={})},
)
ledger = OrchestratorContract(
    uri="#/ordered/ledger",
    name="ordered.ledger",
    versions={"1.0.0": Workflow(init=Open, complete=Closed)},
)


def keep(turn: Turn[Any]) -> Commands:
    """Append each number, and complete after the last signal."""
    match turn.event.data:
        case Open():
            return Persist([])
        case Mark(number=number):
            numbers = [*turn.state, number]
            if len(numbers) < SIGNALS:
                return Persist(numbers)
            return Persist(numbers), Complete(Closed(numbers))
        case _:
            return None


ledgers = Resumable(ledger, {"1.0.0": keep}, signals=[mark["1.0.0"]])
ordered_system = System([ledgers])


def ledger_subject(name: str) -> str:
    """Return the subject of the workflow of a name."""
    return str(Subject.new(ledger.type, "1.0.0", initiator=SOURCE, id=name))


def open_ledger(name: str) -> Event[Any]:
    """Return the event that begins the workflow of a name, always the same."""
    with stamping(lambda: Stamp(f"open-{name}", TIME)):
        return ledger["1.0.0"].init(Open(name), source=SOURCE, subject=ledger_subject(name))


def mark_ledger(name: str, number: int) -> Event[Any]:
    """Return a signal to the workflow of a name, always the same."""
    with stamping(lambda: Stamp(f"mark-{name}-{number}", TIME)):
        return mark["1.0.0"].accepts(
            Mark(number), source=SOURCE, subject=ledger_subject(name), to=ledger.type
        )
