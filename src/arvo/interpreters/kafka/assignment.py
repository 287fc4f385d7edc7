"""Assignment: what the process that had a partition before has left to the next one."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

from confluent_kafka import Consumer as KafkaConsumer
from confluent_kafka import KafkaException, TopicPartition

from arvo.interpreters.kafka.held import decode_held
from arvo.interpreters.kafka.partition import AssignedPartition
from arvo.interpreters.kafka.producer import CALL_SECONDS_MAX

# The metadata of a committed offset, as long as a process has the partition. Kafka does not mark a
# message that it delivers again; this mark is still there when the process has died.
IN_USE: Final = "in use"
HANDED_OVER: Final = ""
# Of a partition that was handed over, but whose messages before an offset, which follows, may have
# been in progress at a process that died.
RETURNED: Final = "returned before "
# Separates that from the messages that are put off.
HELD: Final = "; put off "
# The setting by which a group without a committed offset begins at the first message.
EARLIEST: Final = "earliest"


def take_over(
    consumer: "KafkaConsumer",
    assigned: Sequence[TopicPartition],
    open_max: int,
    is_from_start: bool,
) -> list[AssignedPartition]:
    """Return partitions that are assigned to this process, and mark them as in use.

    If the process before has died, up to *open_max* messages after the committed offset may have
    been in progress there. *is_from_start*: a group without an offset begins at the first message.
    Where Kafka does not answer, a death is not noticed, and what was put off is delivered at once;
    which messages are delivered does not depend on it.
    """
    try:
        committed = consumer.committed(list(assigned), timeout=CALL_SECONDS_MAX)
        partitions = [_take_over(consumer, each, open_max, is_from_start) for each in committed]
    except KafkaException:
        return [AssignedPartition(each.topic, each.partition) for each in assigned]
    if offsets := offsets_to_commit(partitions):
        try:
            consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException:
            # The group forms anew. The consumer commits again what is not noted as committed.
            for partition in partitions:
                partition.committed = None
    return partitions


def hand_over(consumer: "KafkaConsumer", partitions: Sequence[AssignedPartition]) -> None:
    """Commit the settled messages of partitions, for the process that gets them next.

    If that fails, settled messages are redelivered.
    """
    if offsets := offsets_to_commit(partitions, is_handed_over=True):
        with suppress(KafkaException):
            consumer.commit(offsets=offsets, asynchronous=False)


def offsets_to_commit(
    partitions: Iterable[AssignedPartition], *, is_handed_over: bool = False
) -> list[TopicPartition]:
    """Return the offsets to commit, and note them as committed."""
    offsets: list[TopicPartition] = []
    for partition in partitions:
        topic, number, position = partition.topic, partition.number, partition.position
        if position is not None:
            offset, held = position
            metadata = _handed_over(partition, offset) if is_handed_over else IN_USE
            if held:
                metadata += HELD + held
            offsets.append(TopicPartition(topic, number, offset, metadata=metadata))
            partition.committed = position
    return offsets


def _handed_over(partition: AssignedPartition, offset: int) -> str:
    end = partition.returned_end
    return f"{RETURNED}{end}" if offset < end else HANDED_OVER


def _take_over(
    consumer: "KafkaConsumer", committed: TopicPartition, open_max: int, is_from_start: bool
) -> AssignedPartition:
    topic, number, offset = committed.topic, committed.partition, committed.offset
    mark, _, text = (committed.metadata or HANDED_OVER).partition(HELD)
    held = decode_held(text)
    if offset >= 0 and mark != IN_USE:
        return AssignedPartition(topic, number, offset, _returned_end(mark), held)
    # None if Kafka does not answer in time, which the driver's types do not show.
    ends: Any = consumer.get_watermark_offsets(committed, timeout=CALL_SECONDS_MAX)
    if offset >= 0:
        end = offset + open_max
        # A message that was not there when the process died was not in progress.
        end = end if ends is None else min(end, ends[1])
        return AssignedPartition(topic, number, offset, end, held)
    # The first process of a group, which has no offset to mark yet.
    begin = None if ends is None else ends[0] if is_from_start else ends[1]
    return AssignedPartition(topic, number, begin)


def _returned_end(mark: str) -> int:
    """Return the offset in the mark, 0 where there is none: other programs commit, too."""
    text = mark.removeprefix(RETURNED)
    return int(text) if mark.startswith(RETURNED) and text.isdecimal() else 0
