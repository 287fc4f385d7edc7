"""Completion: the command that prints the script by which a shell completes `arvo`."""

from collections.abc import Callable
from typing import Literal, TypeAlias

from cyclopts import App

from arvo.cli.terminal.output import print_line

Shell: TypeAlias = Literal["bash", "zsh", "fish"]


def completion_of(app: App) -> Callable[[Shell], None]:
    """Return the command that prints the script for the commands of *app*."""

    def completion(shell: Shell, /) -> None:
        """Print the script by which a shell completes commands and options.

        bash: `source <(arvo completion bash)` in ~/.bashrc. zsh: write it to the file _arvo in a
        folder of fpath. fish: `arvo completion fish | source` in config.fish.
        """
        print_line(app.generate_completion(shell=shell).rstrip())

    return completion
