"""Connection: a pool of connections to a server of the Redis protocol, and its scripts."""

import asyncio
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final, final

from attrs import define, field
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript

from arvo.interpreters.redis.errors import translate_errors
from arvo.interpreters.redis.settings import check_url

# Connections of one memory or broker; a call that finds none free waits for one.
CONNECTIONS_MAX: Final = 16
# The time of a call, including the wait for a connection, after which the server is unavailable.
CALL_SECONDS_MAX: Final = 5.0


@final
@define(eq=False)
class Connection:
    """A pool of connections, opened at first use; after `close` it can be used again."""

    url: str = field(repr=False, converter=check_url)
    _redis: "Redis | None" = field(default=None, init=False)
    _scripts: dict[str, AsyncScript] = field(factory=dict, init=False)

    @property
    def redis(self) -> "Redis":
        """The driver's client."""
        if self._redis is None:
            pool = BlockingConnectionPool.from_url(
                self.url,
                max_connections=CONNECTIONS_MAX,
                timeout=CALL_SECONDS_MAX,
                # Not the driver's timeout: before Python 3.12 it may swallow a cancellation.
                socket_timeout=None,
                socket_connect_timeout=CALL_SECONDS_MAX,
                # No retries by the driver: a call that was applied once must not be applied again.
                retry=Retry(NoBackoff(), 0),
                decode_responses=False,
                # With protocol 3 the pool reuses a connection that the server has closed.
                protocol=2,
            )
            self._redis = Redis.from_pool(pool)
        return self._redis

    async def run(self, name: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Run one of the scripts; raises `Unavailable` or `Corrupt`."""
        with translate_errors():
            async with asyncio.timeout(CALL_SECONDS_MAX):
                if name not in self._scripts:
                    self._scripts[name] = self.redis.register_script(_source(name))
                return await self._scripts[name](keys=list(keys), args=list(arguments))

    async def close(self) -> None:
        """Close the connections."""
        redis, self._redis = self._redis, None
        self._scripts.clear()
        if redis is not None:
            await redis.aclose()


@cache
def _source(name: str) -> str:
    """Return the text of a script, after that of the functions which all scripts share."""
    scripts = files("arvo.interpreters.redis") / "scripts"
    return "".join((scripts / f"{part}.lua").read_text() for part in ("order", name))
