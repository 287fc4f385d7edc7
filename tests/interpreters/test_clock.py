"""Clock: the present time, wherever the host stands."""

import os
import subprocess
import sys
from datetime import datetime

import pytest

SCRIPT = """
import time
from datetime import datetime
from arvo.interpreters.clock import fresh_stamp
stamp = fresh_stamp()
print(stamp.time, abs(datetime.fromisoformat(stamp.time).timestamp() - time.time()) < 5)
"""


@pytest.mark.parametrize("zone", ["UTC", "XYZ-11", "XYZ+5:30"])
def test_time_is_right_on_a_host_of_any_zone(zone: str) -> None:
    """B01: in Sydney the reference's events are eleven hours in the future."""
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "TZ": zone},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert told[1] == "True"
    assert datetime.fromisoformat(told[0]).utcoffset() is not None
    assert told[0].endswith("+00:00")
