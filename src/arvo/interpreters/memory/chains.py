"""Chains: whether the chains of a tick apply to what a memory backend stores."""

from typing import final

from attrs import frozen

from arvo.core.begin import begun_ids
from arvo.interpreters.delivery.queues import InProcessQueues
from arvo.interpreters.memory.cancellations import MemoryCancellations
from arvo.interpreters.memory.inbox import MemoryInbox
from arvo.interpreters.memory.workflows import MemoryWorkflows
from arvo.interpreters.ports.chains import CommitChain
from arvo.interpreters.ports.messages import yields_to_cancellation


@final
@frozen
class MemoryChains:
    """Looks for what refuses a chain."""

    workflows: MemoryWorkflows
    inbox: MemoryInbox
    cancellations: MemoryCancellations
    queues: InProcessQueues

    def is_applicable(self, chain: CommitChain) -> bool:
        """Return whether a chain can be applied."""
        begun = begun_ids(chain.commits)
        return begun is not None and not (
            any(self.queues.is_busy(key, chain.deliveries) for key in chain.passing_keys)
            or any(
                self.workflows.revision(subject) != expected
                for subject, expected in chain.expected.items()
            )
            or any(
                yields_to_cancellation(commit)
                and self.cancellations.is_waiting(commit.event.subject)
                for commit in chain.commits
            )
            or any(self.inbox.has(commit.handler, commit.event) for commit in chain.commits)
            or any(self.workflows.find_holder(key, event) for key, event in begun.items())
        )
