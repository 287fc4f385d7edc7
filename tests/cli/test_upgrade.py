"""`arvo upgrade`: create the tables for workers that lack the right to."""

import asyncio
from importlib.resources import files
from pathlib import Path

import pytest

from arvo import Client
from arvo.cli import main
from tests.interpreters.postgres.schemas import schema_url
from tests.shop import shop

# One file of SQL for each version of the tables.
VERSIONS = len(list((files("arvo.interpreters.postgres") / "schema").iterdir()))


def output_of(capsys: pytest.CaptureFixture[str], *tokens: str) -> str:
    capsys.readouterr()
    assert main(tokens) == 0
    return capsys.readouterr().out


def test_tables_are_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A deployment runs it every time; workers then find their tables."""
    url = schema_url(tmp_path)

    assert output_of(capsys, "upgrade", "--backend", url) == f"applied migrations: {VERSIONS}\n"
    assert output_of(capsys, "upgrade", "--backend", url) == "nothing to do\n"

    async def list_workflows() -> None:
        async with Client(shop, f"{url}&migrate=no") as client:
            assert await client.workflows() == ()

    asyncio.run(list_workflows())


def test_the_sql_is_printed_for_another_tool(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the name of the schema, and without a connection."""
    printed = output_of(
        capsys, "upgrade", "--sql", "--backend", "postgresql://nowhere/db?schema=shop"
    )

    assert printed.startswith("create schema if not exists shop;")
    assert "create table shop.workflow (" in printed
    assert "arvo.workflow" not in printed


def test_only_postgres_needs_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """A SQLite file is migrated when a process opens it."""
    assert main(["upgrade", "--backend", "sqlite:///orders.db"]) == 2
    assert "only Postgres needs this command" in capsys.readouterr().err


def test_a_url_of_postgres_with_options_is_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands that operate refuse a SQLite file that is not there, and nothing else."""
    url = schema_url(tmp_path)

    assert output_of(capsys, "workflows", "--backend", url) == ""
