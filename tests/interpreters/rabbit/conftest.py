"""Conftest: no wheel contains RabbitMQ, so its tests are the only ones that may be skipped."""

import pytest

from tests.servers import has_rabbit


@pytest.fixture(autouse=True)
def _rabbit() -> None:
    if not has_rabbit():
        pytest.skip("neither ARVO_TEST_RABBIT nor rabbitmq-server is available")
