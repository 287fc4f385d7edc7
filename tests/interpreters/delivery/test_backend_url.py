"""Backend URL: one parser for all backends; a fault is named, and no part of a login is shown."""

import asyncio
from collections.abc import Callable
from urllib.parse import quote

import pytest
from redis.asyncio import Redis

from arvo import Backend, Client, Runtime, System, Unavailable, Violated
from arvo.interpreters.delivery.backend_url import BackendUrl, check_urls, hide_logins, show_url
from arvo.interpreters.kafka import KafkaBroker
from arvo.interpreters.nats import NatsMemory
from arvo.interpreters.nats.connection.settings import parse_servers
from arvo.interpreters.postgres import PostgresBackend, PostgresMemory
from arvo.interpreters.rabbit import RabbitBroker
from arvo.interpreters.redis import RedisBroker, RedisMemory
from arvo.interpreters.runtime.backends import backend_from_url
from arvo.testing.conformance.kit.samples import to_service
from tests.interpreters.within import within
from tests.servers import nats, redis

# Every character that ends a part of a URL.
PASSWORD = "p/a@ss#w?rd: %2F[&=,]é"  # noqa: S105
ENCODED = quote(PASSWORD, safe="")


@pytest.mark.parametrize(
    "scheme", ["postgresql", "postgres", "nats", "tls", "redis", "rediss", "amqp", "amqps", "kafka"]
)
@pytest.mark.parametrize(
    "rest",
    [
        "[::1",
        "::1]",
        "[::1]x:5",
        "[hoxt]:5",
        "hoxt:port",
        "hoxt:99999",
        "hoxt:0",
        "hoxt:",
        "ho yt:5",
        "hoxt\n:5",
        "hoxt\0:5",
        "ho@st@x:5",
        "hoxt:5#part",
        "hoxt:5?name=a@b",
        "℀hoxt:5",
        "hoxt:१",
        "hoxt:-1",
        "hoxt:5:6",
    ],
)
def test_a_malformed_host_or_port_is_a_violation_for_each_scheme(scheme: str, rest: str) -> None:
    """And no ValueError of a parser, which names no field and no remedy."""
    pair = "memory: " if scheme in ("amqp", "amqps", "kafka") else ""
    with pytest.raises(Violated) as refused:
        backend_from_url(f"{pair}{scheme}://{rest}")

    text = str(refused.value)
    assert "backend: expected " in text or "servers: expected " in text
    assert not any(part in text for part in rest.split() if len(part) > 2)


@pytest.mark.parametrize(
    "make",
    [
        PostgresBackend,
        PostgresMemory,
        NatsMemory,
        RedisBroker,
        RedisMemory,
        RabbitBroker,
        KafkaBroker,
    ],
)
@pytest.mark.parametrize("raw", ["se/cret", "se@cret", "se#cret", "se?cret", "s:e/cret", "se cret"])
def test_a_class_refuses_a_password_that_is_not_encoded(
    make: Callable[[str], object], raw: str
) -> None:
    """Also without a URL that chooses the backend."""
    scheme = make.__name__.removesuffix("Backend").removesuffix("Memory").removesuffix("Broker")
    schemes = {"Postgres": "postgresql", "Rabbit": "amqp", "Kafka": ""}
    prefix = schemes.get(scheme, scheme.lower())
    with pytest.raises(Violated) as refused:
        make(f"{prefix}://ann:{raw}@host:5" if prefix else f"ann:{raw}@host:5")

    assert "cret" not in str(refused.value)
    assert "%2F for /" in str(refused.value) or "sasl.password" in str(refused.value)


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://db", "db"),
        ("postgresql://a:1,b:2,[::1]:3/shop", "a:1,b:2,[::1]:3"),
        ("postgresql:///shop?host=%2Fvar%2Frun", ""),
        ("postgresql://%2Fvar%2Frun:5433/shop", "%2Fvar%2Frun:5433"),
        ("postgresql://ann@db_1-x.example.com.:5432/shop", "db_1-x.example.com.:5432"),
        (f"postgresql://ann:{ENCODED}@db/shop?sslmode=require&lease=5", "db"),
    ],
)
def test_a_url_is_read_and_written_again(url: str, hosts: str) -> None:
    """Forms that drivers read stay possible."""
    parsed = BackendUrl.parse(url)

    assert (parsed.hosts, str(parsed)) == (hosts, url)
    assert "ann" not in repr(parsed)
    PostgresBackend(url)


def test_the_login_of_a_cluster_is_decoded_once_for_all_servers() -> None:
    """The driver of NATS sends what a URL holds, so an encoded password would be refused."""
    servers = parse_servers(f"nats://ann:{ENCODED}@a:1, nats://b:2,tls://ann:{ENCODED}@[::1]:3")

    assert servers.urls == ("nats://a:1", "nats://b:2", "tls://[::1]:3")
    assert (servers.user, servers.password, servers.token) == ("ann", PASSWORD, None)
    assert parse_servers(f"nats://{ENCODED}@a:1").token == PASSWORD
    assert PASSWORD not in repr(servers)
    with pytest.raises(Violated, match="the same login for all servers"):
        parse_servers("nats://ann:one@a:1,nats://ann:two@b:2")


