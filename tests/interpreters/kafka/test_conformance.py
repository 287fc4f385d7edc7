"""Conformance: Kafka as broker, on the mock cluster of its library."""

from typing import Any, Final

import pytest
from confluent_kafka import Producer

from arvo import Event
from arvo.interpreters.kafka import KafkaBroker
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.broker import Broker
from arvo.interpreters.redis import RedisMemory
from arvo.testing import BackendConformance, BrokerConformance, OrderedBrokerConformance
from arvo.testing.conformance.kit.samples import WORKFLOW
from tests.servers import kafka_servers, redis_url

# With the older protocol a group waits 3 seconds before its first delivery.
QUICK: Final = {"group.protocol": "consumer"}


def a_broker(name: str) -> KafkaBroker:
    return KafkaBroker(kafka_servers(), name, QUICK, quiet_seconds=0.5)


@pytest.mark.promise("I1")
class TestKafkaBroker(BrokerConformance):
    is_durable = True

    async def broker(self) -> Broker:
        return a_broker(self.tmp_path.name)

    async def close(self, broker: Any) -> None:
        await broker.close()


@pytest.mark.promise("I4")
class TestKafkaOrder(OrderedBrokerConformance):
    is_durable = True

    async def broker(self) -> Broker:
        return a_broker(self.tmp_path.name)

    async def close(self, broker: Any) -> None:
        await broker.close()

    async def publish_plain(self, broker: Any, event: Event[Any]) -> None:
        client = Producer({"bootstrap.servers": kafka_servers()})
        client.produce(f"{broker.prefix}.{WORKFLOW}", event.to_json(), "a key of its own")
        client.flush(10)


@pytest.mark.promise("I1", "I2", "I4", "I6", "I7", "I8")
class TestKafka(BackendConformance):
    is_durable, supports_listing, reports_depth = True, False, False
    shares_released = False

    async def backend(self) -> Backend:
        memory = RedisMemory(redis_url(), self.tmp_path.name)
        return Pair(memory, a_broker(self.tmp_path.name), self.queue_max, owned=True)
