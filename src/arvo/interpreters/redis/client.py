"""Client: connections to a server of Redis' protocol, its scripts, and what its errors mean."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files
from typing import Any, Final, final

from attrs import define, field
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from arvo.interpreters.ports.backend import Corrupt, Unavailable

# Connections of one memory or broker; who finds none waits for one.
CONNECTIONS_MAX: Final = 16
# What a call may take, the wait for a connection included, before the server counts as gone.
CALL_SECONDS_MAX: Final = 5.0
# Answers of a server that is about to be well again: it starts, fails over, waits for its replicas,
# or makes room.
_PASSING: Final = ("LOADING", "READONLY", "MASTERDOWN", "NOREPLICAS", "TRYAGAIN", "BUSY", "OOM")
_PASSING_ERRORS: Final = (
    BusyLoadingError,
    ClusterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    TryAgainError,
)


@final
@define(eq=False)
class Client:
    """A pool of connections that is opened at first use; closed, it opens again."""

    url: str = field(repr=False)
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
                # Not the driver's own: before Python 3.12 its wait may swallow a cancellation.
                socket_timeout=None,
                socket_connect_timeout=CALL_SECONDS_MAX,
                # Not the driver's own retries: what was applied once must not be applied again.
                retry=Retry(NoBackoff(), 0),
                decode_responses=False,
                # With 3 the pool takes a connection that the server has closed for a good one.
                protocol=2,
            )
            self._redis = Redis.from_pool(pool)
        return self._redis

    async def run(self, name: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Run a script of ours; raises `Unavailable` or `Corrupt`."""
        async with reached():
            if name not in self._scripts:
                self._scripts[name] = self.redis.register_script(_source(name))
            return await self._scripts[name](keys=list(keys), args=list(arguments))

    async def close(self) -> None:
        """Close the connections."""
        redis, self._redis = self._redis, None
        self._scripts.clear()
        if redis is not None:
            await redis.aclose()


@asynccontextmanager
async def reached(seconds: float | None = CALL_SECONDS_MAX) -> AsyncIterator[None]:
    """Bound what the driver does, and say what its errors mean."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except (AuthenticationError, AuthorizationError, NoPermissionError) as error:
        raise Corrupt(f"redis lets us not in, check user and password: {error}") from error
    except ResponseError as error:
        if isinstance(error, _PASSING_ERRORS) or str(error).startswith(_PASSING):
            raise Unavailable(f"redis: {error}") from error
        raise Corrupt(f"redis refuses, is the prefix another program's?: {error}") from error
    except (RedisError, OSError) as error:
        raise Unavailable(f"redis: {error}") from error


@cache
def _source(name: str) -> str:
    return (files("arvo.interpreters.redis") / "scripts" / f"{name}.lua").read_text()
