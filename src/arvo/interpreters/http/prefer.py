"""Prefer: how long a client would wait for an answer (RFC 7240)."""

import re
from collections.abc import Iterable
from typing import Final

# Proxies give up on a silent response after a minute, most of them.
WAIT_SECONDS_MAX: Final = 60
_WAIT: Final = re.compile(r'\s*wait\s*=\s*"?(\d{1,9})"?\s*(;.*)?', re.IGNORECASE | re.DOTALL)


def wait_of(prefer: Iterable[str]) -> int:
    """Read from the values of `Prefer` how many seconds to wait at the most, 0 for not at all.

    What cannot be read is no preference: a server may ignore any (§2).

    >>> wait_of(["respond-async, wait=10"]), wait_of(["wait=900"]), wait_of(["wait=soon"])
    (10, 60, 0)
    """
    for preference in ",".join(prefer).split(","):
        # The first one counts (§2).
        if found := _WAIT.fullmatch(preference):
            return min(int(found[1]), WAIT_SECONDS_MAX)
    return 0
