"""The rooms and who may enter which, as data; and that pure rooms cannot act."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src" / "arvo"

# Which rooms each room may import, beside itself (design section 9).
MAP = {
    "core": set[str](),
    "statechart": set[str](),
    "handlers": {"core", "statechart"},
    "engine": {"core", "handlers"},
    "interpreters": {"core", "handlers", "engine"},
    "telemetry": {"core", "engine", "interpreters"},
    "testing": {"core", "statechart", "handlers", "engine", "interpreters"},
    "cli": {"core", "statechart", "handlers", "engine", "interpreters", "telemetry"},
}
PURE = ("core", "statechart", "handlers", "engine")

# What a pure room would need in order to act: I/O, a clock, chance, concurrency.
ACTING = {
    "asyncio", "concurrent", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random",
    "secrets", "select", "selectors", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess",
    "tempfile", "threading", "time", "urllib.request",
}  # fmt: skip
# A datetime and a UUID are data; these calls ask a clock, or chance.
ASKING = {"now", "utcnow", "today", "uuid1", "uuid4"}

FILES = sorted(SRC.rglob("*.py"))


def _room(path: Path) -> str | None:
    parts = path.relative_to(SRC).parts
    return parts[0] if len(parts) > 1 else None


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module
            case _:
                pass


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SRC)))
def test_a_room_imports_only_the_rooms_that_the_map_allows(path: Path) -> None:
    """A reader of one room need not know the others."""
    room = _room(path)
    if room is None:
        return
    imported = {
        name.split(".")[1]
        for name in _imports(ast.parse(path.read_text()))
        if name.startswith("arvo.")
    }

    assert imported - {room} <= MAP[room]


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if _room(path) in PURE],
    ids=lambda path: str(path.relative_to(SRC)),
)
def test_a_pure_room_cannot_act(path: Path) -> None:
    """Promise I10: same input, same commands, on our side too."""
    tree = ast.parse(path.read_text())
    nodes = list(ast.walk(tree))

    assert not {name for name in _imports(tree) if {name, name.split(".")[0]} & ACTING}
    assert not [node for node in nodes if isinstance(node, ast.AsyncFunctionDef | ast.Await)]
    called = {ast.unparse(node.func).split(".")[-1] for node in nodes if isinstance(node, ast.Call)}
    assert not called & ASKING


def test_no_step_asks_for_a_stamp() -> None:
    """Identity and time of what a step makes follow from its arguments."""
    stamping = [
        path.relative_to(SRC).as_posix()
        for path in FILES
        if "arvo.core.events.stamp" in _imports(ast.parse(path.read_text())) and _room(path) in PURE
    ]

    assert stamping == ["core/contracts/versioned.py", "core/events/subject.py"]


def test_a_door_whose_extra_is_missing_says_how_to_get_it() -> None:
    """A bare name of somebody else's module tells nobody what to install."""
    script = "import sys; sys.modules['starlette'] = None; import arvo.http"

    failed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert "arvo.http needs an extra: pip install 'arvo[http]'" in failed.stderr


def test_importing_arvo_loads_no_driver_no_cli_and_no_test_tool() -> None:
    """A handler's module should be cheap to import."""
    heavy = ["hypothesis", "pytest", "asyncpg", "nats", "cyclopts", "rich", "mermaidx", "sqlite3"]
    heavy += ["redis", "aio_pika", "confluent_kafka", "starlette", "httpx", "uvicorn"]
    script = f"import sys, arvo; print([name for name in {heavy} if name in sys.modules])"

    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert loaded.stdout.strip() == "[]"
