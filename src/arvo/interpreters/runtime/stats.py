"""Stats: what became of the events that a runtime has seen since it started."""

from typing import final

from attrs import define


@final
@define
class Stats:
    """Counts of deliveries by what became of them; none is dropped without a count.

    *handled*, *failed*, *cancelled*: a handler answered, failed with a system error, or took the
    last turn of a workflow that was cancelled. *seen*: consumed before. *late*: for a workflow that
    has ended, or a timer that is not pending. *dead*: buried with a reason. *left*: taken by a
    listener of its domain. *answered*: went back to whoever asked. *retried*: handed out again.
    *fenced*: lost to another worker, which took this one for dead.
    """

    handled: int = 0
    failed: int = 0
    cancelled: int = 0
    duplicates: int = 0
    late: int = 0
    dead_lettered: int = 0
    sent_out: int = 0
    answered: int = 0
    retried: int = 0
    fenced: int = 0
