"""Deploy: the commands, probes and limits in docs/deploy match the program."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
import uvicorn
import yaml
from starlette.routing import Route

from arvo import Runtime
from arvo.cli.app import app
from arvo.cli.process.supervisor import KILL_SECONDS
from arvo.cli.terminal.load import Url, load_system
from arvo.http import asgi_app
from arvo.interpreters.postgres import PostgresBackend
from arvo.interpreters.runtime.asks import TIMEOUT_SECONDS
from arvo.interpreters.runtime.backends import backend_from_url
from docs.examples.orders.contracts import PlaceOrder
from docs.examples.orders.reader import read_orders
from docs.examples.orders.shop import order_event
from docs.examples.orders.systems import SYSTEMS
from tests.interpreters.postgres.schemas import schema_url
from tests.server_process import free_port

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs" / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
OBJECTS = {
    (document["kind"], document["metadata"]["name"]): document
    for document in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
}
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
[[*IMAGE]] = [
    json.loads(command) for command in re.findall(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)
]
NAMES = ("workers", "web")
ORDERS = ROOT / "docs" / "examples" / "orders" / "orders.jsonl"
PATHS = {
    route.path for route in asgi_app(Runtime(SYSTEMS["flow"])).routes if isinstance(route, Route)
}


def pod(name: str) -> Any:
    """Return the pod specification of a deployment."""
    return OBJECTS["Deployment", name]["spec"]["template"]["spec"]


def container(name: str) -> Any:
    """Return the one container of a deployment."""
    [only] = pod(name)["containers"]
    return only


def option(command: list[str], name: str) -> str:
    """Return the value of an option."""
    [value] = [word.partition("=")[2] for word in command if word.startswith(f"{name}=")]
    return value


WORKERS, WEB = (COMPOSE["services"][name]["command"] for name in NAMES)


def test_both_ways_to_deploy_run_the_same() -> None:
    """A laptop runs the same commands as the cluster."""
    assert [container(name)["command"] for name in NAMES] == [WORKERS, WEB]
    assert {container(name)["image"] for name in NAMES} == {
        COMPOSE["services"][name]["image"] for name in NAMES
    }


@pytest.mark.parametrize("command", [WORKERS, IMAGE], ids=["workers", "image"])
def test_the_workers_run_a_valid_arvo_command(command: list[str]) -> None:
    """A manifest with an outdated option fails only when it is deployed."""
    program, *words = command
    called, bound, *_ = app.parse_args(
        [*words, "--backend", "memory:"], exit_on_error=False, print_error=False
    )

    assert program == "arvo"
    assert called.__name__ == "run"
    assert load_system(bound.args[0], "memory:") == SYSTEMS["flow"]


def test_the_web_service_runs_a_valid_uvicorn_command() -> None:
    """With a factory that can be imported."""
    program, *words = WEB
    with uvicorn.main.make_context(program, list(words)) as context:
        given = dict(context.params)

    assert given["factory"] is True
    assert given["app"] == "docs.examples.orders.deployed:app"
    assert (given["host"], given["port"]) == ("0.0.0.0", int(option(WEB, "--port")))  # noqa: S104


@pytest.mark.parametrize("name", NAMES)
def test_probes_use_the_paths_that_are_served(name: str) -> None:
    """A wrong path restarts healthy processes for ever."""
    spec = container(name)
    served = option(WORKERS, "--health") if name == "workers" else f":{option(WEB, '--port')}"
    ports = {port["name"]: port["containerPort"] for port in spec["ports"]}
    probes = {kind: spec[f"{kind}Probe"]["httpGet"] for kind in ("liveness", "readiness")}
    [check] = [word for word in COMPOSE["services"][name]["healthcheck"]["test"] if "http" in word]

    assert {kind: probe["path"] for kind, probe in probes.items()} == {
        "liveness": "/live",
        "readiness": "/ready",
    }
    assert {"/live", "/ready"} <= PATHS
    assert {f":{ports[probe['port']]}" for probe in probes.values()} == {served}
    assert f"http://127.0.0.1{served}/ready" in check


def test_the_backend_is_in_the_variable_that_the_command_reads() -> None:
    """The URL comes from a secret, and the image installs its driver."""
    [variable] = get_args(Url)[1].env_var
    url = COMPOSE["services"]["workers"]["environment"][variable]

    assert COMPOSE["services"]["web"]["environment"] == {variable: url}
    for name in NAMES:
        assert container(name)["env"] == [
            {
                "name": variable,
                "valueFrom": {"secretKeyRef": {"name": "arvo", "key": "ARVO_BACKEND"}},
            }
        ]
    assert isinstance(backend_from_url(re.sub(r"\$\{.*?\}", "secret", url)), PostgresBackend)
    assert "asyncpg" in pinned()


def pinned() -> dict[str, int]:
    """Return the packages that the image installs, each with the number of its hashes."""
    text = (ROOT / "requirements" / "image.txt").read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    packages: dict[str, int] = {}
    for line in lines:
        if match := re.match(r"([a-z0-9.-]+)==\S+( ; .*)? \\$", line):
            packages[match[1]] = 0
        else:
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line), line
            packages[list(packages)[-1]] += 1
    return packages


def test_the_image_installs_pinned_packages_with_hashes_and_nothing_else() -> None:
    """A package that was replaced on the index, or one that nobody pinned, is not installed."""
    installs = re.findall(r"^RUN pip install (.*)$", DOCKERFILE, re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    wanted = [
        *project["project"]["dependencies"],
        *(package for extra in ("cli", "http", "nats", "postgres") for package in extras[extra]),
        *project["build-system"]["requires"],
    ]

    assert installs == [
        "--no-cache-dir --require-hashes -r requirements/image.txt",
        "--no-cache-dir --no-index --no-deps --no-build-isolation .",
    ]
    assert not [name for name, hashes in pinned().items() if not hashes]
    assert {re.split(r"[<>=]", package)[0].replace("_", "-") for package in wanted} <= set(pinned())


def test_the_stop_timeout_covers_the_shutdown() -> None:
    """An earlier kill would cut off handlers that could have finished."""
    workers = float(option(WORKERS, "--shutdown-timeout")) + KILL_SECONDS
    web = float(option(WEB, "--timeout-graceful-shutdown")) + TIMEOUT_SECONDS

    for name, needed in zip(NAMES, (workers, web), strict=True):
        assert pod(name)["terminationGracePeriodSeconds"] > needed
        assert float(COMPOSE["services"][name]["stop_grace_period"].removesuffix("s")) > needed


@pytest.mark.parametrize("name", NAMES)
def test_nothing_runs_as_root_or_without_bounds(name: str) -> None:
    """A compromised process must not reach beyond its container."""
    spec = container(name)
    [user] = re.findall(r"^USER (\d+):", DOCKERFILE, re.MULTILINE)

    assert pod(name)["securityContext"]["runAsNonRoot"] is True
    assert pod(name)["securityContext"]["runAsUser"] == int(user) > 0
    assert COMPOSE["services"][name]["user"].partition(":")[0] == user
    assert spec["securityContext"]["allowPrivilegeEscalation"] is False
    assert spec["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {"cpu", "memory"} <= set(spec["resources"]["requests"])
    assert "memory" in spec["resources"]["limits"]


def test_services_find_their_pods() -> None:
    """Only names connect these objects."""
    services = {name: spec for (kind, name), spec in OBJECTS.items() if kind == "Service"}
    pods = {
        name: spec["spec"]["template"]
        for (kind, name), spec in OBJECTS.items()
        if kind in ("Deployment", "StatefulSet")
    }

    assert set(services) == {"postgres", "web"}
    for name, service in services.items():
        [only] = pods[name]["spec"]["containers"]
        assert service["spec"]["selector"] == pods[name]["metadata"]["labels"]
        assert service["spec"]["ports"][0]["targetPort"] in {port["name"] for port in only["ports"]}


def test_the_files_that_the_image_copies_exist() -> None:
    """The ignore file lets them through."""
    sent = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    copied = [
        word
        for line in re.findall(r"^COPY (.*)$", DOCKERFILE, re.MULTILINE)
        for word in shlex.split(line)[:-1]
    ]

    assert all((ROOT / path).exists() for path in copied)
    assert {f"!{path}" for path in copied} <= set(sent)


@contextmanager
def started(command: list[str], url: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a command of the files with another port and backend."""
    program = {"arvo": ["-m", "arvo.cli"], "uvicorn": ["-m", "uvicorn"]}[command[0]]
    process = subprocess.Popen(
        [sys.executable, *program, *command[1:]],
        cwd=ROOT,
        env={**os.environ, "ARVO_BACKEND": url},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=20)
        finally:
            process.kill()


