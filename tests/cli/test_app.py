"""App: the commands of `arvo`, as an operator types them."""

import asyncio
import io
from pathlib import Path

import orjson
import pytest

from arvo import Commands, Fail, Runtime, System, Turn
from arvo.cli import main
from tests.shop import (
    CardCharged,
    OrderState,
    fulfil,
    payments,
    placing,
    shipping,
    shop,
    workflow,
)

SUBJECT = placing().subject


def broken(turn: Turn[OrderState]) -> Commands:
    """Fail on the first reply."""
    return Fail("no stock") if isinstance(turn.event.data, CardCharged) else fulfil(turn)


failing = System([payments, shipping, workflow(broken, state=OrderState)])
unheard = System([workflow(fulfil, state=OrderState)])


def runtime_on(backend: str) -> Runtime:
    """Make a runtime with settings of its own."""
    return Runtime(shop, backend, prefetch=1)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Name a backend."""
    return f"sqlite:///{tmp_path / 'arvo.db'}"


def lived(url: str, system: System, *keys: str) -> None:
    """Let some orders run to their rest."""

    async def go() -> None:
        async with Runtime(system, url) as runtime:
            for key in keys:
                await runtime.send(placing(key))
            await runtime.drain(timeout=10)

    asyncio.run(go())


def said(capsys: pytest.CaptureFixture[str], *tokens: str) -> str:
    """Run a command that succeeds, and give what it prints."""
    capsys.readouterr()
    code = main(tokens)
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return out


def refused(capsys: pytest.CaptureFixture[str], *tokens: str) -> str:
    """Run a command that is refused, and give the one line that it says."""
    capsys.readouterr()
    code = main(tokens)
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    return err.removeprefix("arvo: ").rstrip()


def test_workflows_are_listed_with_what_they_wait_for(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first look in the morning; subjects are whole, to be copied."""
    lived(url, shop, "a")
    lived(url, failing, "b")

    out = said(capsys, "workflows", "--backend", url)
    some = said(capsys, "workflows", "--backend", url, "--status", "done", "--limit", "1")
    quiet = said(capsys, "workflows", "--backend", url, "--quiet", "3600")

    assert [line.split("  ")[1] for line in out.splitlines()[::2]] == ["failed", "done"]
    assert out.splitlines()[1::2] == [
        f"  {placing('b').subject}",
        f"  {placing('a').subject}",
    ]
    assert "no stock" in out
    assert some.splitlines()[1] == f"  {placing('a').subject}"
    assert quiet == ""


