"""Group: many units, written in one transaction of two statements."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, final

from attrs import define, field

from arvo.interpreters.delivery.codec import Row
from arvo.interpreters.ports.backend import CommitResult, Committed, Conflict, Duplicate, Fenced
from arvo.interpreters.postgres.connection.dsn import Address, Link
from arvo.interpreters.postgres.statements.tables import (
    CLEAR_JOURNAL,
    arm,
    channel,
    columns,
    history_rows,
    sending_rows,
    write_journal,
)
from arvo.interpreters.postgres.statements.write_batch import Line, Turn, Unit, Written

# Keys that one transaction may hold for what it sends: the server's table of locks is not endless,
# and what is sent without is handed out to whoever claims it.
KEYS_MAX: Final = 256


class Raced(Exception):
    """Another transaction began a workflow of the same subject: the group, once more, will see."""


async def write(
    connection: Link, address: Address, me: int, units: Sequence[Unit], now: datetime
) -> list[Written]:
    """Write units in one transaction, and say what became of each.

    No two units are about one subject, or one consumption (see `Unit.names`). All locks are taken
    in the same order by everybody, so nobody waits for somebody who waits for them: deliveries,
    workflows, the inbox, new workflows; keys without waiting.
    """
    group = _Group(connection, address, me, units, now)
    if group.needs_no_locks:
        await group.write()
    else:
        async with connection.transaction():
            await group.take()
            await group.write()
    return [
        Written(refused or Committed(), tuple(rows))
        for refused, rows in zip(group.refused, group.rows, strict=True)
    ]


@final
@define(eq=False)
class _Group:
    """One transaction, and what it has found out so far.

    *refused* says why, for each unit that is not to be written.
    """

    connection: Link
    address: Address
    me: int
    units: Sequence[Unit]
    now: datetime
    refused: list[CommitResult | None] = field(init=False)
    rows: list[list[Row]] = field(init=False)
    # Numbers, revisions and lines of the workflows that are there, and numbers of those that are
    # not: a new one needs a number before its history is written.
    _workflows: dict[str, tuple[int, int, int]] = field(factory=dict, init=False)
    _new: dict[str, int] = field(factory=dict, init=False)
    _keys: set[int] = field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self.refused = [None for _ in self.units]
        self.rows = [[] for _ in self.units]

    @property
    def needs_no_locks(self) -> bool:
        """Whether all that is wanted is to send, for whoever takes it, or to keep a letter."""
        return all(
            unit.number is None and not (unit.owns and unit.sendings) for unit in self.units
        ) and not any(unit.letters for unit in self.units)

    async def take(self) -> None:
        """Lock deliveries, workflows and keys, mark what is consumed, and refuse those whose
        delivery or record is not what they take it for, or who have come before.
        """
        numbers = [unit.number for unit in self.units if unit.number is not None]
        turns = [unit.turn for unit in self.units if unit.turn is not None]
        rows = [
            (unit.number, unit.turn.subject, unit.turn.expected, unit.turn.digest)
            for unit in self.units
            if unit.turn is not None
        ]
        found = await self.connection.fetch(
            self.address.sql(_TAKE),
            numbers,
            self.me,
            [turn.subject for turn in turns if turn.subject is not None],
            self._wanted_keys(),
            *columns(rows, 4),
            self.now,
        )
        mine: set[int] = set()
        marked: set[bytes] = set()
        for what, id_, subject, revision, lines, digest in found:
            match what:
                case "delivery":
                    mine.add(id_)
                case "workflow":
                    self._workflows[subject] = id_, revision, lines
                case "key":
                    self._keys.add(id_)
                case "new":
                    self._new[subject] = id_
                case _:
                    marked.add(digest)
        for place, unit in enumerate(self.units):
            self.refused[place] = self._refusal(unit, mine, marked)
        await self._look_again(mine)

    def _wanted_keys(self) -> list[int]:
        keys = {
            sending.key: None
            for unit in self.units
            if unit.owns
            for sending in unit.sendings
            if sending.key is not None
        }
        return list(keys)[:KEYS_MAX]

    def _refusal(self, unit: Unit, mine: set[int], marked: set[bytes]) -> CommitResult | None:
        turn = unit.turn
        if turn is not None and turn.subject is not None:
            held = self._held(turn)[1]
            if held != turn.expected:
                return Conflict(held)
        if unit.number is not None and unit.number not in mine:
            return Fenced()
        if turn is not None and turn.digest not in marked:
            return Duplicate()
        return None

    async def _look_again(self, mine: set[int]) -> None:
        """Tell a redelivery from a lost race: told of a conflict, a worker steps for nothing."""
        outdated = [
            (place, unit.turn.digest)
            for place, unit in enumerate(self.units)
            if unit.turn is not None and isinstance(self.refused[place], Conflict)
        ]
        if not outdated:
            return
        digests = list({digest for _, digest in outdated})
        seen = {row["digest"] for row in await self.connection.fetch(self._sql(_SEEN), digests)}
        for place, digest in outdated:
            if digest in seen:
                self.refused[place] = Duplicate() if self.units[place].number in mine else Fenced()

    async def write(self) -> None:
        """Settle deliveries, write records, journals, histories, timers and letters, and send."""
        going = [
            unit for unit, refused in zip(self.units, self.refused, strict=True) if refused is None
        ]
        turns = [unit.turn for unit in going if unit.turn is not None]
        written = [turn for turn in turns if turn.record is not None]
        await self._write_rare(going, written)
        new = [turn for turn in written if turn.subject not in self._workflows]
        known = [turn for turn in written if turn.subject in self._workflows]
        sendings = [
            (each, unit.owns and (each.key is None or each.key in self._keys))
            for unit in going
            for each in unit.sendings
        ]
        found = await self.connection.fetch(
            self._sql(_WRITE),
            self._settled(),
            *columns(map(self._begun, new), 9),
            *columns(map(self._turned, known), 6),
            *columns(history_rows(self._lines(written)), 6),
            *columns(sending_rows(sendings), 5),
            self.now,
            self.me,
            channel(self.address),
        )
        if sum(row["what"] == "begun" for row in found) != len(new):
            raise Raced
        # Numbers are drawn in the order that rows are added in.
        sent = iter(sorted((row["id"], row["mine"]) for row in found if row["what"] == "sent"))
        for unit, refused, rows in zip(self.units, self.refused, self.rows, strict=True):
            for each in unit.sendings if refused is None else ():
                id_, is_mine = next(sent)
                if is_mine:
                    rows.append(Row(id_, each.post, 1))

    async def _write_rare(self, going: Sequence[Unit], written: Sequence[Turn]) -> None:
        """Write what most groups have none of."""
        # A journal that was not kept is written anew.
        anew = [self._number(turn) for turn in written if not turn.kept and turn.journal]
        if anew:
            await self.connection.execute(self._sql(CLEAR_JOURNAL), anew)
        journal = [
            (self._number(turn), position, line)
            for turn in written
            for position, line in enumerate(turn.journal, start=turn.kept)
        ]
        await write_journal(self.connection, self.address, journal)
        turns = [unit.turn for unit in going if unit.turn is not None]
        cleared = [id_ for turn in turns for id_ in turn.cleared]
        if cleared:
            await self.connection.execute(self._sql(_CLEAR), cleared)
        timers = [each for turn in turns for each in turn.alarms]
        await arm(self.connection, self.address, timers)
        dead_letters = [dead_letter for unit in going for dead_letter in unit.letters]
        if dead_letters:
            await self.connection.execute(self._sql(_LETTER), *columns(dead_letters, 2))

    def _settled(self) -> list[int]:
        return [
            unit.number
            for unit, refused in zip(self.units, self.refused, strict=True)
            if unit.number is not None and not isinstance(refused, Conflict | Fenced)
        ]

    def _begun(self, turn: Turn) -> tuple[object, ...]:
        record = turn.record
        assert record is not None
        return (
            self._number(turn),
            record.subject,
            record.handler,
            record.version,
            record.status,
            record.revision,
            record.parent,
            turn.content,
            len(turn.history),
        )

    def _turned(self, turn: Turn) -> tuple[object, ...]:
        record = turn.record
        assert record is not None
        return (
            self._number(turn),
            record.version,
            record.status,
            record.revision,
            turn.content,
            len(turn.history),
        )

    def _lines(self, turns: Sequence[Turn]) -> list[tuple[int, int, Line]]:
        return [
            (self._number(turn), self._held(turn)[2] + line.position, line)
            for turn in turns
            for line in turn.history
        ]

    def _held(self, turn: Turn) -> tuple[int, int, int]:
        return self._workflows.get(turn.subject or "", _NONE)

    def _number(self, turn: Turn) -> int:
        return self._held(turn)[0] or self._new[turn.subject or ""]

    def _sql(self, statement: str) -> str:
        return self.address.sql(statement)


# A workflow that is not there: its number, revision and lines.
_NONE: Final = (0, 0, 0)

_TAKE: Final = """
with mine as materialized (
    select id from arvo.delivery
    where id = any($1::bigint[]) and owner = $2 order by id for update
), held as materialized (
    select id, subject, revision, lines from arvo.workflow
    where subject = any($3::text[]) order by subject for update
), turn as materialized (
    select * from unnest($5::bigint[], $6::text[], $7::bigint[], $8::bytea[])
        as turn (number, subject, expected, digest)
), marked as (
    insert into arvo.inbox (digest, at)
    select turn.digest, $9 from turn join mine on mine.id = turn.number
    left join held on held.subject = turn.subject
    where turn.subject is null or coalesce(held.revision, 0) = turn.expected
    order by turn.digest on conflict do nothing returning digest
)
select 'delivery' as what, id, null as subject, 0 as revision, 0 as lines, null::bytea as digest
    from mine
