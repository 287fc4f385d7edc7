"""Kafka: Kafka as broker."""

from urllib.parse import parse_qsl, urlsplit

from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.kafka.broker import KafkaBroker

__all__ = ["KafkaBroker", "broker"]


def broker(url: str) -> KafkaBroker:
    """Return the broker of `kafka://host:9092,host:9092?security.protocol=SSL`.

    The query of the URL holds properties of librdkafka.
    """
    parts = urlsplit(url)
    if not parts.netloc:
        issue = Issue("backend", "a host, such as `kafka://localhost:9092`", repr(url))
        raise Violated(ConfigViolation("the URL of the broker names no host", issue))
    return KafkaBroker(parts.netloc, settings=dict(parse_qsl(parts.query)))
