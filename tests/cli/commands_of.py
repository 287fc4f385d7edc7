"""Commands of an app: its tree of commands, flat."""

from collections.abc import Iterator

from cyclopts import App


def commands_of(app: App, path: tuple[str, ...] = ()) -> Iterator[tuple[str, App]]:
    """Yield each command that does something, such as `dead-letters redrive`, with its app."""
    for name in app:
        if name.startswith("-"):
            continue
        command, names = app[name], (*path, name)
        if command.default_command is not None:
            yield " ".join(names), command
        yield from commands_of(command, names)
