"""Kafka: Kafka as broker."""

from urllib.parse import parse_qsl, urlsplit

from arvo.interpreters.kafka.broker import KafkaBroker

__all__ = ["KafkaBroker", "broker"]


def broker(url: str) -> KafkaBroker:
    """Return the broker of `kafka://host:9092,host:9092?security.protocol=SSL`.

    The query of the URL holds properties of librdkafka.
    """
    parts = urlsplit(url)
    return KafkaBroker(parts.netloc, settings=dict(parse_qsl(parts.query)))
