"""Errors: the exceptions that backends, stores and brokers raise, each with its remedy."""

from arvo.core.violations.violation import Violated


class TooEarly(Violated):
    """Too many signals wait for workflows that have not started; this one was not accepted.

    Remedy: begin the workflow first, or send the signal again later.
    """


class Unavailable(Exception):
    """The store or broker cannot be reached, or has no room, at the moment. Nothing was lost.

    Remedy: wait and try again. *after* is the shortest wait in seconds, when the server named one.
    """

    def __init__(self, *args: object, after: float = 0.0) -> None:
        super().__init__(*args)
        self.after = after


class NoReply(Exception):
    """The event was accepted, but this process will receive no answer to it. The text gives the
    reason.
    """


class Corrupt(Exception):
    """The store holds data that no version of Arvo wrote, or that was damaged.

    Remedy: stop the process; an operator has to restore or repair the store.
    """


class BlobUnavailable(Unavailable):
    """A blob store cannot be reached, or refuses this process. Nothing was lost.

    Remedy: wait and try again; the text names the store and the key.
    """


class BlobMissing(Corrupt):
    """A blob is gone that an event or a record refers to. Others are not affected.

    Remedy: restore it under the key that the text names, then redrive the event.
    """


class TooLarge(Exception):
    """The backend refuses an event of this size; smaller events still pass.

    Remedy: send a reference to the data, or raise the limit that the text names if it is one of the
    broker's. `EVENT_BYTES_MAX`, 1 MiB, is the same on every backend and cannot be raised; with
    `arvo.codecs.offloaded` a large payload does not count towards it.
    """
