"""Early stop: a signal that arrives before `arvo run` or `arvo dev` handles signals itself."""

import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType
from typing import Final, NoReturn

# Those of `arvo.interpreters.runtime.signals`, which this module must not load.
STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_COMMANDS: Final = ("run", "dev")


def exit_on_signal(tokens: Sequence[str]) -> None:
    """Let SIGTERM and SIGINT end `run` and `dev` with the exit code 0 from now on.

    Loading a system may take seconds. No worker has started and no event was received by then, so
    there is nothing to finish; the default action would report a failure (-15) to a service
    manager. The supervisor replaces these handlers while its workers run.
    """
    if not tokens or tokens[0] not in _COMMANDS:
        return
    if threading.current_thread() is threading.main_thread():
        for number in STOP_SIGNALS:
            signal.signal(number, _exit)


def _exit(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - Python's signature
    sys.exit(0)
