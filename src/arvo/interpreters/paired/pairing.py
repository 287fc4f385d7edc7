"""Pairing: makes a backend of a memory and a broker."""

from collections.abc import Collection

from arvo.interpreters.codecs.codec import Codec
from arvo.interpreters.delivery.retention import Retention
from arvo.interpreters.paired.backend import QUEUE_MAX, Pair
from arvo.interpreters.paired.dead_letters import DEFAULT_RETENTION
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.broker import Broker
from arvo.interpreters.ports.index import Index
from arvo.interpreters.ports.machine_memory import MachineMemory


def paired(  # noqa: PLR0913 - options by keyword
    memory: MachineMemory,
    broker: Broker,
    *,
    queue_max: int = QUEUE_MAX,
    retention: Retention = DEFAULT_RETENTION,
    index: Index | None = None,
    codec: Codec | None = None,
    clear: Collection[str] = (),
) -> Backend:
    """Make a backend of a memory and a broker that do not know each other.

    *queue_max*: messages under way before `send` waits, if the broker is a `ReportsDepth`.
    *retention*: how long dead letters are stored, whose number is bounded anyway, and how long
    ended workflows stay in the index. *index*: lists the workflows and stores their histories; by
    default that of the memory, if it has one. Without an index a pair lists only the runs of a
    chosen workflow id, has no history and cannot revive. *codec*: encodes the values of the memory,
    the histories of the index, and the data of the messages but for those to the addresses in
    *clear*, which programs in other languages read. You own memory and broker: closing the
    backend ends its iterations and leaves both open.

    A turn of a workflow is committed in five moves, and a crash may follow each of them:

    1. write: record and journal as one value, by compare and set. The journal holds which events
       were consumed, and the output of the newest ones: events, timers, dead letters.
    2. send: publish the events (timers as messages that are due later), store the dead letters.
    3. index: write the row and the history of the turn, if there is an index. The value holds that
       history too, until the index is known to have it.
    4. ack the delivery.
    5. drop output and history from the value, with the next write.

    A crash before the first move has no effect. After any later one the broker redelivers the
    event; the pair finds it in the journal, sends the same output again and writes to the index
    what it lacks. The consumers of that output drop duplicates by journals of their own. When two
    workers process one event, the write of the slower one is refused.

    A handler without memory has no journal: when its event is redelivered, it sends its output
    again, with the same ids. Events to a domain and replies to a caller are delivered at least
    once, with the same id each time.
    """
    return Pair(
        memory, broker, queue_max, retention=retention, index=index, codec=codec, clear=clear
    )
