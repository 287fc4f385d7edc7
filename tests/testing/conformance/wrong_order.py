"""Wrong order: the memory broker, each time with one promise about the order of a key broken."""

# ruff: noqa: ARG002 - ignoring an argument is the fault of some of these brokers

from collections.abc import Sequence

from attrs import evolve

from arvo.interpreters.memory.broker import MemoryBroker
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage


class ForgetsKeys(MemoryBroker):  # type: ignore[misc]
    def _acquire_key(self, delivery: EncodedDelivery) -> bool:
        return True

    def _free_key(self, delivery: EncodedDelivery) -> None:
        pass

    async def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        await super().defer(delivery, delay)


class ReleasesKeysOnNack(MemoryBroker):  # type: ignore[misc]
    async def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        await super().defer(delivery, delay)


class HoldsKeysOnDefer(MemoryBroker):  # type: ignore[misc]
    async def defer(self, delivery: EncodedDelivery, delay: float) -> None:
        await super().nack(delivery, delay)


class HoldsKeysOfDeadLetters(MemoryBroker):  # type: ignore[misc]
    async def dead_letter(self, delivery: EncodedDelivery, reason: str) -> None:
        self._in_flight.pop(delivery.token, None)


class SeesNoOthers(MemoryBroker):  # type: ignore[misc]
    async def has_others(self, delivery: EncodedDelivery) -> bool:
        return False


class HasOneKey(MemoryBroker):  # type: ignore[misc]
    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        await super().publish(
            [evolve(m, headers={**m.headers, "arvo-key": "one"}, key="one") for m in messages]
        )


class TimersWait(MemoryBroker):  # type: ignore[misc]
    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        for message in messages:
            if message.due is None:
                await super().publish([message])
            else:
                headers = {k: v for k, v in message.headers.items() if k != "arvo-due"}
                await super().publish([evolve(message, headers=headers, due=None)])
