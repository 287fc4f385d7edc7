"""Extras: the optional dependencies, and the error for one that is not installed."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final

# The name on the index: "arvo" there is another project.
DISTRIBUTION: Final = "arvo-events"

# A module of each optional dependency, and the extra that installs it.
EXTRAS: Final[Mapping[str, str]] = {
    "aio_pika": "rabbit",
    "asyncpg": "postgres",
    "cloudpickle": "testing",
    "confluent_kafka": "kafka",
    "cryptography": "crypto",
    "cyclopts": "cli",
    "genai_prices": "agents",
    "httpx": "http",
    "hypothesis": "testing",
    "jinja2": "console",
    "mcp": "mcp",
    "mcp_types": "mcp",
    "mermaidx": "diagram",
    "nats": "nats",
    "obstore": "blobs",
    "opentelemetry.exporter": "otel",
    "opentelemetry.sdk": "otel",
    "pydantic": "pydantic",
    "pydantic_ai": "agents",
    "redis": "redis",
    "rich": "cli",
    "standardwebhooks": "http",
    "starlette": "http",
    "uvicorn": "http",
    "watchfiles": "console",
}


@contextmanager
def needs_extra(feature: str) -> Iterator[None]:
    """Name the extra that *feature* needs, if an import in the block finds no module of it.

    Raises `ModuleNotFoundError` with the command that installs the extra. A missing module that
    belongs to no extra keeps its own error.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        extra = extra_of(error)
        if extra is None:
            raise
        text = f"{feature} needs the extra {extra!r}: {install_command(extra)}"
        raise ModuleNotFoundError(text, name=error.name, path=error.path) from error


def extra_of(error: ImportError) -> str | None:
    """Return the extra that brings the module which an import did not find, or None."""
    name = error.name or ""
    parts = name.split(".")
    prefixes = (".".join(parts[:end]) for end in range(1, len(parts) + 1))
    return next((EXTRAS[prefix] for prefix in prefixes if prefix in EXTRAS), None)


def is_installed(module: str) -> bool:
    """Return True if a top-level module can be imported, without importing it."""
    try:
        return find_spec(module) is not None
    except ValueError:
        # It was imported by hand, without a specification, or is marked as missing.
        return sys.modules.get(module) is not None


def install_command(extra: str) -> str:
    """Return the remedy for a missing extra."""
    return f"run `pip install '{DISTRIBUTION}[{extra}]'`"
