"""Rabbit: RabbitMQ as broker."""

from arvo.interpreters.rabbit.broker import RabbitBroker

__all__ = ["RabbitBroker", "broker"]


def broker(url: str) -> RabbitBroker:
    """Return the broker of `amqp://user:password@host:5672/virtualhost` or `amqps://…`."""
    return RabbitBroker(url)
