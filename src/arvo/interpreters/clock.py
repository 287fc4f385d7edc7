"""Clock: the present time, and identity for events that begin something."""

from datetime import UTC, datetime
from uuid import uuid4

from arvo.core.stamp import Stamp, install_stamper


def utc_now() -> datetime:
    """Give the present time, in UTC (the reference takes the host's for UTC, B01)."""
    return datetime.now(UTC)


def fresh_stamp() -> Stamp:
    """Make an identity nobody else has, and tell the time."""
    return Stamp(str(uuid4()), utc_now().isoformat(timespec="milliseconds"))


install_stamper(fresh_stamp)