def test_programs_read_json(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One object in each line."""
    lived(url, failing, "i1")

    [record] = said(capsys, "workflows", "--backend", url, "--json").splitlines()
    lines = said(capsys, "history", SUBJECT, "--backend", url, "--json").splitlines()

    assert orjson.loads(record)["failure"]["errorMessage"] == "no stock"
    assert [orjson.loads(line)["kind"] for line in lines] == ["consumed", "produced"] * 2


def test_a_workflow_is_shown_and_its_history_told(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """How did we get here? (B38)"""
    lived(url, failing, "i1")

    shown = said(capsys, "show", SUBJECT, "--backend", url)
    told = said(capsys, "history", SUBJECT, "--backend", url)

    assert shown.splitlines()[0] == "arvo.orc.order.fulfil 1.0.0: failed"
    assert "failed     Fail: no stock" in shown
    assert [line.split("  ")[2:4] for line in told.splitlines()] == [
        ["consumed", "arvo.orc.order.fulfil"],
        ["produced", "com.payment.charge"],
        ["consumed", "evt.payment.charged"],
        ["produced", "sys.arvo.orc.order.fulfil.error"],
    ]


def test_a_workflow_is_revived_and_another_cancelled(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By a shell that does none of the work itself."""
    lived(url, failing, "i1")
    lived(url, unheard, "i2")

    revived = said(capsys, "revive", "tests.shop:shop", SUBJECT, "--backend", url)
    said(
        capsys, "cancel", "tests.shop:shop", placing("i2").subject,
        "--reason", "enough", "--backend", url,
    )  # fmt: skip
    lived(url, shop)
    out = said(capsys, "workflows", "--backend", url)

    assert revived == "arvo.orc.order.fulfil 1.0.0 goes on, revision 3\n"
    assert {line.split("  ")[1] for line in out.splitlines()[::2]} == {"done", "failed"}
    # The shop's workflow fails on whatever it does not know.
    assert "unexpected: Cancellation(reason='enough'" in out
    again = refused(capsys, "revive", "tests.shop:shop", SUBJECT, "--backend", url)
    assert again.endswith("has not failed: record.status: expected failed, got done")


def test_dead_letters_are_listed_retried_and_dropped(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here: a service that was not deployed yet."""
    lived(url, unheard, "a", "b")

    listed = said(capsys, "dead-letters", "--backend", url)
    one, other = (
        orjson.loads(line)
        for line in said(capsys, "dead-letters", "--backend", url, "--json").splitlines()
    )
    said(capsys, "dead-letters", "drop", other["id"], "--backend", url)
    alone = refused(capsys, "dead-letters", "retry", one["id"], "--backend", url)
    said(
        capsys, "dead-letters", "retry", one["id"],
        "--system", "tests.shop:shop", "--backend", url,
    )  # fmt: skip
    lived(url, shop)
    done = said(capsys, "workflows", "--backend", url, "--status", "done")

    assert listed.count("nobody is at 'com.payment.charge'") == 2
    assert "nobody can take event" in alone
    assert done.splitlines()[1] == f"  {one['event']['subject']}"
    assert said(capsys, "dead-letters", "--backend", url) == ""


@pytest.mark.parametrize("form", ["one", "list", "lines"])
def test_events_are_sent_in_any_form_of_json(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    """As another program has written them."""
    events = [placing(key).to_dict() for key in ("a", "b")][: 1 if form == "one" else 2]
    written = {
        "one": orjson.dumps(events[0]),
        "list": orjson.dumps(events),
        "lines": b"\n\n".join(map(orjson.dumps, events)),
    }
    file = tmp_path / "events.json"
    file.write_bytes(written[form])

    out = said(capsys, "send", "tests.cli.test_app:runtime_on", str(file), "--backend", url)
    lived(url, shop)
    listed = said(capsys, "workflows", "--backend", url, "--status", "done")

    assert [line.split()[0] for line in out.splitlines()] == ["a", "b"][: len(events)]
    assert len(listed.splitlines()) == 2 * len(events)


def test_a_payload_is_sent_as_an_event_of_its_type(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody types an envelope."""
    typed = io.TextIOWrapper(io.BytesIO(b'{"order_id": "o7"}'))
    monkeypatch.setattr("sys.stdin", typed)

    out = said(
        capsys, "send", "tests.shop:shop", "--type", "arvo.orc.order.fulfil", "--backend", url
    )
    lived(url, shop)
    shown = said(capsys, "show", out.split()[2], "--backend", url)

    assert "arvo.orc.order.fulfil 1.0.0: done" in shown


def test_nothing_is_sent_where_one_of_the_events_is_wrong(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half a file would have to be sorted out by hand."""
    file = tmp_path / "events.jsonl"
    good = placing("a").to_dict()

    file.write_bytes(orjson.dumps([good, {**good, "id": ""}]))
    wrong = refused(capsys, "send", "tests.shop:shop", str(file), "--backend", url)
    file.write_bytes(orjson.dumps([good, {**good, "to": "com.nobody"}]))
    lost = refused(capsys, "send", "tests.shop:shop", str(file), "--backend", url)
    file.write_bytes(b"{}\n{")
    broken_ = refused(capsys, "send", "tests.shop:shop", str(file), "--backend", url)
    lived(url, shop)

    assert wrong.startswith(f"event 2 of {file}: ")
    assert "expected the address of a handler" in lost
    assert broken_.startswith("line 2: expected JSON")
    assert said(capsys, "workflows", "--backend", url) == ""


@pytest.mark.parametrize(
    ("tokens", "told"),
    [
        (["bogus"], "bogus"),
        (["run", "tests.shop:shop"], "--backend"),
        (["run", "tests.shop", "--backend", "memory:"], "write package.module:attribute"),
        (["run", "nosuch:shop", "--backend", "memory:"], "in the folder that holds nosuch (this"),
        (["run", "tests.nowhere:shop", "--backend", "memory:"], "No module named"),
        (["run", "tests.shop:nothing", "--backend", "memory:"], "has no attribute 'nothing'"),
        (["run", "tests.shop:NOW", "--backend", "memory:"], "expected a System, or a function"),
        (["run", "tests.shop:placing", "--backend", "memory:"], "got Event"),
        (["run", "tests.shop:shop", "--backend", "bogus:"], "no backend is known by this URL"),
        (["run", "tests.shop:shop", "--backend", "memory:", "--workers", "2"], "one process"),
        (["run", "tests.shop:shop", "--backend", "memory:", "--workers", "0"], "1 to 256"),
        (["run", "tests.shop:shop", "--backend", "memory:", "--hung", "1"], "--hung: expected 5"),
        (["run", "tests.shop:shop", "--backend", "sqlite:////no/such/a.db"], "does not exist"),
        (["show", "x", "--backend", "sqlite:///no-such-file.db"], "there is no file"),
        (["workflows", "--backend", "memory:", "--status", "odd"], "odd"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str], tokens: list[str], told: str
) -> None:
    """No stack: the person at the keyboard can mend it."""
    assert told in refused(capsys, *tokens)


def test_the_backend_may_be_named_once_for_a_shell(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody types the URL in each command."""
    lived(url, shop, "a")
    monkeypatch.setenv("ARVO_BACKEND", url)

    assert "done" in said(capsys, "workflows")