union all select 'workflow', id, subject, revision, lines, null from held
union all select 'key', key, null, 0, 0, null
    from unnest($4::bigint[]) as wanted (key) where pg_try_advisory_xact_lock(key)
union all select 'new', nextval('arvo.workflow_id_seq'), subject, 0, 0, null
    from turn where expected = 0 and subject is not null
union all select 'marked', 0, null, 0, 0, digest from marked
"""
_SEEN: Final = "select digest from arvo.inbox where digest = any($1::bytea[])"
_CLEAR: Final = "delete from arvo.timer where id = any($1::text[])"
_LETTER: Final = """
insert into arvo.letter (id, letter) select * from unnest($1::text[], $2::bytea[])
"""
# One statement, for each costs a way to the server and back. Its parts see the tables as they were
# before it, and none needs what another one writes.
_WRITE: Final = """
with settled as (
    delete from arvo.delivery where id = any($1::bigint[])
), begun as (
    insert into arvo.workflow
        (id, subject, handler, version, status, revision, parent, record, lines, began, changed)
    select id, subject, handler, version, status, revision, parent, record, lines, $28, $28
    from unnest(
        $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[],
        $9::bytea[], $10::bigint[]
    ) as new (id, subject, handler, version, status, revision, parent, record, lines)
    order by subject on conflict (subject) do nothing returning id
), turned as (
    update arvo.workflow set
        version = new.version, status = new.status, revision = new.revision, record = new.record,
        changed = $28, lines = workflow.lines + new.lines
    from unnest($11::bigint[], $12::text[], $13::text[], $14::bigint[], $15::bytea[], $16::bigint[])
        as new (id, version, status, revision, record, lines)
    where workflow.id = new.id
), past as (
    insert into arvo.history (workflow, position, revision, kind, at, event)
    select * from unnest(
        $17::bigint[], $18::bigint[], $19::bigint[], $20::text[], $21::timestamptz[], $22::bytea[]
    )
), sent as (
    insert into arvo.delivery (lane, key, destination, event, attempt, due, owner)
    select lane, key, destination, event, 1, '-infinity', case when own
        and not exists (select from arvo.delivery as other
            where other.key = new.key and other.owner < $29)
        and not exists (select from arvo.delivery as other
            where other.key = new.key and other.owner > $29)
        and not exists (select from arvo.delivery as other
            where other.key = new.key and other.owner is null and other.due <= $28)
        then $29::bigint end
    from unnest($23::text[], $24::bigint[], $25::bytea[], $26::bytea[], $27::boolean[])
        with ordinality as new (lane, key, destination, event, own, place)
    order by place returning id, owner is not null as mine
)
select 'begun' as what, id, true as mine from begun
union all select 'sent', id, mine from sent
union all select 'told', 0, true from (
    select pg_notify($30, '') where exists (select from sent where not mine)
) as told
"""
