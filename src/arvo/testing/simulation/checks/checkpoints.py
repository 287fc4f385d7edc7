"""Checkpoints: the results of effects that workers have stored with their deliveries."""

from collections.abc import Callable
from typing import final

from attrs import define, field

from arvo.interpreters.ports.messages import Delivery


@final
@define(eq=False)
class Checkpoints:
    """The last checkpoint of each message in the queue, by its *key*."""

    key: Callable[[Delivery], object]
    _progress: dict[object, bytes] = field(factory=dict, init=False)

    def add(self, delivery: Delivery, progress: bytes) -> None:
        """Record the results that a worker stored."""
        self._progress[self.key(delivery)] = progress

    def find(self, delivery: Delivery) -> bytes:
        """Return the stored results of a message, empty where there are none."""
        return self._progress.get(self.key(delivery), b"")
