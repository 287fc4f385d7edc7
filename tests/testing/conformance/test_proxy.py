"""Proxy: the kit sees the optional operations of a backend that is wrapped, on every Python."""

from typing import Any

from arvo import MemoryBackend
from arvo.interpreters.ports.chains import CommitsChains
from arvo.testing.conformance.kit.proxy import show_attributes


class Wrapped:
    def __init__(self, hidden: str = "") -> None:
        self.inner, self.hidden = MemoryBackend(), hidden
        show_attributes(self, self.inner)

    def __getattr__(self, name: str) -> Any:
        if name == self.hidden:
            raise AttributeError(name)
        return getattr(self.inner, name)


def test_a_proxy_is_an_instance_of_the_protocols_of_its_subject() -> None:
    """A kit that takes an operation for missing skips its tests, and reports success."""
    wrapped: Any = Wrapped()

    assert wrapped.commit_chains == wrapped.inner.commit_chains
    assert isinstance(wrapped, CommitsChains)


def test_what_a_proxy_hides_stays_hidden_and_what_it_has_is_its_own() -> None:
    """A test takes one operation away, or replaces one."""
    wrapped: Any = Wrapped(hidden="commit_chains")
    wrapped.reports = "its own"

    assert not isinstance(wrapped, CommitsChains)
    assert wrapped.reports == "its own"
