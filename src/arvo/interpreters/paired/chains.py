"""Chains: the turns of one workflow that follow from one delivery, written as one document."""

from collections.abc import Sequence
from typing import final

from attrs import define, field

from arvo.core.commit import Commit
from arvo.core.events.digest import inbox_digest
from arvo.engine.chain import is_of_workflow
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.paired.consumer import token_of
from arvo.interpreters.paired.documents.codec import encode_message, encode_timers
from arvo.interpreters.paired.documents.document import (
    Consumption,
    Output,
    WorkflowDocument,
    digest_of,
)
from arvo.interpreters.paired.documents.store import pending_in
from arvo.interpreters.paired.outbox import Outbox
from arvo.interpreters.ports.broker import Broker, SeesKeys
from arvo.interpreters.ports.chains import CommitChain
from arvo.interpreters.ports.messages import Delivery, key_of
from arvo.interpreters.ports.results import Committed


@final
@define(eq=False)
class ChainWriter:
    """Writes chains. What they emit and consume themselves never is a message.

    A pair writes one document at once, so a chain has the turns of one workflow, and those of
    handlers without memory. The journal holds the output of the chain at its first turn: a crash
    before the delivery is acknowledged leads there. The other turns are marked as consumed.
    """

    broker: Broker
    outbox: Outbox
    # Checked once: `isinstance` with a protocol is slow.
    _seeing: SeesKeys | None = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._seeing = self.broker if isinstance(self.broker, SeesKeys) else None

    @property
    def passes_keys(self) -> bool:
        """Whether a chain may go on with an event of the workflow that it began with.

        The broker has to know whether another event of the workflow waits, which comes before it.
        """
        return self._seeing is not None

    async def write(self, chain: CommitChain) -> bool:
        """Write a chain and send its output; False if it has to be processed turn by turn.

        Nothing is written then. The delivery is not acknowledged. On every doubt it returns False:
        the paths for duplicates, conflicts and cancellations are those of a single turn.
        """
        if not chain.deliveries:
            # Its output would be lost in a crash: no delivery leads back to it.
            return False
        [delivery] = chain.deliveries
        if not chain.commits:
            return True
        timers = (message for commit in chain.commits for message in encode_timers(commit))
        # The replies that no broker has to deliver are last, and are left out when it is sent.
        messages = *map(encode_message, chain.messages), *timers
        output = Output(
            (*messages, *map(encode_message, chain.replies)),
            answers=tuple(id_ for commit in chain.commits for id_ in commit.answers),
        )
        turns = [commit for commit in chain.commits if is_of_workflow(commit)]
        if not turns:
            sent = await self.outbox.send_answer(delivery, chain.commits[0], Output(messages))
            return isinstance(sent, Committed)
        key = key_of(delivery.message.to)
        if any(turn.record is None or turn.record.subject != key for turn in turns):
            return False
        if chain.passing_keys and not await self._is_next(delivery):
            return False
        return await self._write_turns(delivery, turns, output, len(messages))

    async def _is_next(self, delivery: Delivery) -> bool:
        """Return whether no other event of a workflow waits.

        One that is accepted from now on comes behind the events that the chain emits.
        """
        seeing = self._seeing
        return seeing is not None and not await seeing.has_others(token_of(delivery))

    async def _write_turns(
        self, delivery: Delivery, turns: Sequence[Commit], output: Output, number: int
    ) -> bool:
        first, last = turns[0], turns[-1].record
        assert last is not None
        document = await self._document(last.subject, first.expected)
        entries = [_entry(turn, output if turn is first else None) for turn in turns]
        if document.turn != first.expected or any(document.find(each.digest) for each in entries):
            return False
        if pending_in(document, delivery) is not None:
            return False
        if await self.outbox.workflow_ids.reserve(first) is not None:
            return False
        now = turns[-1].now or utc_now()
        after = await self.outbox.write(document, last, entries, turns, now)
        if after is None:
            return False
        await self.outbox.send_new(entries[0], number)
        await self.outbox.index.write(after)
        return True

    async def _document(self, subject: str, expected: int) -> WorkflowDocument:
        """Return the document to write on; if it is not the newest one, the write is refused."""
        documents = self.outbox.documents
        if (cached := documents.cached(subject)) is not None:
            return cached
        return WorkflowDocument() if expected == 0 else await documents.read(subject)


def _entry(turn: Commit, output: Output | None) -> Consumption:
    assert turn.record is not None
    digest = digest_of(turn.handler, turn.event)
    return Consumption(digest, turn.record.revision, output, inbox_digest(turn.event))
