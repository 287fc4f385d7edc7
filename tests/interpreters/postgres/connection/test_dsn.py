"""DSN: a URL names a schema and options, or is refused."""

import pytest

from arvo import PostgresMemory, Violated
from arvo.interpreters.postgres import PostgresBackend
from arvo.interpreters.postgres.connection.dsn import Dsn


def test_the_options_of_a_backend_may_stand_in_the_url() -> None:
    """A command line has no other place for them; libpq's own stay for the driver."""
    backend = PostgresBackend("postgresql://db/shop?lease=5&sslmode=require&queue_max=10")

    assert (backend.lease, backend.queue_max) == (5.0, 10)
    assert backend.dsn.url == "postgresql://db/shop?sslmode=require"


@pytest.mark.parametrize(
    ("query", "issue"),
    [
        ("schema=Robert')%3B%20drop", "schema: expected a name"),
        ("schema=pg_x", "schema: expected a name"),
        ("schema=", "schema: expected a name"),
        ("migrate=perhaps", "migrate: expected yes or no, got 'perhaps'"),
        ("lease=0", "lease: expected a number of seconds above 0, got '0'"),
        ("queue_max=many", "queue_max: expected a whole number, 1 or more, got 'many'"),
    ],
)
def test_a_bad_option_is_refused_by_name(query: str, issue: str) -> None:
    """No text that could get into a statement, and none that could mean two things."""
    with pytest.raises(Violated) as refused:
        PostgresBackend(f"postgresql://db/shop?{query}")

    assert issue in str(refused.value)


@pytest.mark.parametrize("query", ["lease=5", "queue_max=10"])
def test_a_store_refuses_the_options_of_a_backend(query: str) -> None:
    """It has no leases and no queues, and an option without effect would be misleading."""
    with pytest.raises(Violated, match="expected migrate, pooler or schema"):
        PostgresMemory(f"postgresql://db/shop?{query}")


def test_a_statement_is_qualified_with_the_schema() -> None:
    """In the source each table stands in the schema `arvo`."""
    dsn = Dsn.parse("postgresql://db/shop?schema=orders")

    assert dsn.sql("select * from arvo.workflow") == "select * from orders.workflow"
    assert dsn.hash("a") != Dsn.parse("postgresql://db/shop").hash("a")
