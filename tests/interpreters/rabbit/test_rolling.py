"""Rolling: an old and a new version of a system on RabbitMQ."""

from pathlib import Path

import pytest

from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.rabbit import RabbitBroker
from arvo.interpreters.redis import RedisMemory
from tests.interpreters.rolling import deploy
from tests.interpreters.within import within
from tests.servers import rabbit_url, redis_url


@pytest.mark.promise("I1", "I8")
def test_a_rolling_deploy_makes_no_dead_letter(tmp_path: Path) -> None:
    """What the old worker lacks goes to the new one, at the latest when the old one stops."""

    def open_backend() -> Pair:
        memory = RedisMemory(redis_url(), tmp_path.name)
        return Pair(memory, RabbitBroker(rabbit_url(), tmp_path.name), owned=True)

    within(deploy(open_backend, 20), 120)
