"""Chains: the turns of a chain, and the events in it that never were messages."""

from collections.abc import Container, Iterable, Iterator
from typing import final

from attrs import define, field

from arvo.core.commit import Commit
from arvo.interpreters.ports.chains import CommitChain, message_of_turn
from arvo.interpreters.ports.messages import Delivery, Message
from arvo.testing.simulation.checks.order import DeliveryKey, delivery_key


@final
@define(eq=False)
class ChainedEvents:
    """The events that chains have emitted and consumed themselves: no store may deliver them."""

    _keys: set[DeliveryKey] = field(factory=set, init=False)

    def add(self, chain: CommitChain, accepted: Container[DeliveryKey]) -> None:
        """Add the events of a chain, unless they are *accepted* as messages, too."""
        chained = chain.commits[len(chain.deliveries) :]
        keys = (delivery_key(message_of_turn(commit)) for commit in chained)
        self._keys.update(key for key in keys if key not in accepted)

    def add_messages(self, messages: Iterable[Message]) -> None:
        """Record events that are messages: a handler may emit one of a chain again."""
        self._keys.difference_update(map(delivery_key, messages))

    def has(self, message: Message) -> bool:
        """Return whether an event was consumed in its chain, and is no message."""
        return delivery_key(message) in self._keys


def turns_of(chain: CommitChain) -> Iterator[tuple[Delivery, Commit, list[Message]]]:
    """Yield each turn of a chain as if its event had been delivered: the delivery, the commit, and
    the events that it emits.
    """
    first, number = chain.deliveries[0], len(chain.deliveries)
    chained = [message_of_turn(commit) for commit in chain.commits[number:]]
    passed = [Delivery(message, first.attempt, first.token) for message in chained]
    sent = [*chain.messages, *chained]
    for delivery, commit in zip([*chain.deliveries, *passed], chain.commits, strict=True):
        own = [each for each in sent if each.event in commit.events]
        # In the order in which the turn emits them, as when it is committed by itself.
        own.sort(key=lambda each: commit.events.index(each.event))
        yield delivery, commit, own
