"""Partition: a partition while it is assigned to this process, and what to commit for it."""

from typing import TypeAlias, final

from attrs import define, field

from arvo.interpreters.kafka.held import HELD_MAX, Held, encode_held

# An offset to commit, and the text of the messages that are put off.
Position: TypeAlias = tuple[int, str]


@final
@define(eq=False)
class AssignedPartition:
    """One partition, from its assignment until it is revoked.

    The *open* offsets are received and not settled; *in_flight* counts those that a worker has.
    Kafka stores one offset for a partition, so it may commit only up to the first open offset. The
    event loop changes it, except for *fetched*: the number of messages that the polling thread has
    received, including those that the loop has not seen yet. *begin*: its first offset, where that
    is known. Messages before *returned_end* may have been received by a process that died. *held*:
    messages that are put off, here or by the process before, by offset.

    >>> partition = AssignedPartition("orders", 0)
    >>> partition.receive(7), partition.receive(8), partition.receive(9)
    (None, None, None)
    >>> partition.settle(8), partition.position
    (None, (7, ''))
    >>> partition.settle(7), partition.position
    (None, (9, ''))
    """

    topic: str
    number: int
    begin: int | None = None
    returned_end: int = 0
    held: dict[int, Held] = field(factory=dict)
    open: dict[int, None] = field(factory=dict, init=False)
    in_flight: int = field(default=0, init=False)
    fetched: int = field(default=0, init=False)
    # What to commit: the first offset that is not settled; None where none is known yet.
    position: Position | None = field(default=None, init=False)
    committed: Position | None = field(init=False)
    # Nothing more of it is delivered.
    is_revoking: bool = field(default=False, init=False)
    # It belongs to another process: settling changes nothing.
    is_revoked: bool = field(default=False, init=False)
    _settled: int = field(default=0, init=False)
    _end: int = field(default=0, init=False)
    _held_text: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._held_text = encode_held(self.held)
        if self.begin is not None:
            self._end = self.begin
            self._update()
        self.committed = self.position

    def receive(self, offset: int) -> None:
        """Add a message; offsets grow."""
        self.open[offset] = None
        self._end = offset + 1
        self._update()

    def settle(self, offset: int) -> None:
        """Settle a message."""
        self.open.pop(offset, None)
        if self.held.pop(offset, None) is not None:
            self._held_text = encode_held(self.held)
        self._settled += 1
        self._update()

    def hold(self, offset: int, held: Held) -> None:
        """Note that a message is put off, for the process that gets the partition next."""
        if offset in self.held or len(self.held) < HELD_MAX:
            self.held[offset] = held
            self._held_text = encode_held(self.held)
            self._update()

    @property
    def size(self) -> int:
        """The number of fetched messages that are not settled."""
        return self.fetched - self._settled

    @property
    def span(self) -> int:
        """The number of messages from the first one that is not settled on, settled or not."""
        return 0 if self.position is None else self._end - self.position[0]

    def _update(self) -> None:
        self.position = next(iter(self.open), self._end), self._held_text
