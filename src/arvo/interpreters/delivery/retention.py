"""Retention: how long a store keeps data that it no longer needs for its promises."""

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, final

from attrs import Attribute, evolve, field, frozen

from arvo.core.violations.arguments import LIMIT_MAX, refusal
from arvo.core.violations.violation import Violated
from arvo.interpreters.delivery.archive.file import Archive
from arvo.interpreters.delivery.log import fields, get_logger
from arvo.interpreters.delivery.url_options import COUNT, DAYS

logger: Final = get_logger("backend")

# Rows deleted in one transaction: some milliseconds, during which other writes wait.
PURGE_BATCH_ROWS: Final = 500
# How often the dead letters are counted; after a full batch the next poll removes more.
SWEEP_SECONDS: Final = 5.0
# Dead letters that one sweep of a SQLite file removes, in batches: more than a flood can add.
SWEEP_BATCHES: Final = 10


def _refuse(name: str, expected: str, value: object) -> Violated:
    return refusal(name, value, expected, "Retention")


def _check_age(_: object, attribute: "Attribute[Any]", value: object) -> None:
    if value is not None and (not isinstance(value, timedelta) or value < timedelta(0)):
        raise _refuse(attribute.name, "a timedelta of 0 or more, or None", value)


def _check_count(_: object, attribute: "Attribute[Any]", value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LIMIT_MAX:
        raise _refuse(attribute.name, f"a whole number from 0 to {LIMIT_MAX}", value)


def _to_archive(value: Any) -> Archive | None:
    if value is None or isinstance(value, Archive):
        return value
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise _refuse("archive", "the path of a file, or None", value)
    return Archive(value)


@final
@frozen(kw_only=True)
class Retention:
    """How long a store keeps what is over; None keeps it for ever.

    *inbox*: the marks of consumed events. If a message is redelivered later than that, a handler
    that is not a workflow consumes its event again. *finished*: workflows that are done or
    cancelled, with their history; failed workflows stay for an operator. *history*: the history
    entries of workflows that are still active; a workflow cannot be replayed without them.
    *dead_letters*: the dead letters. *dead_letters_max*: how many of them are stored at most; above
    it the oldest are removed. Each removal is logged with the number. *audit*: the entries of
    the audit log; AUDIT_MAX are stored at most. *archive*: the path of a file to which finished
    workflows are appended, one JSON line for each, before they are removed (see `read_archive`);
    without it they are removed for good.

    Raises `Violated` for an age that is no timedelta of 0 or more.
    """

    inbox: timedelta | None = field(default=timedelta(days=7), validator=_check_age)
    finished: timedelta | None = field(default=timedelta(days=30), validator=_check_age)
    history: timedelta | None = field(default=None, validator=_check_age)
    # Queues of others: Amazon SQS and Google Pub/Sub delete what is older than 14 or 31 days,
    # RabbitMQ bounds the number (`x-max-length`) and drops the oldest. An operator has longer here,
    # because a dead letter may belong to a workflow that is active for months.
    dead_letters: timedelta | None = field(default=timedelta(days=90), validator=_check_age)
    dead_letters_max: int = field(default=100_000, validator=_check_count)
    audit: timedelta | None = field(default=timedelta(days=365), validator=_check_age)
    archive: Archive | None = field(default=None, converter=_to_archive)

    def with_options(self, options: Mapping[str, Any]) -> "Retention":
        """Return it with the values of the `RETENTION_OPTIONS` of a URL."""
        age = options.get("dead_letters_days", self.dead_letters)
        number = options.get("dead_letters_max", self.dead_letters_max)
        return evolve(self, dead_letters=age, dead_letters_max=number)

    def oldest_dead_letter(self, now: int) -> int:
        """Return the time of the oldest dead letter to store; both in milliseconds."""
        if self.dead_letters is None:
            return -(2**62)
        return now - self.dead_letters // timedelta(milliseconds=1)

    def log_removal(self, number: int) -> None:
        """Log that a sweep has removed a *number* of dead letters."""
        if number:
            extra = fields(
                number=number,
                number_max=self.dead_letters_max,
                days_max=None if self.dead_letters is None else self.dead_letters.days,
            )
            logger.warning("the oldest dead letters were removed", extra=extra)


# The options of a backend's URL that set a part of its retention.
RETENTION_OPTIONS: Final = {"dead_letters_days": DAYS, "dead_letters_max": COUNT}
