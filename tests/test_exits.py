"""Exits: hostile ids, payloads and reasons leave escaped: log, command line, drawings, HTTP."""

import ast
import asyncio
import io
import logging
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import orjson
import pytest
from attrs import evolve

from arvo import (
    Backend,
    Client,
    Commands,
    ContractViolation,
    Event,
    Fail,
    Retry,
    Runtime,
    SqliteBackend,
    System,
    Turn,
    Violated,
    run,
    tree,
)
from arvo.cli import main
from arvo.interpreters.delivery.log import get_logger
from arvo.interpreters.http.trace import trace_headers
from arvo.logs import TextFormatter
from arvo.statechart import Chart, State, draw, initial
from tests.exits import HOSTILE, assert_printable
from tests.interpreters.http.serving import post, with_client
from tests.shop import (
    CardCharged,
    OrderState,
    charge_request,
    fulfil,
    make_workflow,
    order_request,
    payment_handler,
    payments,
    shipping,
    shop,
)

SRC = Path(__file__).parents[1] / "src" / "arvo"
ORDER = evolve(order_request("a"), id=HOSTILE, extensions={"note": HOSTILE})


def hostile_failure(turn: Turn[OrderState]) -> Commands:
    """Fail with a hostile reason, on the first reply."""
    return Fail(HOSTILE) if isinstance(turn.event.data, CardCharged) else fulfil(turn)


def refuse(event: Event[Any]) -> Commands:
    """Refuse an event with a hostile reason."""
    raise Violated(ContractViolation(HOSTILE))


failing = System([payments, shipping, make_workflow(hostile_failure, state=OrderState)])
refusing = System([payment_handler(refuse), shipping, make_workflow(fulfil, state=OrderState)])


async def deliver(system: System, backend: str | Backend, *events: Event[Any]) -> None:
    """Run events until nothing is left to do."""
    async with Runtime(system, backend, retry=Retry(1)) as runtime:
        for event in events:
            await runtime.send(event)
        await runtime.drain(timeout=60)


@pytest.fixture
def log() -> Any:
    """Collect the log as a formatter of the user writes it that shows two of the fields."""
    written, logger = io.StringIO(), logging.getLogger("arvo")
    handler = logging.StreamHandler(written)
    text = "%(levelname)s %(message)s %(arvo_event)s %(arvo_reason)s"
    blank = {"arvo_event": "-", "arvo_reason": "-"}
    handler.setFormatter(logging.Formatter(text, defaults=blank))
    logger.addHandler(handler)
    yield written
    logger.removeHandler(handler)


def test_the_log_of_a_dead_letter_holds_no_control_character(log: io.StringIO) -> None:
    """The formatter is the user's, so the logger itself escapes what it logs."""
    request = evolve(charge_request(), id=HOSTILE)

    asyncio.run(deliver(refusing, "memory:", request))

    assert_printable(log.getvalue())
    assert r"dead letter stored a\x00b\r\nERROR c\x1b[2J" in log.getvalue()
    assert log.getvalue().count("\n") == 1


def raise_hostile() -> None:
    """Raise an exception with a hostile message, note, cause and members."""
    cause = OSError(HOSTILE)
    cause.add_note(HOSTILE)
    raise ExceptionGroup(HOSTILE, [cause, RuntimeError(HOSTILE)]) from cause


def test_a_traceback_in_the_log_cannot_forge_a_line(log: io.StringIO) -> None:
    """The message of an exception, its cause, its notes and the members of a group."""
    try:
        raise_hostile()
    except ExceptionGroup:
        get_logger("test_exits").exception("event %s failed", HOSTILE)
    written = log.getvalue()

    assert_printable(written)
    assert "OSError: a\\x00b\\r\n    ERROR c" in written
    at_margin = [line for line in written.splitlines()[1:] if line and not line.startswith(" ")]
    assert at_margin == [
        r"OSError: a\x00b\r",
        "The above exception was the direct cause of the following exception:",
    ]


def test_the_log_of_a_worker_process_escapes_the_records_of_other_libraries() -> None:
    """Their loggers do not, and their records go to the same terminal."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(TextFormatter("arvo[1]: %(message)s"))
    record = logging.LogRecord("other", logging.ERROR, "", 1, "got %s", (HOSTILE,), None)

    handler.handle(record)

    assert_printable(written.getvalue())
    assert "\n    ERROR c" in written.getvalue()


def test_every_logger_of_ours_escapes() -> None:
    """A module with a logger of its own would log foreign text raw."""
    direct = [
        path.name
        for path in SRC.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "getLogger"
    ]

    # That of the command line sets the level, and one of telemetry exports what it is given.
    assert set(direct) == {"log.py", "logger.py", "handler.py"}


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the URL of a backend with a failed workflow and a dead letter, both hostile."""
    backend = SqliteBackend(str(tmp_path / "arvo.db"))
    refused = evolve(charge_request("c2"), id=f"{HOSTILE}2")
    asyncio.run(deliver(failing, backend, ORDER))
    asyncio.run(deliver(refusing, SqliteBackend(backend.path), refused))
    return f"sqlite:///{backend.path}"