def test_an_encoded_password_logs_in_to_nats() -> None:
    """The remedy that the error names works with a real server."""
    server = nats("--user", "ann", "--pass", PASSWORD)
    server.start()
    try:
        address = server.url.removeprefix("nats://")
        reached = within(reach(f"nats://ann:{ENCODED}@{address}"))
        refused = within(reach(f"nats://ann:wr%2Fong@{address}"))
    finally:
        server.stop()

    assert (reached, refused) == (True, False)


def test_an_encoded_password_logs_in_to_redis() -> None:
    """As to NATS; here the driver decodes it."""

    async def set_password(url: str) -> None:
        async with Redis.from_url(url) as client:
            await client.config_set("requirepass", PASSWORD)

    server = redis()
    server.start()
    try:
        address = server.url.removeprefix("redis://")
        within(set_password(server.url))
        reached = within(reach(f"redis://:{ENCODED}@{address}"))
        refused = within(reach(f"redis://:wr%2Fong@{address}"))
    finally:
        server.stop()

    assert (reached, refused) == (True, False)


async def reach(url: str) -> bool:
    """Return whether a backend answers."""
    async with Client(System([]), url) as client:
        return await client.is_reachable()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://quux:{}@127.0.0.1:1/shop",
        "nats://quux:{}@127.0.0.1:1",
        "redis://quux:{}@127.0.0.1:1/0",
        "memory: amqp://quux:{}@127.0.0.1:1/",
    ],
)
def test_the_error_of_a_server_that_is_not_there_shows_no_login(url: str) -> None:
    """The text is the driver's, and ends up in the log."""

    async def go() -> str:
        backend: Backend = backend_from_url(url.format(ENCODED))
        try:
            with pytest.raises(Unavailable) as raised:
                async with asyncio.timeout(30):
                    await backend.send(to_service("one"))
        finally:
            await backend.close()
        return f"{raised.value} {raised.value!r}"

    text = asyncio.run(go())

    assert "quux" not in text
    assert not any(part in text for part in (PASSWORD, ENCODED, PASSWORD[:4], PASSWORD[-4:]))


def test_a_login_in_front_of_kafka_is_refused_with_the_place_for_it() -> None:
    """The client library would take it for the host, and log it."""
    with pytest.raises(Violated, match=r"as sasl\.username and sasl\.password"):
        backend_from_url("memory: kafka://ann:secret@host:9092")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("redis://host?password=ab&cdefg=1", "cdefg"),
        ("redis://host?password=ab&lease=cdefg", "cdefg"),
        ("postgresql://host/db?password=ab&cdefg=1", "cdefg"),
        ("memory: kafka://host?sasl.password=ab&cdefg=1", "cdefg"),
        ("redis://host?socket_timeout=cdefg", "cdefg"),
        ("memory: amqp://host?name=ab&password=cdefg", "cdefg"),
        ("postgresql://host/db?port=cdefg", "cdefg"),
        ("postgresql://host/db?host=h:cdefg", "cdefg"),
    ],
)
def test_what_follows_a_password_in_a_query_is_not_shown(url: str, name: str) -> None:
    """With an `&` that is not encoded it is the rest of the password."""
    with pytest.raises(Violated) as refused:
        backend_from_url(url)

    assert name not in str(refused.value)


def test_a_url_is_shown_without_its_login() -> None:
    """In the status line of `arvo run`. A space or a comma may be one in a password."""
    assert show_url(f"postgresql://ann:{ENCODED}@db:5432/shop?password=x") == "postgresql://db:5432"
    assert show_url("nats://a:1,nats://ann:secret@b:2") == "nats://a,nats://b"
    assert show_url("memory: kafka://host:9092?sasl.password=secret") == "memory: kafka://host"
    assert show_url("sqlite:///my orders.db") == "sqlite:///my orders.db"
    assert show_url("postgresql://ann:se/cret@db") == "postgresql:…"
    assert show_url("orders.db") == "…"
    assert hide_logins("a://b:c@d and e://f:g/h@i") == "a://…@d and e://…@i"


def test_urls_are_checked_before_a_function_of_the_user_receives_them() -> None:
    """Its error, such as a ValueError of `urlsplit`, would show a part of the password."""
    check_urls("sqlite:///my orders.db")
    check_urls("theirs://ann:se/cret@host")
    for url in ("postgresql://ann:se/cret@db", "memory: nats://[::1", "redis://ann:se cret@host"):
        with pytest.raises(Violated):
            check_urls(url)


def test_a_backend_of_ours_is_used_with_a_checked_url() -> None:
    """A runtime refuses it when it is made, before a worker starts."""
    with pytest.raises(Violated, match="%2F for /"):
        Runtime(System([]), "postgresql://ann:se/cret@db/shop")
