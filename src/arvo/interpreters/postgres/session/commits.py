"""Commits: the commits of single deliveries and of chains, encoded and written as batches."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import final

from attrs import define

from arvo.core.commit import Commit
from arvo.interpreters.codecs.waiting import encoding, writing
from arvo.interpreters.delivery.claims import ClaimLoop
from arvo.interpreters.ports.chains import CommitChain
from arvo.interpreters.ports.messages import DeadLetter, Delivery, Message
from arvo.interpreters.ports.results import CommitResult, Committed
from arvo.interpreters.postgres.session.batches import BatchWriter, rows_of
from arvo.interpreters.postgres.session.reconnect import SessionManager
from arvo.interpreters.postgres.statements.dead_letters import dead_letter_rows
from arvo.interpreters.postgres.statements.write_batch import (
    WriteBatch,
    commit_changes,
    delivery_row,
)


@final
@define(eq=False)
class CommitWriter:
    """Writes commits. *now*: the clock of the history, and of timers."""

    sessions: SessionManager
    claims: ClaimLoop
    batches: BatchWriter
    now: Callable[[], datetime]

    async def commit(
        self,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        """Apply a commit, send its messages and acknowledge the delivery, all or nothing."""
        dsn = self.sessions.dsn

        async def write() -> CommitResult:
            rows = tuple(delivery_row(message, dsn) for message in messages)
            batch = WriteBatch(
                delivery_ids=rows_of([delivery]),
                delivery=delivery,
                changes=commit_changes([commit], rows, self.now(), dsn),
                deliveries=rows,
                dead_letters=dead_letter_rows(dead_letters, dsn),
                claim_own=self.claims.accepts(messages),
                unowned=frozenset(self.claims.limited),
            )
            return await self.batches.write(batch, delivery)

        result = await writing(dsn.codec, write)
        if isinstance(result, Committed):
            # Not before: a poll that runs too early finds no timer, and the next one is late.
            self.sessions.schedule(commit.timers)
        return result

    async def commit_chains(self, chains: Sequence[CommitChain]) -> list[bool]:
        """Apply chains, each of them all or nothing, and return which were applied."""
        codec = self.sessions.dsn.codec
        batches = [await encoding(codec, partial(self._batch, chain)) for chain in chains]
        applied = await self.batches.write_chains(batches)
        for chain, is_applied in zip(chains, applied, strict=True):
            for commit in chain.commits if is_applied else ():
                self.sessions.schedule(commit.timers)
        return applied

    def _batch(self, chain: CommitChain) -> WriteBatch:
        dsn = self.sessions.dsn
        rows = tuple(delivery_row(message, dsn) for message in chain.messages)
        return WriteBatch(
            delivery_ids=rows_of(chain.deliveries),
            delivery=chain.deliveries[0] if chain.deliveries else None,
            followers=chain.deliveries[1:],
            changes=commit_changes(chain.commits, rows, self.now(), dsn),
            deliveries=rows,
            claim_own=self.claims.accepts(chain.messages),
            unowned=frozenset(self.claims.limited),
            is_chain=True,
            passing_keys=tuple(map(dsn.hash, chain.passing_keys)),
        )
