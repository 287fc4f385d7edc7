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
def test_a_rolling_deploy_handles_all_events_while_old_workers_run(tmp_path: Path) -> None:
    """The old worker passes a queue on that has an event which it lacks the version for."""

    def open_backend() -> Pair:
        memory = RedisMemory(redis_url(), tmp_path.name)
        return Pair(memory, RabbitBroker(rabbit_url(), tmp_path.name), owned=True)

    within(deploy(open_backend, 20), 120)
