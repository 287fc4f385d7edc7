"""Redis: Redis and Valkey as machine memory and as broker."""

from arvo.interpreters.redis.broker import RedisBroker
from arvo.interpreters.redis.settings import parse_url
from arvo.interpreters.redis.store import RedisMemory

__all__ = ["RedisBroker", "RedisMemory", "broker", "memory"]


def memory(url: str) -> RedisMemory:
    """Return the memory of `redis://host:6379/0?prefix=shop` or `rediss://…`."""
    driver_url, options = parse_url(url)
    return RedisMemory(driver_url, **{k: v for k, v in options.items() if k == "prefix"})


def broker(url: str) -> RedisBroker:
    """Return the broker of `redis://host:6379/0?prefix=shop&lease=30` or `rediss://…`."""
    driver_url, options = parse_url(url)
    return RedisBroker(driver_url, **options)
