"""Group: many units, written in one transaction of a few statements."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, final

from attrs import define, field

from arvo.interpreters.ports import Applied, Committed, Conflict, Fenced, Seen
from arvo.interpreters.postgres.address import Address, Link
from arvo.interpreters.postgres.tables import (
    CLEAR_JOURNAL,
    UPDATE_WORKFLOW,
    arm,
    columns,
    send,
    write_history,
    write_journal,
)
from arvo.interpreters.postgres.unit import Row, Turn, Unit, Written

# Keys that one transaction may hold for what it sends: the server's table of locks is not endless,
# and what is sent without is handed out to whoever claims it.
KEYS_MAX: Final = 256


class Raced(Exception):
    """Another transaction began a workflow of the same subject: the group, once more, will see."""


async def write(
    connection: Link,
    address: Address,
    me: int,
    units: Sequence[Unit],
    now: datetime,
) -> list[Written]:
    """Write units in one transaction, and say what became of each.

    No two units are about one subject, or one consumption (see `Unit.names`). All locks are taken
    in the same order by everybody, so nobody waits for somebody who waits for them: deliveries,
    workflows, keys (without waiting), the inbox, new workflows.
    """
    group = _Group(connection, address, me, units, now)
    async with connection.transaction():
        await group.lock()
        await group.mark()
        await group.remember()
        await group.follow()
    return [
        Written(applied or Committed(), tuple(rows))
        for applied, rows in zip(group.refused, group.rows, strict=True)
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
    refused: list[Applied | None] = field(init=False)
    rows: list[list[Row]] = field(init=False)
    _workflows: dict[str, tuple[int, int, int]] = field(factory=dict, init=False)
    _new: dict[str, int] = field(factory=dict, init=False)
    _keys: set[int] = field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self.refused = [None for _ in self.units]
        self.rows = [[] for _ in self.units]

    async def lock(self) -> None:
        """Lock deliveries, workflows and keys, and refuse those whose delivery or record is not
        what they take it for.
        """
        numbers = [unit.number for unit in self.units if unit.number is not None]
        turns = [unit.turn for unit in self.units if unit.turn is not None]
        subjects = [turn.subject for turn in turns if turn.subject is not None]
        new = [turn.subject for turn in turns if turn.subject and not turn.expected]
        keys = {
            sending.key: None
            for unit in self.units
            if unit.owns
            for sending in unit.sendings
            if sending.key is not None
        }
        if not numbers and not subjects and not keys:
            return
        found = await self.connection.fetch(
            self.address.sql(_LOCK), numbers, self.me, subjects, list(keys)[:KEYS_MAX], new
        )
        mine: set[int] = set()
        for what, id_, subject, revision, lines in found:
            match what:
                case "delivery":
                    mine.add(id_)
                case "workflow":
                    self._workflows[subject] = id_, revision, lines
                case "key":
                    self._keys.add(id_)
                case _:
                    self._new[subject] = id_
        outdated = []
        for place, unit in enumerate(self.units):
            if unit.number is not None and unit.number not in mine:
                self.refused[place] = Fenced()
            if unit.turn is not None and unit.turn.subject is not None:
                held = self._revision(unit.turn.subject)
                if held != unit.turn.expected:
                    self.refused[place] = Conflict(held)
                    outdated.append(place)
        if outdated:
            await self._look_again(outdated, mine)

    async def _look_again(self, outdated: list[int], mine: set[int]) -> None:
        """Tell a redelivery from a lost race: told of a conflict, a worker steps for nothing."""
        digests = {self._turn(place).digest for place in outdated}
        found = await self.connection.fetch(self.address.sql(_SEEN), list(digests))
        seen = {digest for (digest,) in found}
        for place in outdated:
            if self._turn(place).digest in seen:
                self.refused[place] = Seen() if self.units[place].number in mine else Fenced()

    async def mark(self) -> None:
        """Mark events as consumed; those that were before are settled, and change nothing."""
        places = [place for place in self._going() if self.units[place].turn is not None]
        if not places:
            return
        digests = [self._turn(place).digest for place in places]
        found = await self.connection.fetch(self.address.sql(_MARK), digests, self.now)
        marked = {digest for (digest,) in found}
        for place in places:
            if self._turn(place).digest not in marked:
                self.refused[place] = Seen()

    async def remember(self) -> None:
        """Write records, journals, histories and timers."""
        turns = [turn for turn in map(self._turn_of, self._going()) if turn is not None]
        written = [turn for turn in turns if turn.record is not None]
        await self._write_new([turn for turn in written if turn.subject not in self._workflows])
        await self._write_known([turn for turn in written if turn.subject in self._workflows])
        await self._write_lines(written)
        cleared = [id_ for turn in turns for id_ in turn.cleared]
        if cleared:
            await self.connection.execute(self.address.sql(_CLEAR), cleared)
        alarms = [each for turn in turns for each in turn.alarms]
        await arm(self.connection, self.address, alarms)

    async def _write_new(self, turns: list[Turn]) -> None:
        if not turns:
            return
        rows = [
            (
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
            for turn in turns
            if (record := turn.record) is not None
        ]
        done = await self.connection.execute(
            self.address.sql(_INSERT_WORKFLOW), *columns(rows), self.now
        )
        if done != f"INSERT 0 {len(rows)}":
            raise Raced

    async def _write_known(self, turns: list[Turn]) -> None:
        if not turns:
            return
        rows = [
            (
                self._number(turn),
                record.version,
                record.status,
                record.revision,
                turn.content,
                len(turn.history),
            )
            for turn in turns
            if (record := turn.record) is not None
        ]
        await self.connection.execute(self.address.sql(UPDATE_WORKFLOW), *columns(rows), self.now)
        # A journal that was not kept is written anew.
        anew = [self._number(turn) for turn in turns if not turn.kept and turn.journal]
        if anew:
            await self.connection.execute(self.address.sql(CLEAR_JOURNAL), anew)

    async def _write_lines(self, turns: list[Turn]) -> None:
        journal = [
            (self._number(turn), position, line)
            for turn in turns
            for position, line in enumerate(turn.journal, start=turn.kept)
        ]
        await write_journal(self.connection, self.address, journal)
        history = [
            (self._number(turn), self._lines(turn) + line.position, line)
            for turn in turns
            for line in turn.history
        ]
        await write_history(self.connection, self.address, history)

    async def follow(self) -> None:
        """Settle deliveries, keep letters, and send."""
        settled = [
            unit.number
            for unit, refused in zip(self.units, self.refused, strict=True)
            if unit.number is not None and not isinstance(refused, Conflict | Fenced)
        ]
        if settled:
            await self.connection.execute(self.address.sql(_SETTLE), settled)
        going = self._going()
        letters = [letter for place in going for letter in self.units[place].letters]
        if letters:
            await self.connection.execute(self.address.sql(_LETTER), *columns(letters))
        sent = [
            (place, each, self.units[place].owns and (each.key is None or each.key in self._keys))
            for place in going
            for each in self.units[place].sendings
        ]
        ids = await send(
            self.connection, self.address, self.me, [(each, own) for _, each, own in sent], self.now
        )
        for (place, each, _), id_ in zip(sent, ids, strict=True):
            if id_ is not None:
                self.rows[place].append(Row(id_, each.post, 1))

    def _going(self) -> list[int]:
        return [place for place, refused in enumerate(self.refused) if refused is None]

    def _turn(self, place: int) -> Turn:
        turn = self.units[place].turn
        assert turn is not None
        return turn

    def _turn_of(self, place: int) -> Turn | None:
        return self.units[place].turn

    def _revision(self, subject: str) -> int:
        return self._workflows[subject][1] if subject in self._workflows else 0

    def _number(self, turn: Turn) -> int:
        assert turn.subject is not None
        known = self._workflows.get(turn.subject)
        return self._new[turn.subject] if known is None else known[0]

    def _lines(self, turn: Turn) -> int:
        assert turn.subject is not None
        known = self._workflows.get(turn.subject)
        return 0 if known is None else known[2]


_LOCK: Final = """
with mine as materialized (
    select id from arvo.delivery
    where id = any($1::bigint[]) and owner = $2 order by id for update
), held as materialized (
    select id, subject, revision, lines from arvo.workflow
    where subject = any($3::text[]) order by subject for update
)
select 'delivery' as what, id, null as subject, 0 as revision, 0 as lines from mine
union all select 'workflow', id, subject, revision, lines from held
union all select 'key', key, null, 0, 0
    from unnest($4::bigint[]) as wanted (key) where pg_try_advisory_xact_lock(key)
union all select 'new', nextval('arvo.workflow_id_seq'), subject, 0, 0
    from unnest($5::text[]) as new (subject)
"""
_SEEN: Final = "select digest from arvo.inbox where digest = any($1::bytea[])"
_MARK: Final = """
insert into arvo.inbox (digest, at)
select digest, $2 from unnest($1::bytea[]) as new (digest) order by digest
on conflict do nothing returning digest
"""
_INSERT_WORKFLOW: Final = """
insert into arvo.workflow
    (id, subject, handler, version, status, revision, parent, record, lines, began, changed)
select id, subject, handler, version, status, revision, parent, record, lines, $10, $10
from unnest(
    $1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[],
    $8::bytea[], $9::bigint[]
) as new (id, subject, handler, version, status, revision, parent, record, lines)
order by subject on conflict (subject) do nothing
"""
_CLEAR: Final = "delete from arvo.timer where id = any($1::text[])"
_SETTLE: Final = "delete from arvo.delivery where id = any($1::bigint[])"
_LETTER: Final = """
insert into arvo.letter (id, letter) select * from unnest($1::text[], $2::bytea[])
"""
