"""Pairing: makes a backend of a memory and a broker."""

from arvo.interpreters.delivery.retention import Retention
from arvo.interpreters.paired.backend import QUEUE_MAX, Pair
from arvo.interpreters.paired.dead_letters import DEFAULT_RETENTION
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.broker import Broker
from arvo.interpreters.ports.machine_memory import MachineMemory


def paired(
    memory: MachineMemory,
    broker: Broker,
    *,
    queue_max: int = QUEUE_MAX,
    retention: Retention = DEFAULT_RETENTION,
) -> Backend:
    """Make a backend of a memory and a broker that do not know each other.

    *queue_max*: messages under way before `send` waits, if the broker is a `ReportsDepth`.
    *retention*: how long dead letters are stored; their number is bounded anyway. You own memory
    and broker: closing the backend ends its iterations and leaves both open.

    A turn of a workflow is committed in four moves, and a crash may follow each of them:

    1. write: record and journal as one value, by compare and set. The journal holds which events
       were consumed, and the output of the newest ones: events, timers, dead letters.
    2. send: publish the events (timers as messages that are due later), store the dead letters.
    3. ack the delivery.
    4. drop the output from the journal, with the next write.

    A crash before the first move has no effect. After any later one the broker redelivers the
    event; the pair finds it in the journal and sends the same output again, and the consumers of
    that output drop duplicates by journals of their own. When two workers process one event, the
    write of the slower one is refused.

    A handler without memory has no journal: when its event is redelivered, it sends its output
    again, with the same ids. Events to a domain and replies to a caller are delivered at least
    once, with the same id each time.
    """
    return Pair(memory, broker, queue_max, retention=retention)
