"""Outcomes: the ends of workflows wait on Kafka for the process that listens to them."""

from pathlib import Path

import pytest

from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.redis import RedisMemory
from tests.interpreters.kafka.test_conformance import a_broker
from tests.interpreters.missed_outcomes import hear_later
from tests.interpreters.within import within
from tests.servers import redis_url


@pytest.mark.promise("I8")
def test_outcomes_wait_while_no_process_listens(tmp_path: Path) -> None:
    def open_backend() -> Pair:
        memory = RedisMemory(redis_url(), tmp_path.name)
        return Pair(memory, a_broker(tmp_path.name), owned=True)

    within(hear_later(open_backend), 120)
