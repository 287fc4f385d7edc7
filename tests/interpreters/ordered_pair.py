"""Ordered pair: the test of a pair whose broker drops a message that was published before."""

from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.results import Committed, Duplicate
from arvo.testing.conformance.kit import BackendKit, conformance_test
from arvo.testing.conformance.kit.samples import (
    SERVICE,
    WORKFLOW,
    to_service,
    to_workflow,
    turn_commit,
)


class OrderedPairConformance(BackendKit):
    """A pair that publishes no request twice."""

    @conformance_test
    async def test_a_second_begin_at_another_process_sends_no_request_again(
        self, backend: Backend
    ) -> None:
        """That process does not know whether the first one has sent them."""
        requests = [to_service(name) for name in ("a", "b")]
        await backend.send(to_workflow("begin"))
        await backend.send(to_workflow("begin"))
        async with self.session() as other:
            for process, result in ((backend, Committed()), (other, Duplicate())):
                delivery = await self.eventually(process.receive(WORKFLOW), "a begin")
                commit = turn_commit(delivery, 1, messages=requests)
                assert await process.commit(delivery, commit, requests, []) == result

            for request in requests:
                delivery = await self.eventually(other.receive(SERVICE), "a request")
                assert delivery.message == request
                await other.ack(delivery)
            await self.never(other.receive(SERVICE), "a request that was sent twice")
