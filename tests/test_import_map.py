"""The rooms and which of them each may import, as data; and that pure rooms cannot act."""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

SRC = Path(__file__).parent.parent / "src" / "arvo"

# Which rooms each room may import, beside itself.
MAP: Final = {
    "core": set[str](),
    "statechart": set[str](),
    "handlers": {"core", "statechart"},
    "engine": {"core", "handlers"},
    "agents": {"core", "handlers"},
    "models": {"core", "agents"},
    "interpreters": {"core", "handlers", "engine"},
    "testing": {"core", "statechart", "handlers", "engine", "interpreters", "agents"},
    "telemetry": {"core", "handlers", "engine", "interpreters"},
    "console": {"core", "statechart", "handlers", "engine", "interpreters"},
    "mcp": {"agents", "core", "handlers", "engine", "interpreters"},
    "cli": {
        "core",
        "statechart",
        "handlers",
        "engine",
        "interpreters",
        "telemetry",
        "console",
        "mcp",
        "agents",
    },
}
# Files that every room may import, and that import none: which optional dependency is missing,
# which exceptions come from outside of the code that they end, and how foreign text is shown.
COMMON: Final = ("construct", "extras", "interrupts", "printable")
PURE: Final = ("core", "statechart", "handlers", "engine", "agents")

# The folders of each room, lowest first: a folder imports those below it in its room, and none of
# its own layer. The room's name alone is the folder of the files that lie in no sub-room.
LAYERS: Final[Mapping[str, tuple[set[str], ...]]] = {
    "core": (
        {"core.violations"},
        {"core.payloads.types"},
        {"core.payloads"},
        {"core.events"},
        {"core.contracts"},
        {"core"},
    ),
    "statechart": (
        {"statechart.definition"},
        {"statechart.compiled"},
        {"statechart.execution"},
        {"statechart.xstate", "statechart.views"},
        {"statechart"},
    ),
    "handlers": (
        {"handlers"},
        {"handlers.compose", "handlers.flow", "handlers.machine", "handlers.schedule"},
    ),
    "engine": (
        {"engine.system"},
        {"engine.step"},
        {"engine.history"},
        {"engine"},
    ),
    "agents": ({"agents"},),
    "models": ({"models"},),
    "interpreters": (
        {"interpreters"},
        {"interpreters.ports"},
        {"interpreters.codecs"},
        {"interpreters.reports"},
        {"interpreters.limits"},
        {"interpreters.delivery.log"},
        {"interpreters.delivery.archive"},
        {"interpreters.delivery"},
        {"interpreters.delivery.brokers"},
        {"interpreters.calls"},
        {"interpreters.services"},
        {"interpreters.memory"},
        {"interpreters.paired.documents"},
        {"interpreters.paired"},
        {
            "interpreters.kafka",
            "interpreters.nats.connection",
            "interpreters.postgres.connection",
            "interpreters.rabbit",
            "interpreters.redis",
            "interpreters.sqlite.connection",
        },
        {"interpreters.postgres.limits"},
        {
            "interpreters.nats.storage",
            "interpreters.postgres.statements",
            "interpreters.sqlite.statements",
        },
        {"interpreters.postgres.session", "interpreters.sqlite.session"},
        {"interpreters.postgres.reports", "interpreters.sqlite.reports"},
        {"interpreters.nats", "interpreters.postgres", "interpreters.sqlite"},
        {"interpreters.turns"},
        {"interpreters.worker", "interpreters.watching"},
        {"interpreters.runtime"},
        {"interpreters.blocking", "interpreters.http.watching"},
        {"interpreters.http"},
    ),
    "testing": (
        {"testing.schemas.regex"},
        {"testing.schemas"},
        {"testing.strategies"},
        {"testing.given", "testing.conformance.kit"},
        {"testing.laws.processes", "testing.conformance.retention"},
        {"testing.conformance.limits"},
        {"testing.laws", "testing.compatibility", "testing.conformance"},
        {"testing.agents"},
        {"testing.simulation.limits"},
        {"testing.simulation.faults", "testing.simulation.checks"},
        {"testing.simulation.cluster"},
        {"testing.simulation.pair"},
        {"testing.simulation"},
        {"testing"},
    ),
    "console": (
        {"console.views"},
        {
            "console.jobs",
            "console.views.metrics",
            "console.views.schedules",
            "console.views.sending",
            "console.views.workflow",
        },
        {
            "console.metrics",
            "console.pictures",
            "console.replay",
            "console.views.batches",
        },
        {"console.requests"},
        {"console.pages"},
        {"console"},
        {"console.dev"},
    ),
    "telemetry": (
        {"telemetry.conventions"},
        {"telemetry.logs"},
        {"telemetry.metrics"},
        {"telemetry.spans"},
        {"telemetry"},
    ),
    "mcp": ({"mcp"},),
    "cli": (
        {"cli.generate", "cli.new"},
        {"cli.terminal"},
        {"cli.process", "cli.doctor"},
        {"cli.dev"},
        {"cli.commands", "cli.serving"},
        {"cli"},
    ),
}
# A reader takes in about so many files at once.
FOLDER_FILES_MAX: Final = 15

# What a pure room would need in order to act: I/O, a clock, chance, concurrency.
ACTING = {
    "asyncio", "concurrent", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random",
    "secrets", "select", "selectors", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess",
    "tempfile", "threading", "time", "urllib.request",
}  # fmt: skip
# A datetime and a UUID are data; these calls ask a clock, or chance.
ASKING = {"now", "utcnow", "today", "uuid1", "uuid4"}

