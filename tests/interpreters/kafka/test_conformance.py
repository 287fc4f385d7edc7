"""Conformance: Kafka as broker, on the mock cluster of its library."""

from typing import Any, Final

import pytest

from arvo.interpreters.kafka import KafkaBroker
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.broker import Broker
from arvo.interpreters.ports.messages import key_of
from arvo.interpreters.redis import RedisMemory
from arvo.testing import BackendConformance, BrokerConformance
from arvo.testing.conformance.kit import conformance_test
from arvo.testing.conformance.samples import WORKFLOW, to_workflow
from tests.servers import kafka_servers, redis_url

# With the older protocol a group waits 3 seconds before its first delivery.
QUICK: Final = {"group.protocol": "consumer"}


def a_broker(name: str) -> KafkaBroker:
    return KafkaBroker(kafka_servers(), name, QUICK, quiet_seconds=0.5)


@pytest.mark.promise("I1")
class TestKafkaBroker(BrokerConformance):
    is_durable, timeout = True, 15.0

    async def broker(self) -> Broker:
        return a_broker(self.tmp_path.name)

    async def close(self, broker: Any) -> None:
        await broker.close()


@pytest.mark.promise("I1", "I2", "I4", "I6", "I7", "I8")
class TestKafka(BackendConformance):
    is_durable, supports_listing, reports_depth, timeout = True, False, False, 15.0
    shares_released = False

    async def backend(self) -> Backend:
        memory = RedisMemory(redis_url(), self.tmp_path.name)
        return Pair(memory, a_broker(self.tmp_path.name), self.queue_max, owned=True)

    @conformance_test
    async def test_events_of_another_key_are_delivered_meanwhile(self, backend: Backend) -> None:
        """As in the kit, but in any order: the workflows may be in different partitions."""
        await backend.send(to_workflow("first", run="one"))
        await backend.send(to_workflow("second", run="one"))
        await backend.send(to_workflow("third", run="two"))

        received = [
            await self.eventually(backend.receive(WORKFLOW), "one of each key") for _ in range(2)
        ]

        assert {delivery.message.event.id for delivery in received} == {"first", "third"}
        assert len({key_of(delivery.message.to) for delivery in received}) == 2
