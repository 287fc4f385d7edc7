"""Wrong chains: stores that each break one promise where they commit the chains of a tick."""

from collections.abc import Sequence

from attrs import evolve

from arvo.engine.chain import is_of_workflow
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.chains import CommitChain
from arvo.interpreters.ports.messages import Delivery, Message
from arvo.testing import Store


class PassesWaitingEvents(Store):
    """Commits a chain although an event of one of its workflows waits."""

    def has_others(self, key: str, deliveries: Sequence[Delivery]) -> bool:
        del key, deliveries
        return False


class CommitsChainsPastCancellations(Store):
    """Commits a chain although a cancellation of one of its workflows waits."""

    def is_cancelled(self, key: str) -> bool:
        del key
        return False


class FollowersInReverse(Store):
    """Hands out the messages that wait behind another one, the newest first."""

    def followers(self, worker: str, delivery: Delivery) -> list[Delivery]:
        return super().followers(worker, delivery)[::-1]


class SkipsFollowers(Store):
    """Hands out all messages that wait behind another one but the first."""

    def followers(self, worker: str, delivery: Delivery) -> list[Delivery]:
        return super().followers(worker, delivery)[1:]


class AppliesHalfAChain(Store):
    """Applies the first turn of a chain before it finds that another one is refused."""

    def commit_chain(self, worker: str, chain: CommitChain) -> bool:
        is_applied = super().commit_chain(worker, chain)
        if not is_applied:
            first = evolve(chain, commits=chain.commits[:1], messages=(), deliveries=())
            super().commit_chain(worker, first)
        return is_applied


class SkipsLastTurns(Store):
    """Applies a chain without its last turn."""

    def apply_chain(self, chain: CommitChain) -> None:
        super().apply_chain(evolve(chain, commits=chain.commits[: max(1, len(chain.commits) - 1)]))


class ForgetsChainedEvents(Store):
    """Has an inbox for the events that are delivered, and none for those within a chain."""

    def apply_chain(self, chain: CommitChain) -> None:
        super().apply_chain(chain)
        for commit in chain.commits[1:]:
            del self.consumed[self.consumption(commit)]


class StoresChainedEvents(Store):
    """Stores what a chain has consumed as messages, too."""

    def apply_chain(self, chain: CommitChain) -> None:
        super().apply_chain(chain)
        for commit in chain.commits[1:]:
            key = commit.event.subject if is_of_workflow(commit) else None
            self.enqueue(Message(commit.event, ToHandler(commit.handler, key)))
