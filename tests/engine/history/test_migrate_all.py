"""Migrate all: a dry run that moves many workflows to another version."""

from collections.abc import Iterator

from attrs import evolve

from arvo import ExecutionViolation, Issue, Migration, Record, migrate_all
from arvo.engine.history.migrate_all import REFUSALS_MAX
from tests.engine.history.test_migrate import begun, both

BAD = ExecutionViolation(
    "arvo.orc.order.fulfil 2.0.0 cannot read the stored state",
    Issue("state.order_id", "a string", "5"),
)


def test_a_dry_run_counts_the_records_and_lists_the_refusals() -> None:
    """An operator reads it before the real migration."""
    records = [
        begun(),
        evolve(begun(), subject="s2", version="2.0.0"),
        evolve(begun(), subject="s3", status="done"),
        evolve(begun(), subject="s4", status="cancelled"),
        evolve(begun(), subject="s5", state={"order_id": 5}),
        evolve(begun(), subject="s6", status="failed"),
    ]

    migration = migrate_all(both, records, to="2.0.0")
    twice = migrate_all(both, [*records, *records], to="2.0.0")
    mapped = migrate_all(both, records[-2:], to="2.0.0", state=lambda _: {"order_id": "o5"})

    ended = ExecutionViolation(
        "this run of arvo.orc.order.fulfil has ended", Issue("record.status", "active", "failed")
    )
    assert migration == Migration(
        moved=1, unchanged=1, ended=2, refused=2, refusals=(("s5", BAD), ("s6", ended))
    )
    assert (twice.moved, twice.unchanged, twice.ended, twice.refused) == (2, 2, 4, 4)
    assert (mapped.moved, mapped.refused) == (1, 1)
    assert str(migration).split("\n") == [
        "to migrate: 1, up to date: 1, ended: 2, refused: 2",
        f"s5: {BAD}",
        f"s6: {ended}",
    ]


def test_a_dry_run_reads_any_number_of_records() -> None:
    """It reads them one after the other and stores only the first refusals."""
    many = 2 * REFUSALS_MAX

    def records() -> Iterator[Record]:
        for number in range(many):
            yield evolve(begun(), subject=f"s{number}", state={"order_id": 5})

    migration = migrate_all(both, records(), to="2.0.0")

    assert (migration.refused, len(migration.refusals)) == (many, REFUSALS_MAX)
    assert str(migration).split("\n")[-1] == "… 1980 more"
    assert str(Migration()) == "to migrate: 0, up to date: 0, ended: 0, refused: 0"
