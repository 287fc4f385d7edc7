"""Setups: how much is run under which faults, briefly and for long."""

from collections.abc import Mapping
from typing import Final

from attrs import frozen


@frozen(kw_only=True)
class Faults:
    """How many faults of each kind, and the share of the workflows that have one.

    *kills*: SIGKILL for a worker, and a new one. *freezes*: SIGSTOP until its lease is over, then
    SIGCONT. *restarts*: SIGTERM, and a new worker. *server_restarts*: the server is switched off
    and on, where there is one. *is_rolling*: a deploy replaces each worker by one of a new version,
    whose events come while old ones run. *poison*: the share of workflows with an event that ends
    its process, and of workflows whose service raises `SystemExit`. *duplicates*: the share of
    events that are sent two or three times. *cancellations*: the share of workflows that are
    cancelled. *outages*: the share of commits that fail for once.
    """

    kills: int = 0
    freezes: int = 0
    restarts: int = 0
    server_restarts: int = 0
    is_rolling: bool = False
    poison: float = 0.0
    duplicates: float = 0.0
    cancellations: float = 0.0
    outages: float = 0.0


@frozen
class Setup:
    """One run of the harness: on which backend, how much, under which faults.

    *window*: the workflows that are under way at the same time.
    """

    place: str
    faults: Faults
    workflows: int
    workers: int = 3
    seed: int = 1
    window: int = 40


# Shares that hold for every run: of events that are sent again, of workflows that are cancelled,
# of commits that fail for once, and of workflows with poison.
DUPLICATES, CANCELLATIONS, OUTAGES, POISON = 0.2, 0.1, 0.01, 0.01

SHORT: Final = Faults(
    kills=2,
    freezes=1,
    restarts=1,
    server_restarts=1,
    is_rolling=True,
    poison=POISON,
    duplicates=DUPLICATES,
    cancellations=CANCELLATIONS,
    outages=OUTAGES,
)
SHORT_WORKFLOWS: Final = 40
# The workflows for each fault of a long run.
PER_FAULT: Final[Mapping[str, int]] = {
    "kills": 25,
    "freezes": 100,
    "restarts": 100,
    "server_restarts": 150,
}


def short(place: str, seed: int) -> Setup:
    """Return a run of seconds, with each fault at least once."""
    return Setup(place, SHORT, SHORT_WORKFLOWS, seed=seed)


def deep(place: str, workflows: int, seed: int) -> Setup:
    """Return a run with as many faults of each kind as its number of workflows allows."""
    numbers = {name: max(1, workflows // each) for name, each in PER_FAULT.items()}
    faults = Faults(
        **numbers,
        is_rolling=True,
        poison=POISON,
        duplicates=DUPLICATES,
        cancellations=CANCELLATIONS,
        outages=OUTAGES,
    )
    return Setup(place, faults, workflows, workers=4, seed=seed)
