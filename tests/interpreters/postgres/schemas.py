"""Schemas: one for each test, in a database that all share."""

from hashlib import blake2b
from pathlib import Path

from tests import servers


def schema_of(place: Path) -> str:
    """Give the URL of a schema of its own for a place: the same place is the same schema."""
    name = blake2b(str(place).encode(), digest_size=8).hexdigest()
    return f"{servers.postgres_url()}?schema=t_{name}"
