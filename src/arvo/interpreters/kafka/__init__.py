"""Kafka: Kafka as broker."""

from typing import Final

from arvo.interpreters.delivery.backend_url import BackendUrl
from arvo.interpreters.delivery.url_options import take_options
from arvo.interpreters.kafka.broker import KafkaBroker, refuse_login

__all__ = ["KafkaBroker", "broker"]


# Properties that may follow a password in the query. Any other name may be a part of a password
# with an & that is not encoded.
_AFTER_PASSWORD: Final = frozenset(
    {"client.id", "client.rack", "group.instance.id", "message.max.bytes", "compression.type"}
    | {"linger.ms", "session.timeout.ms", "socket.timeout.ms", "debug", "security.protocol"}
    | {"sasl.mechanism", "sasl.mechanisms", "sasl.password", "sasl.username"}
    | {"ssl.ca.location", "ssl.certificate.location", "ssl.key.location", "ssl.key.password"}
    | {"ssl.keystore.location", "ssl.keystore.password", "enable.ssl.certificate.verification"}
    | {"ssl.endpoint.identification.algorithm"}
)


def broker(url: str) -> KafkaBroker:
    """Return the broker of `kafka://host:9092,host:9092?security.protocol=SSL`.

    The query of the URL holds properties of librdkafka.
    """
    parts = BackendUrl.parse(url).require_host()
    if parts.login is not None:
        raise refuse_login()
    _, properties = take_options(parts.query, {}, _AFTER_PASSWORD, any_other=True)
    return KafkaBroker(parts.hosts, settings=dict(properties))
