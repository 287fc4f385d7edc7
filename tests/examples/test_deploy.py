"""Deploy: the files in docs/deploy say what the commands, the probes and the limits are."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
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
from arvo.cli.app import Url, app
from arvo.cli.load import load_system
from arvo.cli.supervisor import KILL_SECONDS
from arvo.extras import EXTRAS
from arvo.http import asgi_app
from arvo.interpreters.postgres import PostgresBackend
from arvo.interpreters.runtime.backends import backend_from_url
from arvo.interpreters.runtime.runtime import TIMEOUT_SECONDS
from docs.examples.orders.reader import read_orders
from docs.examples.orders.shop import order_event
from docs.examples.orders.systems import SYSTEMS
from tests.interpreters.postgres.schemas import schema_url

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs" / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
OBJECTS = {
    (each["kind"], each["metadata"]["name"]): each
    for each in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
}
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
[[*IMAGE]] = [json.loads(found) for found in re.findall(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)]
NAMES = ("workers", "web")
ORDERS = ROOT / "docs" / "examples" / "orders" / "orders.jsonl"
PATHS = {each.path for each in asgi_app(Runtime(SYSTEMS["flow"])).routes if isinstance(each, Route)}


def pod(name: str) -> Any:
    """Give what a deployment runs."""
    return OBJECTS["Deployment", name]["spec"]["template"]["spec"]


def container(name: str) -> Any:
    """Give the one container of a deployment."""
    [found] = pod(name)["containers"]
    return found


def option(command: list[str], name: str) -> str:
    """Find the value of an option."""
    [value] = [each.partition("=")[2] for each in command if each.startswith(f"{name}=")]
    return value


WORKERS, WEB = (COMPOSE["services"][name]["command"] for name in NAMES)


def test_both_ways_to_deploy_run_the_same() -> None:
    """What is tried on a laptop is what runs in the cluster."""
    assert [container(name)["command"] for name in NAMES] == [WORKERS, WEB]
    assert {container(name)["image"] for name in NAMES} == {
        COMPOSE["services"][name]["image"] for name in NAMES
    }


@pytest.mark.parametrize("command", [WORKERS, IMAGE], ids=["workers", "image"])
def test_what_the_workers_run_is_a_command_of_ours(command: list[str]) -> None:
    """Options come and go; a manifest is read when it is too late."""
    program, *words = command
    called, bound, *_ = app.parse_args(
        [*words, "--backend", "memory:"], exit_on_error=False, print_error=False
    )

    assert program == "arvo"
    assert called.__name__ == "run"
    assert load_system(bound.args[0], "memory:") == SYSTEMS["flow"]


def test_what_the_web_runs_is_a_command_of_uvicorn() -> None:
    """With a factory that can be imported."""
    program, *words = WEB
    with uvicorn.main.make_context(program, list(words)) as context:
        given = dict(context.params)

    assert given["factory"] is True
    assert given["app"] == "docs.examples.orders.deployed:app"
    assert (given["host"], given["port"]) == ("0.0.0.0", int(option(WEB, "--port")))  # noqa: S104


@pytest.mark.parametrize("name", NAMES)
def test_probes_ask_where_it_is_answered(name: str) -> None:
    """A wrong path restarts what is well, for ever."""
    each = container(name)
    served = option(WORKERS, "--health") if name == "workers" else f":{option(WEB, '--port')}"
    ports = {port["name"]: port["containerPort"] for port in each["ports"]}
    asked = {kind: each[f"{kind}Probe"]["httpGet"] for kind in ("liveness", "readiness")}
    [check] = [word for word in COMPOSE["services"][name]["healthcheck"]["test"] if "http" in word]

    assert {kind: probe["path"] for kind, probe in asked.items()} == {
        "liveness": "/live",
        "readiness": "/ready",
    }
    assert {"/live", "/ready"} <= PATHS
    assert {f":{ports[probe['port']]}" for probe in asked.values()} == {served}
    assert f"http://127.0.0.1{served}/ready" in check


def test_the_backend_is_named_where_it_is_looked_for() -> None:
    """In the variable that the command reads, from a secret; and its driver is installed."""
    [variable] = get_args(Url)[1].env_var
    url = COMPOSE["services"]["workers"]["environment"][variable]
    [extras] = re.findall(r"pip install .*'\.\[(.*)\]'", DOCKERFILE)

    assert COMPOSE["services"]["web"]["environment"] == {variable: url}
    for name in NAMES:
        assert container(name)["env"] == [
            {
                "name": variable,
                "valueFrom": {"secretKeyRef": {"name": "arvo", "key": "ARVO_BACKEND"}},
            }
        ]
    assert isinstance(backend_from_url(re.sub(r"\$\{.*?\}", "secret", url)), PostgresBackend)
    assert {EXTRAS["asyncpg"], "cli", "http"} <= set(extras.split(","))


def test_whoever_is_told_to_stop_is_given_the_time_for_it() -> None:
    """Killed earlier, handlers are cut off that would have finished."""
    workers = float(option(WORKERS, "--shutdown-timeout")) + KILL_SECONDS
    web = float(option(WEB, "--timeout-graceful-shutdown")) + TIMEOUT_SECONDS

    for name, needed in zip(NAMES, (workers, web), strict=True):
        assert pod(name)["terminationGracePeriodSeconds"] > needed
        assert float(COMPOSE["services"][name]["stop_grace_period"].removesuffix("s")) > needed


@pytest.mark.parametrize("name", NAMES)
def test_nothing_runs_as_root_or_without_bounds(name: str) -> None:
    """What is broken into shall break nothing else."""
    each = container(name)
    [user] = re.findall(r"^USER (\d+):", DOCKERFILE, re.MULTILINE)

    assert pod(name)["securityContext"]["runAsNonRoot"] is True
    assert pod(name)["securityContext"]["runAsUser"] == int(user) > 0
    assert COMPOSE["services"][name]["user"].partition(":")[0] == user
    assert each["securityContext"]["allowPrivilegeEscalation"] is False
    assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {"cpu", "memory"} <= set(each["resources"]["requests"])
    assert "memory" in each["resources"]["limits"]


def test_services_find_their_pods() -> None:
    """Names are all that ties these objects together."""
    services = {name: each for (kind, name), each in OBJECTS.items() if kind == "Service"}
    pods = {
        name: each["spec"]["template"]
        for (kind, name), each in OBJECTS.items()
        if kind in ("Deployment", "StatefulSet")
    }

    assert set(services) == {"postgres", "web"}
    for name, service in services.items():
        [found] = pods[name]["spec"]["containers"]
        assert service["spec"]["selector"] == pods[name]["metadata"]["labels"]
        assert service["spec"]["ports"][0]["targetPort"] in {
            each["name"] for each in found["ports"]
        }


def test_what_the_image_copies_is_there() -> None:
    """And nothing that the ignore file keeps away."""
    sent = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    copied = [
        word
        for line in re.findall(r"^COPY (.*)$", DOCKERFILE, re.MULTILINE)
        for word in shlex.split(line)[:-1]
    ]

    assert all((ROOT / each).exists() for each in copied)
    assert {f"!{each}" for each in copied} <= set(sent)


@contextmanager
def started(command: list[str], url: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a command of the files as it stands there, but for its port and its backend."""
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


