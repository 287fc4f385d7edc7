"""Secrets: no error, no text of a backend and no log line shows a part of a password."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arvo.cli.terminal.errors import REPORTED_ERRORS, format_error
from arvo.cli.terminal.load import load_runtime
from arvo.core.violations.violation import Violated
from arvo.interpreters.delivery.backend_url import BackendUrl, show_url
from arvo.interpreters.runtime.backends import backend_from_url

SHOWN_CHARACTERS_MAX: Final = 3
URLS: Final = (
    "postgresql://ann:{}@127.0.0.1:1/shop",
    "postgresql://ann:{}@127.0.0.1:1,127.0.0.2:1/shop?sslmode=require",
    "postgresql://ann@127.0.0.1:1/shop?password={}",
    "postgresql://ann@127.0.0.1:1/shop?password={}&lease=5",
    "nats://ann:{}@127.0.0.1:1",
    "nats://{}@127.0.0.1:1",
    "nats://127.0.0.1:1,nats://ann:{}@127.0.0.1:1?prefix=shop",
    "tls://ann:{}@127.0.0.1:1",
    "redis://:{}@127.0.0.1:1/0",
    "rediss://ann:{}@127.0.0.1:1/0?prefix=shop",
    "redis://127.0.0.1:1?password={}",
    "postgresql://ann:{}@db/shop kafka://127.0.0.1:1",
    "postgresql://db/shop amqp://ann:{}@127.0.0.1:1/vhost",
    "memory: amqps://ann:{}@127.0.0.1:1/",
    "memory: kafka://127.0.0.1:1?sasl.username=ann&sasl.password={}",
    "memory: kafka://ann:{}@127.0.0.1:1",
    "memory://ann:{}@127.0.0.1:1",
    "sqlite://ann:{}@127.0.0.1:1/shop",
    "mysql://ann:{}@127.0.0.1:1/shop",
    "ann:{}@127.0.0.1:1/shop",
    "postgresql://ann:{}@[::1/shop",
    "postgresql://ann:{}@127.0.0.1:port/shop",
    "nats://ann:{}@127.0.0.1:99999",
    "redis://ann:{}@/0?unknown=1",
)
# The characters that end a part of a URL, and some that are part of no text of ours.
# A password with a space and a scheme behind it makes two URLs of one, and nothing tells its first
# half from a host.
_TWO_URLS: Final = re.compile(r"\s+(nats|kafka)://")
PASSWORDS: Final = st.one_of(
    st.text(alphabet="/@#?:;&=%+,[]()!$'\"\\ \n\t\0\x1b_-.0123456789QXZξж", max_size=24),
    st.text(max_size=24),
    st.lists(
        st.sampled_from(("/", "@", "#", "?", ":", " ", "&", "=", ",", "://", "nats://", "kafka://"))
        | st.text(alphabet="abcdefXYZ0123456789", min_size=4, max_size=8),
        max_size=6,
    ).map("".join),
).filter(lambda password: not _TWO_URLS.search(password))


def texts(url: str) -> Iterator[str]:
    """Yield each text that a faulty or good URL leads to, without a connection."""
    yield show_url(url)
    try:
        backend = backend_from_url(url)
    except Violated as error:
        yield str(error)
        yield repr(error)
        yield format_error(error)
    else:
        # Without the addresses of objects, whose digits may be those of a password.
        yield re.sub("0x[0-9a-f]+", "", repr(backend))
        yield re.sub("0x[0-9a-f]+", "", str(backend))
    with pytest.raises(REPORTED_ERRORS) as raised:
        load_runtime("no_such_module_of_a_law:system", url)
    yield format_error(raised.value)


def parts(password: str) -> set[str]:
    """Return each run of characters that is too long to be shown."""
    size = SHOWN_CHARACTERS_MAX + 1
    return {password[at : at + size] for at in range(len(password) - size + 1)}


# A password may hold a word of a message, such as "host"; these are in the messages for any.
EVERYWHERE: Final = {
    part
    for url in URLS
    for secret in ("x", "/x", "?x", "#", "@", " ", "1?", ":", "1 nats://x", "&x=1")
    for text in (url, *texts(url.format(secret)))
    for part in parts(text)
}


@given(st.sampled_from(URLS), PASSWORDS)
def test_no_text_shows_four_characters_of_a_password(url: str, password: str) -> None:
    """Whether it is encoded or not; and a faulty URL is a violation, never a bare ValueError."""
    for text in texts(url.format(password)):
        assert not (parts(password) - EVERYWHERE) & parts(text)


@given(st.sampled_from(URLS), PASSWORDS)
def test_no_text_shows_four_characters_of_an_encoded_password(url: str, password: str) -> None:
    """Neither as it is written, nor decoded."""
    encoded = quote(password, safe="", errors="replace")
    for text in texts(url.format(encoded)):
        assert not ((parts(password) | parts(encoded)) - EVERYWHERE) & parts(text)


@given(st.text(), st.text())
def test_an_encoded_login_is_read_as_it_was(user: str, password: str) -> None:
    """The remedy in the error works: any user and any password can be encoded."""
    user, password = (text.encode(errors="replace").decode() for text in (user, password))
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"

    url = BackendUrl.parse(f"postgresql://{login}@host:5432/shop")

    assert url.user_and_password == (user, password)
    assert url.hosts == "host:5432"
    assert BackendUrl.parse(str(url)) == url
