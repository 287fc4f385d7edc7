"""Redis: Redis and Valkey as machine memory and as broker."""

from arvo.interpreters.redis.broker import RedisBroker
from arvo.interpreters.redis.settings import parse_url
from arvo.interpreters.redis.store import RedisMemory

__all__ = ["RedisBroker", "RedisMemory", "broker", "memory"]


def memory(url: str) -> RedisMemory:
    """Return the memory of `redis://host:6379/0?prefix=shop&index=no` or `rediss://…`.

    `index=no` is `has_index=False`.
    """
    driver_url, options = parse_url(url)
    prefix = {name: options[name] for name in ("prefix",) if name in options}
    return RedisMemory(driver_url, has_index=options.get("index", True), **prefix)


def broker(url: str) -> RedisBroker:
    """Return the broker of `redis://host:6379/0?prefix=shop&lease=30` or `rediss://…`."""
    driver_url, options = parse_url(url)
    options.pop("index", None)
    return RedisBroker(driver_url, **options)
