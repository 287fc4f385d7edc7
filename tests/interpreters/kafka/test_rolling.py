"""Rolling: an old and a new version of a system on Kafka, where each has partitions of its own."""

from pathlib import Path

import pytest

from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.redis import RedisMemory
from tests.interpreters.kafka.test_conformance import a_broker
from tests.interpreters.rolling import deploy
from tests.interpreters.within import within
from tests.servers import redis_url


@pytest.mark.promise("I1", "I8")
def test_a_rolling_deploy_makes_no_dead_letter(tmp_path: Path) -> None:
    """What the old worker lacks waits in its partitions, and goes to the new one with them."""

    def open_backend() -> Pair:
        memory = RedisMemory(redis_url(), tmp_path.name)
        return Pair(memory, a_broker(tmp_path.name), owned=True)

    within(deploy(open_backend, 20, waits_for_stop=True), 120)