def output_of(capfd: pytest.CaptureFixture[str], *tokens: str) -> tuple[int, str, str]:
    """Run a command; returns its code and what it wrote, also around Python's streams."""
    capfd.readouterr()
    code = main(tokens)
    out, err = capfd.readouterr()
    assert_printable(out)
    assert_printable(err)
    return code, out, err


def test_what_a_command_prints_holds_no_control_character(
    url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """An escape code would move the cursor of the operator, or set the title of the terminal."""
    commands = (["workflows"], ["describe", ORDER.subject], ["history", ORDER.subject])

    texts = [output_of(capfd, *command, "--backend", url)[1] for command in commands]
    dead = output_of(capfd, "dead-letters", "--backend", url)[1]

    assert all(r"a\x00b" in text for text in texts)
    assert dead.count("\n") == 3
    assert r"\x1b[2J" in dead


def test_json_for_programs_is_exact_and_printable(
    url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A program reads the same text; a terminal shows the escapes of JSON."""
    workflow = output_of(capfd, "workflows", "--json", "--backend", url)[1]
    history = output_of(capfd, "history", ORDER.subject, "--json", "--backend", url)[1]
    dead = output_of(capfd, "dead-letters", "--json", "--backend", url)[1]

    assert orjson.loads(workflow)["failure"]["errorMessage"] == HOSTILE
    assert orjson.loads(history.splitlines()[0])["event"] == ORDER.to_dict()
    assert orjson.loads(dead)["event"]["id"] == f"{HOSTILE}2"
    assert HOSTILE in orjson.loads(dead)["reason"]


@pytest.mark.parametrize(
    "tokens",
    [
        ("describe", "{hostile}", "--backend", "{url}"),
        ("dead-letters", "redrive", "{hostile}", "--backend", "{url}"),
        ("dead-letters", "delete", "{hostile}", "--backend", "{url}"),
        ("workflows", "--limit", "{hostile}", "--backend", "{url}"),
        ("workflows", "--status", "{hostile}", "--backend", "{url}"),
        ("workflows", "--{hostile}", "--backend", "{url}"),
        ("workflows", "--backend", "{hostile}"),
        ("workflows", "--backend", "sqlite:///{hostile}.db"),
        ("{hostile}",),
        ("send", "tests.shop:shop", "{hostile}.json", "--backend", "{url}"),
        ("send", "tests.shop:{hostile}", "-", "--backend", "{url}"),
        ("send", "{hostile}:shop", "-", "--backend", "{url}"),
        ("run", "tests.shop:shop", "--backend", "{url}", "--health", "{hostile}"),
    ],
)
def test_an_error_of_a_command_is_one_printable_line(
    url: str, capfd: pytest.CaptureFixture[str], tokens: tuple[str, ...]
) -> None:
    """Names of files, options and systems come from scripts as well as from persons."""
    # An argument of a process holds any character but NUL, and bytes that are no UTF-8.
    hostile = HOSTILE.replace("\0", "") + "\udcff"
    values = [token.replace("{hostile}", hostile).replace("{url}", url) for token in tokens]

    code, out, err = output_of(capfd, *values)

    assert (code, out, err.count("\n")) == (2, "", 1), err


def test_events_that_are_sent_or_refused_are_printed_escaped(
    url: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The file comes from another program."""
    (tmp_path / "good.json").write_text(evolve(order_request("b"), id=HOSTILE).to_json())
    bad = {**order_request("c").to_dict(), HOSTILE: 1, "type": HOSTILE, "data": {HOSTILE: HOSTILE}}
    (tmp_path / "bad.json").write_bytes(orjson.dumps(bad))

    sent = output_of(capfd, "send", "tests.shop:shop", f"{tmp_path}/good.json", "--backend", url)
    refused = output_of(capfd, "send", "tests.shop:shop", f"{tmp_path}/bad.json", "--backend", url)

    assert (sent[0], sent[1].count("\n")) == (0, 1)
    assert (refused[0], refused[2].count("\n")) == (2, 1)


def test_a_bug_is_shown_with_an_escaped_traceback(
    url: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python itself would print the message of the exception as it is."""

    async def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError(f"{HOSTILE} postgresql://ann:secret@db/shop")

    monkeypatch.setattr(Client, "describe", fail)

    code, _, err = output_of(capfd, "describe", ORDER.subject, "--backend", url)

    assert code == 1
    assert "Traceback" in err
    assert "secret" not in err


def test_drawings_of_a_run_hold_no_control_character() -> None:
    """They are printed in a terminal, and by a test that fails."""
    trace = run(failing, ORDER)
    refused = run(refusing, ORDER)
    [record] = [record for record in trace.records.values() if record.failure is not None]
    hostile = evolve(record, version=HOSTILE)

    for text in (
        trace.draw(),
        refused.draw(),
        tree({ORDER.subject: hostile}, ORDER.subject).draw(),
    ):
        assert_printable(text)
        assert r"\x1b" in text


def chart(*names: str) -> Chart[None]:
    """Make a chart with these names of states and events."""
    states: dict[str, State] = {
        name: State(on={f"{name} {position}": "#m.last" for position in range(2)}) for name in names
    }
    return Chart(
        id="m",
        initial=names[0],
        states={**states, "last": State(type="final")},
        on=dict.fromkeys(names, ".last"),
    )


def elements_of(drawn: Chart[None]) -> tuple[str, set[tuple[str, frozenset[str]]]]:
    """Return the text of a drawing as SVG, and its elements with the names of their attributes."""
    root = ET.fromstring(draw(drawn, initial(drawn)[0]).svg())  # noqa: S314
    elements = {(element.tag, frozenset(element.attrib)) for element in root.iter()}
    return "".join(root.itertext()), elements


def test_a_chart_is_drawn_with_its_names_and_nothing_else() -> None:
    """A name is no statement of Mermaid, and no element of SVG."""
    names = (HOSTILE, "direction LR", "end note", "]]> --> <b>x</b>", "a\n  [] --> n9")
    hostile = chart(*names)

    text, elements = elements_of(hostile)

    assert_printable(draw(hostile))
    assert elements == elements_of(chart("a", "b", "c", "d", "e"))[1]
    assert all(name in text for name in ("direction LR", "end note", "<script>alert(1)</script>"))


def test_a_problem_over_http_holds_no_control_character() -> None:
    """Clients print it. The values of headers cannot end a header."""

    async def use(client: httpx.AsyncClient, runtime: Runtime) -> list[httpx.Response]:
        bad = {**ORDER.to_dict(), HOSTILE: 1, "type": HOSTILE, "data": {HOSTILE: HOSTILE}}
        wrong = evolve(ORDER, to="com.nobody")
        headers = {"content-type": "application/cloudevents+json"}
        return [
            await client.post("/", content=orjson.dumps(bad), headers=headers),
            await client.post("/", content=wrong.to_json(), headers=headers),
            await client.post("/", content=HOSTILE.encode(), headers=headers),
            await client.post("/", content=b"{}", headers=[(b"content-type", b"a/\x9b\x85")]),
            await client.get(f"/{httpx.QueryParams({'a': HOSTILE})}"),
            await client.get("/workflows/%1B%5B2J%0A%00"),
        ]

    for response in with_client(shop, use):
        problem = response.json()
        assert response.status_code >= 400
        assert_printable(problem["detail"])
        for issue in problem.get("issues", ()):
            for value in issue.values():
                assert_printable(value)


def test_an_answer_over_http_is_exact() -> None:
    """Only problems are escaped: an event is the same after its way."""

    async def use(client: httpx.AsyncClient, runtime: Runtime) -> Any:
        answered = await post(client, ORDER, prefer="wait=20")
        described = await client.get(f"/workflows/{ORDER.subject.replace('/', '_')}")
        return answered, described

    answered, described = with_client(failing, use)

    assert answered.json()["data"]["errorMessage"] == HOSTILE
    assert described.json()["failure"]["message"] == HOSTILE


@pytest.mark.parametrize("end", ["\n", "\r\n", "\t", "\0", "\x85"])
def test_a_trace_that_would_end_its_header_is_left_out(end: str) -> None:
    """The pattern of the standard's own library allows a line break at the end."""
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    good = evolve(ORDER, traceparent=parent)

    assert trace_headers(good) == {"traceparent": parent}
    assert trace_headers(evolve(ORDER, traceparent=parent + end, tracestate="a=1" + end)) == {}
