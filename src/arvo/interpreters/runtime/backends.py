"""Backends: makes a backend from its URL, with the factories that packages register.

A package registers a URL scheme as an entry point, in its `pyproject.toml`:

    [project.entry-points."arvo.backends"]
    mydb = "mypackage:make_backend"

The name is the scheme; the object is a function that takes the whole URL. There is a group for
whole backends, `arvo.backends`, and one for each half of a pair, `arvo.memories` and
`arvo.brokers`. The function of a group returns a `Backend`, a `MachineMemory` or a `Broker`.
"""

import re
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.extras import extra_of, install_command
from arvo.interpreters.codecs.codec import AcceptsCodec, Codec
from arvo.interpreters.delivery.backend_url import EXAMPLES, refuse_url, scheme_of
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.broker import Broker
from arvo.interpreters.ports.machine_memory import MachineMemory

BACKENDS: Final = "arvo.backends"
MEMORIES: Final = "arvo.memories"
BROKERS: Final = "arvo.brokers"


def backend_from_url(backend: str | Backend, codec: Codec | None = None) -> Backend:
    """Return the backend that a URL names. A `Backend` is returned as it is.

    `memory:` keeps all data in this process. `sqlite:///orders.db` keeps it in a file, here with a
    relative path; `sqlite:////var/lib/orders.db` has an absolute one. Two URLs with a space between
    them are a pair (see `paired`): first the memory, then the broker. One URL whose server is both,
    such as `nats://host`, is a pair of the two. *codec*: encodes all that it stores and sends.

    No connection is opened before the backend is used. Raises `Violated` for a URL that names no
    backend, and for one whose driver is not installed.
    """
    if isinstance(backend, str):
        made = _backend_from_url(backend)
        return made if codec is None else _with_codec(made, codec)
    if codec is not None:
        issue = Issue("codec", "a URL with it, or a backend made with codec=", "a Backend")
        raise Violated(ConfigViolation("this backend was made already", issue))
    return backend


def _with_codec(backend: Backend, codec: Codec) -> Backend:
    encoding = backend.with_codec(codec) if isinstance(backend, AcceptsCodec) else None
    if encoding is None:
        expected = "a backend with `with_codec` (see AcceptsCodec)"
        issue = Issue("codec", expected, type(backend).__name__)
        raise Violated(ConfigViolation("this backend stores everything in the clear", issue))
    return encoding


def _backend_from_url(backend: str) -> Backend:
    scheme, urls = scheme_of(backend), backend.split()
    memories, brokers = _registered(MEMORIES), _registered(BROKERS)
    # One URL of a whole backend may contain spaces, in the path of a file.
    is_pair = len(urls) > 1 and (scheme in memories or scheme_of(urls[1]) in brokers)
    if scheme in _registered(BACKENDS) and not is_pair:
        whole: Backend = _factory(BACKENDS, backend)(backend)
        return whole
    if len(urls) == 1 and scheme in memories and scheme in brokers:
        urls *= 2
    if len(urls) != 2:
        raise _refusal(backend)
    return Pair(memory_from_url(urls[0]), broker_from_url(urls[1]), owned=True)


def memory_from_url(url: str) -> MachineMemory:
    """Return the machine memory that a URL names. Raises as `backend_from_url` does."""
    memory: MachineMemory = _factory(MEMORIES, url)(url)
    return memory


def broker_from_url(url: str) -> Broker:
    """Return the broker that a URL names. Raises as `backend_from_url` does."""
    broker: Broker = _factory(BROKERS, url)(url)
    return broker


def _registered(group: str) -> Mapping[str, EntryPoint]:
    """Return the entry points of a group, by scheme."""
    return _read_entry_points(group, tuple(sys.path))


@lru_cache(maxsize=16)
def _read_entry_points(group: str, path: tuple[str, ...]) -> Mapping[str, EntryPoint]:  # noqa: ARG001 - the path is where packages are looked for, so it is part of the key
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=group):
        other = found.setdefault(entry.name, entry)
        if other.value != entry.value:
            issue = Issue(f"{group}: {entry.name}", "one function", f"{other.value}, {entry.value}")
            raise Violated(ConfigViolation("two packages register the same URL scheme", issue))
    return found


def _factory(group: str, url: str) -> Callable[[str], Any]:
    """Import the function that a package has registered for the scheme of a URL."""
    scheme, known = scheme_of(url), _registered(group)
    if scheme not in known:
        raise _unknown_scheme(group, url)
    try:
        factory: Callable[[str], Any] = known[scheme].load()
    except ModuleNotFoundError as error:
        extra = extra_of(error)
        if extra is None:
            raise
        expected = f"the extra {extra!r}: {install_command(extra)}"
        issue = Issue("backend", expected, f"no module {error.name!r}")
        raise Violated(ConfigViolation(f"{scheme}: needs a driver", issue)) from error
    return factory


def _refusal(backend: str) -> Violated:
    """Explain why a text names no backend."""
    scheme, urls = scheme_of(backend), backend.split()
    halves = _registered(MEMORIES), _registered(BROKERS)
    if len(urls) > 2 and scheme in EXAMPLES:
        raise refuse_url(scheme, "more than two URLs with spaces between them", encode=True)
    if len(urls) == 1 and any(scheme in half for half in halves):
        expected = f"two URLs, a memory and a broker, such as `{_pair_example(scheme)}`"
        issue = Issue("backend", expected, f"only {scheme}:…")
        return Violated(ConfigViolation(f"{scheme}: is one half of a pair", issue))
    return _unknown_scheme(BACKENDS, backend)


def _unknown_scheme(group: str, text: str) -> Violated:
    known = set(_registered(group))
    if group == BACKENDS:
        # A server that is both a memory and a broker is a backend by itself.
        known |= _registered(MEMORIES).keys() & _registered(BROKERS).keys()
    kind = {BACKENDS: "a backend", MEMORIES: "a memory", BROKERS: "a broker"}[group]
    schemes = ", ".join(f"{scheme}:" for scheme in sorted(known)) or "none"
    expected = (
        f"the URL of {kind}, such as `{_example(text, known)}` (known schemes: {schemes}; "
        f"a package adds one with an entry point in the group {group!r})"
    )
    got = _redact(text, is_half=group != BACKENDS)
    issue = Issue("backend", expected, got)
    return Violated(ConfigViolation(f"this URL names no known {kind.split()[1]}", issue))


def _example(text: str, known: set[str]) -> str:
    if text in known and text in EXAMPLES:
        return EXAMPLES[text]
    if "sqlite" in known and text and not _may_be_secret(text):
        return f"sqlite:///{text}"
    return next((EXAMPLES[scheme] for scheme in sorted(known) if scheme in EXAMPLES), "memory:")


def _pair_example(scheme: str) -> str:
    if scheme in _registered(BROKERS):
        return f"{EXAMPLES['postgresql']} {EXAMPLES.get(scheme, f'{scheme}://host')}"
    return f"{EXAMPLES.get(scheme, f'{scheme}://host')} {EXAMPLES['kafka']}"


def _redact(text: str, *, is_half: bool) -> str:
    """Show the scheme of a text, and no more of its URLs: they may hold a password.

    Half of a pair may be half of a password with a space, so only a scheme that we know is shown.
    """
    scheme = scheme_of(text)
    if scheme and (scheme in EXAMPLES or not is_half):
        return f"{scheme}:…"
    return "something else" if is_half or _may_be_secret(text) else short_repr(text)


def _may_be_secret(text: str) -> bool:
    """Return False for a text that looks like the name of a file."""
    return re.fullmatch(r"[\w./\\-]*", text) is None or "//" in text
