"""Codec: the commands decode with the codec that the environment names."""

import asyncio
from typing import Final

import pytest

from arvo import Runtime
from arvo.codecs import encrypted
from tests.cli.test_app import error_of, output_of, url
from tests.shop import order_request, shop

__all__ = ["url"]

CODEC: Final = encrypted({"2026": bytes(32)})


@pytest.fixture
def encoded(url: str) -> str:
    """Return the URL of a backend with an order whose record is encrypted."""

    async def go() -> None:
        async with Runtime(shop, url, codec=CODEC) as runtime:
            await runtime.send(order_request("a"))
            await runtime.drain(timeout=60)

    asyncio.run(go())
    return url


def test_a_command_decodes_with_the_codec_of_the_environment(
    encoded: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator needs the content of a workflow to help with it."""
    monkeypatch.setenv("ARVO_CODEC", "tests.cli.test_codec:CODEC")

    assert '"status":"done"' in output_of(capsys, "workflows", "--json", "--backend", encoded)


def test_a_command_without_the_codec_names_it(
    encoded: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The store is not damaged."""
    expected = "is encoded: give the codec that wrote it, as codec= or by ARVO_CODEC"

    assert expected in error_of(capsys, "workflows", "--backend", encoded)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tests.cli.test_codec:shop", "expected a codec, such as arvo.codecs.encrypted(keys)"),
        ("tests.cli.no_such:codec", "tests.cli.no_such:codec cannot be loaded"),
    ],
)
def test_a_name_of_no_codec_is_refused(
    url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    expected: str,
) -> None:
    """Before anything is read, or written in the clear."""
    monkeypatch.setenv("ARVO_CODEC", name)

    assert expected in error_of(capsys, "send", "tests.shop:shop", "no.json", "--backend", url)
