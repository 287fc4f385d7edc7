"""Partition: a partition while it is assigned to this process, and the offset to commit."""

from typing import final

from attrs import define, field


@final
@define(eq=False)
class AssignedPartition:
    """One partition, from its assignment until it is revoked.

    The *open* offsets are received and not settled; *in_flight* counts those that a worker has.
    Kafka stores one offset for a partition, so it may commit only up to the first open offset. The
    event loop changes it, except for *fetched*: the number of messages that the polling thread has
    received, including those that the loop has not seen yet. *begin*: its first offset, where that
    is known. Messages before *returned_end* may have been received by a process that died.

    >>> partition = AssignedPartition("orders", 0)
    >>> partition.receive(7), partition.receive(8), partition.receive(9)
    (None, None, None)
    >>> partition.settle(8), partition.next_offset
    (None, 7)
    >>> partition.settle(7), partition.next_offset
    (None, 9)
    """

    topic: str
    number: int
    begin: int | None = None
    returned_end: int = 0
    open: dict[int, None] = field(factory=dict, init=False)
    in_flight: int = field(default=0, init=False)
    fetched: int = field(default=0, init=False)
    # The offset to commit: the first that is not settled; None where none is known yet.
    next_offset: int | None = field(init=False)
    committed: int | None = field(init=False)
    # Nothing more of it is delivered.
    is_revoking: bool = field(default=False, init=False)
    # It belongs to another process: settling changes nothing.
    is_revoked: bool = field(default=False, init=False)
    _settled: int = field(default=0, init=False)
    _end: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.next_offset = self.committed = self.begin

    def receive(self, offset: int) -> None:
        """Add a message; offsets grow."""
        self.open[offset] = None
        self._end = offset + 1
        self._update()

    def settle(self, offset: int) -> None:
        """Settle a message."""
        self.open.pop(offset, None)
        self._settled += 1
        self._update()

    @property
    def size(self) -> int:
        """The number of fetched messages that are not settled."""
        return self.fetched - self._settled

    def _update(self) -> None:
        self.next_offset = next(iter(self.open), self._end)
