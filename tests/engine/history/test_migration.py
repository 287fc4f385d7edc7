"""Migration: a dry run over many records."""

from collections.abc import Iterator

from attrs import evolve

from arvo import ExecutionViolation, Issue, Migration, Record, migrate_all
from arvo.engine.history.migration import REFUSALS_KEPT_MAX
from tests.engine.history.test_migrate import begun, both

BAD = ExecutionViolation(
    "arvo.orc.order.fulfil 2.0.0 cannot read what is remembered",
    Issue("state.order_id", "a string", "5"),
)


def test_a_dry_run_says_how_many_would_move_and_which_cannot_and_why() -> None:
    """Read before the real thing."""
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
        "1 would move, 1 need not, 2 have ended, 2 cannot",
        f"s5: {BAD}",
        f"s6: {ended}",
    ]


def test_a_dry_run_takes_any_number_of_records() -> None:
    """One after the other, from whatever gives them; of what is wrong the first are kept."""
    many = 2 * REFUSALS_KEPT_MAX

    def records() -> Iterator[Record]:
        for number in range(many):
            yield evolve(begun(), subject=f"s{number}", state={"order_id": 5})

    migration = migrate_all(both, records(), to="2.0.0")

    assert (migration.refused, len(migration.refusals)) == (many, REFUSALS_KEPT_MAX)
    assert str(migration).split("\n")[-1] == "… 1980 more"
    assert str(Migration()) == "0 would move, 0 need not, 0 have ended, 0 cannot"
