"""Checkpoints: the results of effects that workers have stored with their deliveries."""

from typing import final

from attrs import define, field

from arvo.interpreters.ports.messages import Delivery


@final
@define(eq=False)
class Checkpoints:
    """The last checkpoint of each message in the queue."""

    _progress: dict[object, bytes] = field(factory=dict, init=False)

    def add(self, delivery: Delivery, progress: bytes) -> None:
        """Record the results that a worker stored."""
        self._progress[_number(delivery)] = progress

    def is_lost(self, delivery: Delivery) -> bool:
        """Return True if a message is delivered with other results than the stored ones."""
        return delivery.progress.data != self._progress.get(_number(delivery), b"")


def _number(delivery: Delivery) -> object:
    assert isinstance(delivery.token, tuple)
    return delivery.token[0]
