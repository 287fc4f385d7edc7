"""Listen: the sockets on which a command answers requests."""

import socket
from ipaddress import ip_address
from typing import Final

from arvo.cli.terminal.errors import UsageError, format_error

_PORT_MAX: Final = 65_535


def listen(address: str, option: str = "--health") -> socket.socket:
    """Open a listening socket on HOST:PORT, or on :PORT for all addresses; port 0 picks a free one.

    Raises `UsageError`, which names the *option*, for an address that is malformed or not free.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > _PORT_MAX:
        raise UsageError(f"{option}: expected HOST:PORT or :PORT, got {address!r}")
    host = host.removeprefix("[").removesuffix("]")
    both = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both or ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, int(port)), family=family, dualstack_ipv6=both)
    except OSError as error:
        raise UsageError(
            f"{option}: {address} cannot be listened on: {format_error(error)}"
        ) from error


def require_loopback(listening: socket.socket, address: str, remedy: str = "") -> None:
    """Raise `UsageError` for a socket that other machines reach, with another *remedy* perhaps."""
    if not is_loopback(listening):
        raise UsageError(
            f"--listen: {address} is reached by other machines, and nothing here knows who asks: "
            f"listen on 127.0.0.1{remedy}"
        )


def is_loopback(listening: socket.socket) -> bool:
    """Return whether only this machine reaches a socket."""
    return ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback
