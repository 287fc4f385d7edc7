"""Conftest: no wheel brings a RabbitMQ, so this is the only engine whose tests may be skipped."""

import pytest

from tests.servers import has_rabbit


@pytest.fixture(autouse=True)
def _rabbit() -> None:
    if not has_rabbit():
        pytest.skip("no ARVO_TEST_RABBIT is set, and no rabbitmq-server is installed")
