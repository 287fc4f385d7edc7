"""Skips: the reasons for which a conformance test does not apply, each a report and no pass."""

from typing import Final, NoReturn
from unittest import SkipTest

NOT_DURABLE: Final = "is_durable is False: set it to True if two at one path share their data"
NO_LISTING: Final = "supports_listing is False: the store cannot list workflows"
NO_DEPTH: Final = "reports_depth is False: it does not count its events"
NO_SHARED_DEPTH: Final = "is_durable or reports_depth is False"
NO_LEASE: Final = "expire_lease is not overridden: override it if deliveries have leases"
NO_DEATHS: Final = "it has no `mark_started`: it does not count the deaths of workers"
NO_REGISTRY: Final = "it has no `services`, or is_durable is False"
NO_RELEASE: Final = "it has no `release`, or is_durable or shares_released is False"


def skip(reason: str) -> NoReturn:
    """End a test that does not apply. pytest and `run_all` report it with the *reason*."""
    # Of the standard library, as the kit does not need pytest.
    raise SkipTest(reason)
