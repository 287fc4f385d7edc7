"""Conformance: Kafka as broker, against the cluster that its library brings."""

from typing import Any, Final

from arvo.interpreters.kafka import KafkaBroker
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.ports.backend import Backend, key_of
from arvo.interpreters.ports.broker import Broker
from arvo.interpreters.redis import RedisMemory
from arvo.testing import BackendConformance, BrokerConformance
from arvo.testing.conformance.kit import conforms
from arvo.testing.conformance.samples import WORKFLOW, to_workflow
from tests.servers import kafka_servers, redis_url

# The older protocol has a group wait for 3 seconds before it hands out anything.
QUICK: Final = {"group.protocol": "consumer"}


def a_broker(name: str) -> KafkaBroker:
    return KafkaBroker(kafka_servers(), name, QUICK, quiet_seconds=0.5)


class TestKafkaBroker(BrokerConformance):
    survives, patience = True, 15.0

    async def broker(self) -> Broker:
        return a_broker(self.place.name)

    async def close(self, broker: Any) -> None:
        await broker.close()


class TestKafka(BackendConformance):
    survives, lists, counts, patience = True, False, False, 15.0

    async def backend(self) -> Backend:
        memory = RedisMemory(redis_url(), self.place.name)
        return Pair(memory, a_broker(self.place.name), self.queue_max, owned=True)

    @conforms
    async def test_another_key_need_not_wait(self, backend: Backend) -> None:
        """As in the kit, but for which workflow comes first: they may be in two partitions."""
        await backend.send(to_workflow("first", run="one"))
        await backend.send(to_workflow("second", run="one"))
        await backend.send(to_workflow("third", run="two"))

        found = [await self.soon(backend.receive(WORKFLOW), "one of each key") for _ in range(2)]

        assert {each.message.event.id for each in found} == {"first", "third"}
        assert len({key_of(each.message.to) for each in found}) == 2
