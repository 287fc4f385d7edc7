"""`arvo upgrade`: tables by hand, for workers that may not make them."""

import asyncio
from pathlib import Path

import pytest

from arvo import Client
from arvo.cli import main
from tests.interpreters.postgres.schemas import schema_of
from tests.shop import shop


def said(capsys: pytest.CaptureFixture[str], *tokens: str) -> str:
    capsys.readouterr()
    assert main(tokens) == 0
    return capsys.readouterr().out


def test_tables_are_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A deployment runs it every time; then workers find what they need."""
    url = schema_of(tmp_path)

    assert said(capsys, "upgrade", "--backend", url) == "versions made: 1\n"
    assert said(capsys, "upgrade", "--backend", url) == "nothing to do\n"

    async def look() -> None:
        async with Client(shop, f"{url}&migrate=no") as desk:
            assert await desk.workflows() == ()

    asyncio.run(look())


def test_the_sql_is_printed_for_another_tool(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the schema's own name in it, and without a connection."""
    printed = said(capsys, "upgrade", "--sql", "--backend", "postgresql://nowhere/db?schema=shop")

    assert printed.startswith("create schema if not exists shop;")
    assert "create table shop.workflow (" in printed
    assert "arvo.workflow" not in printed


def test_a_file_is_upgraded_by_whoever_opens_it(capsys: pytest.CaptureFixture[str]) -> None:
    """One line says so."""
    assert main(["upgrade", "--backend", "sqlite:///orders.db"]) == 2
    assert "only Postgres is upgraded by hand" in capsys.readouterr().err
