"""App: the commands of `arvo`."""

import sys
from collections.abc import Sequence
from typing import Final

from cyclopts import App

from arvo.cli.commands.acts import cancel, fork, migrate, revive
from arvo.cli.commands.agents import agent_app
from arvo.cli.commands.archives import replay
from arvo.cli.commands.completion import completion_of
from arvo.cli.commands.contracts import export, import_contract
from arvo.cli.commands.dead_letters import dead_letters_app
from arvo.cli.commands.dev import dev
from arvo.cli.commands.doctor import doctor
from arvo.cli.commands.events import send, signal
from arvo.cli.commands.new import new
from arvo.cli.commands.run import run, upgrade
from arvo.cli.commands.schedules import schedules_app
from arvo.cli.commands.watch import watch
from arvo.cli.commands.workflows import audit, describe, history, timers, versions, workflows
from arvo.cli.serving.console import console
from arvo.cli.serving.mcp import mcp_app
from arvo.cli.terminal.errors import REPORTED_ERRORS, format_error
from arvo.cli.terminal.output import print_status
from arvo.interpreters.delivery.backend_url import hide_logins
from arvo.interpreters.delivery.log import format_traceback

app: Final = App(name="arvo", help="Run a system of event handlers and workflows, and operate it.")
for _command in (
    new, run, dev, doctor, console, send, signal, export, workflows, timers, versions, describe,
    history, watch, cancel, migrate, revive, fork, audit, replay, upgrade,
):  # fmt: skip
    app.command(_command)
app.command(import_contract, name="import")
app.command(completion_of(app))
app.command(dead_letters_app)
app.command(schedules_app)
app.command(mcp_app)
app.command(agent_app)


def run_command(tokens: Sequence[str]) -> int:
    """Run a command and return its exit code.

    2, with one line on standard error, if it fails; 1, with a traceback, for a bug.
    """
    try:
        result = app(
            list(tokens), exit_on_error=False, print_error=False, result_action="return_value"
        )
    except REPORTED_ERRORS as error:
        print_status(format_error(error))
        return 2
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the interpreter would print the message unescaped
        sys.stderr.write(f"{hide_logins(format_traceback(error))}\n")
        return 1
    return result if isinstance(result, int) else 0
