"""Forks: an operator's process and the workers are killed, and each fork begins once."""

import signal
from pathlib import Path

import pytest

from tests.forked import Forked
from tests.processes.forks import check_forks, fork_all
from tests.processes.workers import begin, start_workers, wait_for_all

WORKFLOWS = 24


@pytest.mark.promise("I1", "I2")
def test_forks_that_are_repeated_after_a_kill_begin_once(tmp_path: Path) -> None:
    """I1, I2: the same id, workflow and revision are the same fork, wherever SIGKILL has come."""
    url = f"sqlite:///{tmp_path}/forks.db"
    begin(url, range(WORKFLOWS))
    with start_workers(url, 2) as workers:
        wait_for_all(url, WORKFLOWS)
        for reached in (0, WORKFLOWS // 3, WORKFLOWS // 2):
            forking = Forked.start(fork_all, url, reached, WORKFLOWS)
            assert forking.wait_until_working()
            forking.signal(signal.SIGKILL)
            workers.kill(workers.processes[0])
            workers.start()
            assert forking.wait() == -signal.SIGKILL
        forking = Forked.start(fork_all, url, WORKFLOWS, WORKFLOWS)
        assert forking.wait() == 0
        check_forks(url, WORKFLOWS)
        workers.stop()