def wait_until_ready(address: str) -> Any:
    """Wait until the readiness probe succeeds, and return its body."""
    for _ in range(400):
        try:
            response = httpx.get(f"{address}/ready", timeout=60)
        except httpx.TransportError:
            response = httpx.Response(503)
        if response.status_code == 200:
            return response.json()
        time.sleep(0.05)
    raise AssertionError(f"{address} did not become ready: {response.status_code}")


def test_the_commands_start_the_whole_shop(tmp_path: Path) -> None:
    """On a test Postgres, an order that is posted over HTTP is shipped."""
    url = schema_url(tmp_path)
    ports = (free_port(), free_port())
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    workers = [re.sub(r":8080$", f":{ports[0]}", word) for word in WORKERS]
    web = [re.sub(r"^--port=.*", f"--port={ports[1]}", word) for word in WEB]
    placed = order_event(next(line for line in read_orders(ORDERS) if isinstance(line, PlaceOrder)))

    with started(workers, url), started(web, url):
        readiness = wait_until_ready(urls[0])
        wait_until_ready(urls[1])
        response = httpx.post(
            f"{urls[1]}/",
            content=placed.to_json(),
            headers={"content-type": "application/cloudevents+json", "prefer": "wait=30"},
            timeout=60,
        )

    assert [worker["ready"] for worker in readiness["workers"]] == [True, True]
    assert response.status_code == 200
    assert response.json()["data"]["outcome"] == "shipped"
