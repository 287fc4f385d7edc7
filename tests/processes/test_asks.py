"""Asks: any process gets the answer to a signal, also one that handles nothing."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.processes.asks import ask_for_votes
from tests.processes.test_order import SERVERS
from tests.processes.workers import start_workers

VOTES = 12


def check(url: str) -> None:
    """Let two processes handle the signals of a third one."""
    with start_workers(url, 2) as workers:
        answers = asyncio.run(ask_for_votes(url, "poll-1", VOTES))
        workers.stop()

    assert sorted(by for by, _ in answers) == sorted(map(str, range(VOTES)))
    assert sorted(votes for _, votes in answers) == [*range(1, VOTES + 1)]


def test_a_caller_in_another_process_gets_each_answer_from_sqlite(tmp_path: Path) -> None:
    check(f"sqlite:///{tmp_path}/asks.db")


@pytest.mark.parametrize("start", SERVERS)
def test_a_caller_in_another_process_gets_each_answer(
    start: Callable[[], AbstractContextManager[tuple[str, Callable[[], None]]]],
) -> None:
    """A pair has no history: it keeps the answers for them."""
    with start() as (url, _):
        check(url)