FILES = sorted(SRC.rglob("*.py"))
FOLDERS = sorted({path.parent for path in FILES})


def _name(path: Path) -> str:
    """Return the dotted name of a file or folder below `arvo`."""
    dotted = ".".join(path.relative_to(SRC).parts)
    return dotted.removesuffix(".py").removesuffix("__init__").removesuffix(".")


MODULES: Final = {_name(path): path for path in FILES}


def _room(path: Path) -> str | None:
    parts = path.relative_to(SRC).parts
    return parts[0] if len(parts) > 1 else None


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module
            case _:
                pass


def _modules_imported(path: Path) -> set[str]:
    """Return the modules of ours that a file imports, also under `TYPE_CHECKING`."""
    found: set[str] = set()
    for node in ast.walk(_tree(path)):
        match node:
            case ast.ImportFrom(module=str(module), names=names, level=0):
                inner = module.removeprefix("arvo").removeprefix(".")
                if not module.startswith("arvo"):
                    continue
                for alias in names:
                    submodule = f"{inner}.{alias.name}".removeprefix(".")
                    found.add(submodule if submodule in MODULES else inner)
            case ast.Import(names=names):
                found |= {
                    alias.name.removeprefix("arvo.")
                    for alias in names
                    if alias.name.startswith("arvo.")
                }
            case _:
                pass
    return found & MODULES.keys()


def _layer(folder: str) -> int:
    for number, layer in enumerate(LAYERS[folder.split(".")[0]]):
        if folder in layer:
            return number
    raise AssertionError(f"{folder} is in no layer of tests/test_import_map.py: add it there")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SRC)))
def test_a_room_imports_only_the_rooms_that_the_map_allows(path: Path) -> None:
    """A reader of one room need not know the others."""
    room = _room(path)
    if room is None:
        return
    imported = {name.split(".")[1] for name in _imports(_tree(path)) if name.startswith("arvo.")}

    assert imported - {room, *COMMON} <= MAP[room]


@pytest.mark.parametrize("name", COMMON)
def test_a_file_that_every_room_may_import_imports_none(name: str) -> None:
    """Otherwise every room would import those as well."""
    assert not _modules_imported(MODULES[name])


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SRC)))
def test_a_folder_imports_only_the_folders_below_it(path: Path) -> None:
    """Within a room as well, a reader who starts at the bottom meets nothing unknown."""
    room = _room(path)
    if room is None:
        return
    folder = _name(path.parent)
    upward = {
        target
        for name in _modules_imported(path)
        if (target := _name(MODULES[name].parent)).split(".")[0] == room
        and target != folder
        and _layer(target) >= _layer(folder)
    }

    assert not upward


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Two modules that need each other are one module, or one of them holds two purposes."""
    graph = {name: _modules_imported(path) - {name} for name, path in MODULES.items()}

    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: _name(folder) or "arvo")
def test_a_folder_holds_no_more_files_than_a_reader_takes_in(folder: Path) -> None:
    """Beyond that it has sub-rooms that nobody has named yet."""
    assert len(list(folder.glob("*.py"))) <= FOLDER_FILES_MAX


@pytest.mark.promise("I10")
@pytest.mark.parametrize(
    "path",
    [path for path in FILES if _room(path) in PURE],
    ids=lambda path: str(path.relative_to(SRC)),
)
def test_a_pure_room_cannot_act(path: Path) -> None:
    """Same input, same commands, on the library's side too."""
    tree = _tree(path)
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
        if "arvo.core.events.stamp" in _imports(_tree(path)) and _room(path) in PURE
    ]

    assert stamping == ["core/contracts/versioned.py", "core/events/subject.py"]


def test_an_extra_that_is_missing_is_named_with_how_to_get_it() -> None:
    """The bare name of another project's module does not say what to install."""
    script = "import sys; sys.modules['starlette'] = None; import arvo.http"

    failed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert (
        "arvo.http needs the extra 'http': run `pip install 'arvo-events[http]'`" in failed.stderr
    )


def test_importing_arvo_loads_no_driver_no_cli_and_no_test_tool() -> None:
    """A handler's module should be cheap to import."""
    heavy = ["hypothesis", "pytest", "asyncpg", "nats", "cyclopts", "rich", "mermaidx", "sqlite3"]
    heavy += ["redis", "aio_pika", "confluent_kafka", "starlette", "httpx", "uvicorn", "jinja2"]
    heavy += ["pydantic_ai", "genai_prices"]
    # A runtime, too: a module of handlers needs none.
    heavy += ["arvo.interpreters", "arvo.engine.history"]
    script = f"import sys, arvo; print([name for name in {heavy} if name in sys.modules])"

    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert loaded.stdout.strip() == "[]"


def test_an_event_can_be_made_without_a_runtime() -> None:
    """A client or a test makes events; it does not know that another room holds the clock."""
    script = (
        "from arvo import Contract, Version\n"
        "accepts = {'type': 'object'}\n"
        "ping = Contract(uri='#/contracts/ping', type='com.hall.ping',"
        " versions={'1.0.0': Version(accepts=accepts, emits={})})\n"
        "event = ping['1.0.0'].accepts({}, source='com.front.door', subject='ping-1')\n"
        "print(len(event.id))"
    )

    made = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert made.stdout.strip() == "36"
