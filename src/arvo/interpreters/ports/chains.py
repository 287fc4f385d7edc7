"""Chains: the turns of many messages, committed in one transaction."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, final, runtime_checkable

from attrs import field, frozen

from arvo.core.commit import Commit, PendingTimer
from arvo.core.record import Record
from arvo.engine.chain import is_of_workflow
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.messages import Delivery, Message, timer_message


@final
@frozen(kw_only=True)
class CommitChain:
    """The turns that follow from one message, or from several of one ordering key: applied
    together, or none of them.

    *deliveries*: a polled one and the first of its `followers`, in their order. The first of
    *commits* consume them, one each. Without deliveries the first one consumes *message*, which
    enters now and was not stored. Each other commit consumes an event that one before it emits.
    *messages*: the emitted events that are not consumed here. *replies*: those that requests of
    this process take when the chain is applied; they are no messages, but a request that is
    repeated has to find them. No commits: the message is acknowledged. *expected*: the revisions
    that the store must have, by subject; 0 for no record.
    """

    message: Message
    deliveries: tuple[Delivery, ...] = ()
    commits: tuple[Commit, ...]
    messages: tuple[Message, ...] = ()
    replies: tuple[Message, ...] = ()
    expected: Mapping[str, int] = field(init=False, eq=False, repr=False)

    @expected.default
    def _first_expected(self) -> Mapping[str, int]:
        return expected_revisions(self.commits)

    @property
    def passing_keys(self) -> tuple[str, ...]:
        """The ordering keys for which the chain consumes an event that was not delivered."""
        passing = self.commits[len(self.deliveries) :]
        keys = {commit.event.subject: None for commit in passing if is_of_workflow(commit)}
        return tuple(keys)


@runtime_checkable
class CommitsChains(Protocol):
    """A backend that delivers many messages at once, and commits their turns in one transaction.

    A worker steps what is ready in one tick, together with the events that this emits for its own
    handlers, so that those need not be stored as messages. All promises of `Backend` hold. Without
    this protocol, each delivery is processed by itself.
    """

    @property
    def commits_apart(self) -> bool:
        """Whether each chain is a transaction of its own, and begins with a delivery.

        The worker then passes an event that enters to `send`, commits one chain a call, and takes
        the next tick meanwhile.
        """
        ...

    def subscribe(self, queues: Mapping[str, int], on_ready: Callable[[], None]) -> None:
        """Call *on_ready* when a message of *queues* is ready, until `unsubscribe`.

        *queues* maps each queue to the number of deliveries that the caller takes from it by the
        next `poll`; the caller changes it.
        """
        ...

    def unsubscribe(self, on_ready: Callable[[], None]) -> None:
        """End a subscription."""
        ...

    async def poll(self, queues: Mapping[str, int], limit: int) -> Sequence[Delivery]:
        """Return the messages of *queues* that are ready now, *limit* at most; it does not wait for
        any. Each of them has another ordering key. The caller owns them, as after `receive`.
        """
        ...

    def followers(self, delivery: Delivery) -> Iterator[Delivery]:
        """Yield the messages that wait in this process behind a delivery of their ordering key.

        They come in the order in which they would be delivered, and this process owns them as it
        owns *delivery*. None of them is taken: it is settled by a chain, or delivered later. The
        iterator is used up before the caller awaits anything.
        """
        ...

    def is_busy(self, key: str, deliveries: Sequence[Delivery]) -> bool:
        """Return whether this process knows of a message of an ordering key besides *deliveries*,
        which are those of a `CommitChain`.
        """
        ...

    async def load_all(self, subjects: Sequence[str]) -> Mapping[str, Record]:
        """Return the newest records of those of the workflows that have one."""
        ...

    async def commit_chains(self, chains: Sequence[CommitChain]) -> Sequence[bool]:
        """Apply chains in one transaction; return for each whether it was applied.

        Nothing of a chain is applied, and its first delivery stays with the worker, if `commit`
        would refuse one of its commits in its turn, or if there is another message of one of its
        `passing_keys`: one that is not deferred to a later time. The worker then processes its
        deliveries one by one; those that follow the first one still wait behind it.

        No two chains have a workflow in common. Raises `Unavailable` and `Corrupt` as `commit`.
        """
        ...


def message_of_turn(commit: Commit) -> Message:
    """Return the message that the event of a turn within a chain would have been."""
    key = commit.event.subject if is_of_workflow(commit) else None
    return Message(commit.event, ToHandler(commit.handler, key))


def expected_revisions(commits: Sequence[Commit]) -> dict[str, int]:
    """Return the revisions that a store must have for a chain, by subject; 0 for no record."""
    expected = dict[str, int]()
    for commit in commits:
        if is_of_workflow(commit):
            expected.setdefault(commit.event.subject, commit.expected)
    return expected


def last_timers(
    commits: Sequence[Commit],
) -> tuple[tuple[str, ...], list[tuple[PendingTimer, Message]]]:
    """Return the timers to clear, and those to set: they are not cleared by a later turn."""
    cleared: dict[str, None] = {}
    timers: dict[str, tuple[PendingTimer, Message]] = {}
    for commit in commits:
        for id_ in commit.cleared_timers:
            cleared[id_] = None
            timers.pop(id_, None)
        for timer in commit.timers:
            timers[timer.event.id] = timer, timer_message(commit, timer)
    return tuple(cleared), list(timers.values())