def ready(address: str) -> Any:
    """Wait until a probe says so."""
    for _ in range(400):
        try:
            answer = httpx.get(f"{address}/ready", timeout=10)
        except httpx.TransportError:
            answer = httpx.Response(503)
        if answer.status_code == 200:
            return answer.json()
        time.sleep(0.05)
    raise AssertionError(f"{address} did not become ready: {answer.status_code}")


def free_port() -> int:
    """Find a port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def test_the_commands_start_the_whole_shop(tmp_path: Path) -> None:
    """On a Postgres of the tests': an order goes in by HTTP, and comes out shipped."""
    url = schema_url(tmp_path)
    ports = (free_port(), free_port())
    places = [f"http://127.0.0.1:{port}" for port in ports]
    workers = [re.sub(r":8080$", f":{ports[0]}", word) for word in WORKERS]
    web = [re.sub(r"^--port=.*", f"--port={ports[1]}", word) for word in WEB]
    placed = order_event(next(each for each in read_orders(ORDERS) if not hasattr(each, "issues")))

    with started(workers, url), started(web, url):
        crew = ready(places[0])
        ready(places[1])
        answered = httpx.post(
            f"{places[1]}/",
            content=placed.to_json(),
            headers={"content-type": "application/cloudevents+json", "prefer": "wait=30"},
            timeout=60,
        )

    assert [each["ready"] for each in crew["workers"]] == [True, True]
    assert answered.status_code == 200
    assert answered.json()["data"]["outcome"] == "shipped"
