"""Chains: many turns in one transaction, each chain applied whole or not at all."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from arvo.core.commit import Commit
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.chains import CommitChain, CommitsChains
from arvo.interpreters.ports.messages import REPLY_QUEUE, Delivery, Message, queue_of
from arvo.interpreters.ports.results import Committed, Duplicate
from arvo.testing.conformance.cancellations import to_cancel
from arvo.testing.conformance.kit import NOT_DURABLE, BackendKit, conformance_test, skip
from arvo.testing.conformance.kit.kit import NO_CHAINS, NO_FOLLOWERS, NO_PASSING
from arvo.testing.conformance.kit.samples import (
    SERVICE,
    WORKFLOW,
    begin_commit,
    record,
    subject,
    timer,
    to_begin,
    to_caller,
    to_service,
    to_workflow,
    turn_commit,
)

LIMITS = {WORKFLOW: 100, SERVICE: 100}


class Chains(BackendKit):
    """Tests of `CommitsChains`."""

    @conformance_test
    async def test_poll_takes_what_is_ready_one_of_each_key(self, backend: Backend) -> None:
        """I4: the second event of a workflow waits for the first; other workflows do not."""
        chains = _chains(backend)
        for message in (to_workflow("a"), to_workflow("b"), to_workflow("c", "two")):
            await backend.send(message)

        polled = {each.message.event.id: each for each in await self._poll(chains, 2)}

        # In any order: the workflows are independent of each other.
        assert sorted(polled) == ["a", "c"]
        assert list(await chains.poll(LIMITS, 100)) == []
        await backend.ack(polled["a"])
        [second] = await self._poll(chains, 1)
        assert second.message.event.id == "b"

    @conformance_test
    async def test_poll_takes_no_more_than_its_limits(self, backend: Backend) -> None:
        """What a worker has no room for is left to the others."""
        chains, limits = _chains(backend), {WORKFLOW: 1, SERVICE: 0}
        for message in (to_service("s"), to_workflow("a"), to_workflow("b", "two")):
            await backend.send(message)

        [first] = await self._poll(chains, 1, limits)

        assert first.message.event.id in ("a", "b")
        assert list(await chains.poll({SERVICE: 1, WORKFLOW: 1}, 0)) == []

    @conformance_test
    async def test_a_subscriber_is_woken_by_a_message(self, backend: Backend) -> None:
        """Else a worker that waits would not see it."""
        chains, ready = _chains(backend), asyncio.Event()
        on_ready = ready.set
        chains.subscribe(LIMITS, on_ready)
        await chains.poll(LIMITS, 100)
        ready.clear()

        await backend.send(to_service("s"))

        await self.eventually(ready.wait(), "the message that was sent")
        chains.unsubscribe(on_ready)

    @conformance_test
    async def test_a_chain_is_applied_completely(self, backend: Backend) -> None:
        """I1, I2: both turns are written, what they pass on is delivered, and both are consumed."""
        delivery = await self._send_and_receive(backend, to_workflow("begin"))
        _check_passing(backend, delivery)
        reply, out = to_workflow("reply"), to_caller("done")
        first = turn_commit(delivery, 1, messages=[reply], timers=[timer("soon", 3_600.0)])
        second = _next(reply, 2, [out])

        applied = await _chains(backend).commit_chains(
            [_chain(delivery, [first, second], messages=[out])]
        )

        assert list(applied) == [True]
        assert await backend.load(subject()) == record(2)
        answer = await self.eventually(backend.receive(REPLY_QUEUE), "what the chain passed on")
        assert answer.message == out
        await backend.ack(answer)
        if self.reports_depth:
            depth = await backend.depth()
            assert (depth.total, depth.timers) == (0, 1)
        if self.supports_listing:
            history = await backend.history(subject())
            kinds = [(entry.position, entry.kind, entry.revision) for entry in history]
            assert kinds == [
                (0, "consumed", 1),
                (1, "produced", 1),
                (2, "consumed", 2),
                (3, "produced", 2),
            ]
        again = await self._send_and_receive(backend, reply)
        assert await backend.commit(again, turn_commit(again, 3), [], []) == Duplicate()

    @conformance_test
    async def test_followers_come_in_their_order_and_are_not_taken(self, backend: Backend) -> None:
        """I4: those of the same workflow; they are delivered later if no chain settles them."""
        chains = _chains(backend)
        _check_apart(backend)
        for message in (to_workflow("a"), to_workflow("x", "two"), *map(to_workflow, "bcd")):
            await backend.send(message)
        first, other = await self._poll(chains, 2)

        followers = await self._followers(chains, first, 3)

        assert [each.message.event.id for each in followers] == ["b", "c", "d"]
        assert list(chains.followers(other)) == []
        assert await backend.commit(first, turn_commit(first, 1), [], []) == Committed()
        [second] = await self._poll(chains, 1)
        assert second.message.event.id == "b"
        behind = await self._followers(chains, second, 2)
        assert [each.message.event.id for each in behind] == ["c", "d"]

    @conformance_test
    async def test_a_chain_consumes_its_followers(self, backend: Backend) -> None:
        """I1, I2: each of them has its turn; those behind them are delivered next."""
        chains = _chains(backend)
        first, followers = await self._poll_followed(backend, "abcd")
        commits = [
            turn_commit(delivery, revision)
            for revision, delivery in enumerate((first, *followers[:2]), 1)
        ]

        applied = await chains.commit_chains([_chain(first, commits, followers=followers[:2])])

        assert list(applied) == [True]
        assert await backend.load(subject()) == record(3)
        if self.supports_listing:
            history = await backend.history(subject())
            consumed = [each.event.id for each in history if each.kind == "consumed" and each.event]
            assert consumed == ["a", "b", "c"]
        [last] = await self._poll(chains, 1)
        assert last.message.event.id == "d"
        assert list(chains.followers(last)) == []
        await backend.ack(last)
        await self.eventually(backend.wait_until_idle(), "the backend is idle")
        for id_ in "abc":
            again = await self._send_and_receive(backend, to_workflow(id_))
            assert await backend.commit(again, turn_commit(again, 4), [], []) == Duplicate()

    @conformance_test
    async def test_a_chain_with_a_refused_follower_changes_nothing(self, backend: Backend) -> None:
        """I1, I2, I4: all of them are delivered one by one, in their order."""
        chains = _chains(backend)
        before = await self._send_and_receive(backend, to_workflow("b"))
        assert await backend.commit(before, turn_commit(before, 1), [], []) == Committed()
        first, followers = await self._poll_followed(backend, "abc")
        commits = [
            turn_commit(delivery, revision)
            for revision, delivery in enumerate((first, *followers), 2)
        ]

        applied = await chains.commit_chains([_chain(first, commits, followers=followers)])

        assert list(applied) == [False]
        assert await backend.load(subject()) == record(1)
        assert await backend.commit(first, commits[0], [], []) == Committed()
        [second] = await self._poll(chains, 1)
        assert second.message.event.id == "b"
        assert await backend.commit(second, turn_commit(second, 3), [], []) == Duplicate()
        [third] = await self._poll(chains, 1)
        assert await backend.commit(third, turn_commit(third, 3), [], []) == Committed()

    @conformance_test
    async def test_a_chain_passes_no_message_behind_its_followers(self, backend: Backend) -> None:
        """I4: what a turn emits for its own workflow comes behind all that waits for it."""
        chains = _chains(backend)
        first, followers = await self._poll_followed(backend, "abc")
        own = to_workflow("own")
        commits = [turn_commit(first, 1, messages=[own]), turn_commit(followers[0], 2)]
        passing = [*commits, _next(own, 3)]

        applied = await chains.commit_chains([_chain(first, passing, followers=followers[:1])])

        assert list(applied) == [False]
        assert chains.is_busy(subject(), [first, followers[0]])
        assert not chains.is_busy(subject(), [first, *followers])
        behind = [*commits, turn_commit(followers[1], 3), _next(own, 4)]
        applied = await chains.commit_chains([_chain(first, behind, followers=followers)])
        assert list(applied) == [True]
        assert await backend.load(subject()) == record(4)

    @conformance_test
    async def test_a_chain_with_followers_yields_to_a_cancellation(self, backend: Backend) -> None:
        """It interrupts the turns of all that wait before it."""
        first, followers = await self._poll_followed(backend, "ab")
        await backend.send(to_cancel(run="one"))
        commits = [turn_commit(first, 1), turn_commit(followers[0], 2)]

        applied = await _chains(backend).commit_chains(
            [_chain(first, commits, followers=followers)]
        )

        assert list(applied) == [False]
        assert await backend.load(subject()) is None

    @conformance_test
    async def test_of_two_chains_that_begin_one_workflow_id_one_is_applied(
        self, backend: Backend
    ) -> None:
        """I2: in one call, and in two that follow each other."""
        begins = [to_begin(f"begin-{at}", initiator=f"com.kit.{at}") for at in range(3)]
        chains = []
        for begin in begins:
            first = await self._enter(backend, begin)
            chains.append(_chain(first, [begin_commit(Delivery(begin, 1))]))
        commit_chains = _chains(backend).commit_chains
        if _chains(backend).commits_apart:
            results = await asyncio.gather(*(commit_chains([chain]) for chain in chains[:2]))
            applied = [result for [result] in results]
        else:
            applied = list(await commit_chains(chains[:2]))
        late = await commit_chains(chains[2:])

        # Those of a pair may refuse each other, and are then taken one by one.
        assert sum(applied) <= 1
        if not _chains(backend).commits_apart:
            assert sum(applied) == 1
        if any(applied):
            assert list(late) == [False]
        stored = [await backend.load(begin.event.subject) for begin in begins]
        assert [record is not None for record in stored] == [*applied, *late]

    @conformance_test
    async def test_a_chain_that_begins_one_workflow_id_twice_is_refused(
        self, backend: Backend
    ) -> None:
        """I2: two versions of a workflow have the same id under two subjects."""
        begins = [to_begin(f"begin-{at}", initiator=f"com.kit.{at}") for at in range(2)]
        first = await self._enter(backend, begins[0])
        commits = [begin_commit(Delivery(begin, 1)) for begin in begins]

        applied = await _chains(backend).commit_chains([_chain(first, commits)])

        assert list(applied) == [False]
        assert await backend.load(begins[0].event.subject) is None

    @conformance_test
    async def test_a_chain_survives_a_restart(self, backend: Backend) -> None:
        """I1: it is durable when the call returns."""
        if not self.is_durable:
            skip(NOT_DURABLE)
        begin, reply = to_workflow("begin"), to_workflow("reply")
        first = await self._enter(backend, begin)
        _check_passing(backend, first)
        chain = _chain(first, [_next(begin, 1, [reply]), _next(reply, 2)])
        assert list(await _chains(backend).commit_chains([chain])) == [True]
        await backend.close()

        restarted = await self.open_subject()

        assert await restarted.load(subject()) == record(2)
        again = await self._send_and_receive(restarted, begin)
        assert await restarted.commit(again, turn_commit(again, 3), [], []) == Duplicate()
        await self.close_subject(restarted)

    @conformance_test
    async def test_a_message_that_enters_is_consumed_once(self, backend: Backend) -> None:
        """I2: also when it is sent again, alone or twice at once."""
        begin, other = to_workflow("begin"), to_service("s")
        service = Commit(handler=SERVICE, event=other.event)

        async def chains() -> list[CommitChain]:
            begun, *others = [await self._enter(backend, it) for it in (begin, other, other)]
            both = [_chain(each, [service]) for each in others]
            return [_chain(begun, [_next(begin, 1)]), *both]

        begun, *repeated = await _chains(backend).commit_chains(await chains())
        assert begun
        assert sorted(repeated) == [False, True]
        again = await chains()
        assert list(await _chains(backend).commit_chains(again)) == [False, False, False]

        assert await backend.load(subject()) == record(1)

    @conformance_test
    async def test_a_chain_on_an_outdated_record_changes_nothing(self, backend: Backend) -> None:
        """I4, I6: at whichever of its turns, and the others of the transaction are applied."""
        await self._start(backend, "two")
        delivery = await self._send_and_receive(backend, to_workflow("begin"))
        child, other = to_workflow("child", "two"), to_service("s")
        first = turn_commit(delivery, 1, messages=[child, other])
        stale = _next(child, 1, run="two")
        third = to_workflow("third", "three")
        entering = await self._enter(backend, third)

        applied = await _chains(backend).commit_chains(
            [
                _chain(delivery, [first, stale], messages=[other]),
                _chain(entering, [_next(third, 1, run="three")]),
            ]
        )

        assert list(applied) == [False, True]
        assert await backend.load(subject()) is None
        assert await backend.load(subject("three")) == record(1, "three")
        await self.never(backend.receive(SERVICE), "a message of a refused chain")
        # The delivery stays with the worker.
        assert await backend.commit(delivery, first, [], []) == Committed()

    @conformance_test
    async def test_no_turn_is_taken_before_a_message_that_waits(self, backend: Backend) -> None:
        """I4: of a workflow whose event was not delivered; of its own delivery it may go on."""
        await self._start(backend, "two")
        delivery = await self._send_and_receive(backend, to_workflow("begin"))
        _check_passing(backend, delivery)
        await backend.send(to_workflow("signal", "two"))
        child = to_workflow("child", "two")
        first, passing = turn_commit(delivery, 1, messages=[child]), _next(child, 2, run="two")
        own = _next(to_workflow("own"), 2)

        chains = _chains(backend)
        assert list(await chains.commit_chains([_chain(delivery, [first, passing])])) == [False]
        assert list(await chains.commit_chains([_chain(child, [passing])])) == [False]
        assert await backend.load(subject("two")) == record(1, "two")
        assert list(await chains.commit_chains([_chain(delivery, [first, own])])) == [True]
        signal = await self.eventually(backend.receive(WORKFLOW), "the event that waited")
        assert signal.message.event.id == "signal"

    @conformance_test
    async def test_no_turn_is_taken_before_a_message_of_the_same_workflow(
        self, backend: Backend
    ) -> None:
        """I4: what a turn emits comes behind what was accepted before it was taken."""
        delivery = await self._send_and_receive(backend, to_workflow("begin"))
        chain = _chain(delivery, [turn_commit(delivery, 1), _next(to_workflow("own"), 2)])
        await backend.send(to_workflow("signal"))

        assert list(await _chains(backend).commit_chains([chain])) == [False]

        assert await backend.load(subject()) is None
        assert await backend.commit(delivery, turn_commit(delivery, 1), [], []) == Committed()
        signal = await self.eventually(backend.receive(WORKFLOW), "the event that waited")
        assert signal.message.event.id == "signal"

    @conformance_test
    async def test_a_deferred_message_holds_back_no_chain(self, backend: Backend) -> None:
        """It came before its time, and what it waits for may be in the chain."""
        early = await self._send_and_receive(backend, to_workflow("early"))
        await backend.defer(early, 3_600.0)
        begin, own = to_workflow("begin"), to_workflow("own")
        first = await self._enter(backend, begin)
        _check_passing(backend, first)

        applied = await _chains(backend).commit_chains(
            [_chain(first, [_next(begin, 1), _next(own, 2)])]
        )

        assert list(applied) == [True]

    @conformance_test
    async def test_a_chain_yields_to_a_cancellation(self, backend: Backend) -> None:
        """A workflow that was cancelled takes no further turn, in a chain either."""
        await self._start(backend, "two")
        delivery = await self._send_and_receive(backend, to_workflow("begin"))
        await backend.send(to_cancel(run="one"))
        first = turn_commit(delivery, 1)

        assert list(await _chains(backend).commit_chains([_chain(delivery, [first])])) == [False]
        assert await backend.load(subject()) is None

    @conformance_test
    async def test_a_chain_without_turns_acknowledges(self, backend: Backend) -> None:
        """A reply that a request takes leaves the system."""
        await backend.send(to_caller("done"))
        delivery = await self.eventually(backend.receive(REPLY_QUEUE), "the reply")

        assert list(await _chains(backend).commit_chains([_chain(delivery, [])])) == [True]

        await self.eventually(backend.wait_until_idle(), "the backend is idle")

    @conformance_test
    async def test_many_records_are_loaded_at_once(self, backend: Backend) -> None:
        """Those of the workflows that have one."""
        await self._start(backend, "one")
        await self._start(backend, "two")

        loaded = await _chains(backend).load_all([subject(), subject("two"), subject("none")])

        assert loaded == {subject(): record(1), subject("two"): record(1, "two")}

    async def _poll(
        self, chains: CommitsChains, number: int, limits: Mapping[str, int] = LIMITS
    ) -> list[Delivery]:
        """Poll until *number* deliveries are there."""
        polled: list[Delivery] = []

        def on_ready() -> None:
            pass

        async def poll() -> None:
            while len(polled) < number:
                polled.extend(await chains.poll(limits, 100))
                await asyncio.sleep(0)

        chains.subscribe(limits, on_ready)
        try:
            await self.eventually(poll(), f"{number} messages that are ready")
        finally:
            chains.unsubscribe(on_ready)
        await _load_data(polled)
        return polled

    async def _followers(
        self, chains: CommitsChains, delivery: Delivery, number: int
    ) -> list[Delivery]:
        """Poll until *number* messages wait behind a delivery; none of them is delivered."""

        async def find() -> list[Delivery]:
            while len(followers := list(chains.followers(delivery))) < number:
                assert list(await chains.poll(LIMITS, 100)) == []
                await asyncio.sleep(0)
            return followers

        followers = await self.eventually(find(), f"{number} messages that wait")
        await _load_data(followers)
        return followers

    async def _poll_followed(self, backend: Backend, ids: str) -> tuple[Delivery, list[Delivery]]:
        """Send events with these ids to one workflow; return the first one, and those behind it."""
        chains = _chains(backend)
        _check_apart(backend)
        for id_ in ids:
            await backend.send(to_workflow(id_))
        [first] = await self._poll(chains, 1)
        return first, await self._followers(chains, first, len(ids) - 1)

    async def _send_and_receive(self, backend: Backend, message: Message) -> Delivery:
        await backend.send(message)
        queue = queue_of(message.to)
        return await self.eventually(backend.receive(queue), "the message that was sent")

    async def _enter(self, backend: Backend, message: Message) -> Delivery | Message:
        """Return what a chain of a message that is sent now begins with."""
        if _chains(backend).commits_apart:
            return await self._send_and_receive(backend, message)
        return message

    async def _start(self, backend: Backend, run: str) -> None:
        delivery = await self._send_and_receive(backend, to_workflow(f"begin-{run}", run))
        assert await backend.commit(delivery, turn_commit(delivery, 1, run=run), [], []) == (
            Committed()
        )


async def _load_data(deliveries: Iterable[Delivery]) -> None:
    """Fetch what a blob store has: a worker does so before it takes a turn."""
    for delivery in deliveries:
        await delivery.message.load_data()


def _chains(backend: Backend) -> CommitsChains:
    """Return the backend as one that commits chains; ends the test if it is none."""
    if not isinstance(backend, CommitsChains):
        skip(NO_CHAINS)
    return backend


def _check_apart(backend: Backend) -> None:
    """End the test if no message that follows another one is in this process."""
    if _chains(backend).commits_apart:
        skip(NO_FOLLOWERS)


def _check_passing(backend: Backend, first: Delivery | Message) -> None:
    """End the test if no chain of *first* may go on with the same workflow."""
    deliveries = [first] if isinstance(first, Delivery) else []
    if _chains(backend).is_busy(subject(), deliveries):
        skip(NO_PASSING)


def _chain(
    first: Delivery | Message,
    commits: Sequence[Commit],
    messages: Sequence[Message] = (),
    followers: Sequence[Delivery] = (),
) -> CommitChain:
    return CommitChain(
        message=first.message if isinstance(first, Delivery) else first,
        deliveries=(first, *followers) if isinstance(first, Delivery) else (),
        commits=tuple(commits),
        messages=tuple(messages),
    )


def _next(
    message: Message, revision: int, messages: Sequence[Message] = (), run: str = "one"
) -> Commit:
    """Make the commit of a turn whose event is no delivery."""
    return turn_commit(Delivery(message, 1), revision, run=run, messages=messages)
