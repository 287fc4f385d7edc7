"""Redis: Redis and Valkey as machine memory and as broker."""

from arvo.interpreters.redis.broker import RedisBroker
from arvo.interpreters.redis.store import RedisMemory

__all__ = ["RedisBroker", "RedisMemory", "broker", "memory"]


def memory(url: str) -> RedisMemory:
    """Return the memory of `redis://host:6379/0` or `rediss://…`."""
    return RedisMemory(url)


def broker(url: str) -> RedisBroker:
    """Return the broker of `redis://host:6379/0` or `rediss://…`."""
    return RedisBroker(url)
