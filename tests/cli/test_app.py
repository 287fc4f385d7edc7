"""App: the commands of `arvo`, as an operator types them."""

import asyncio
import io
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from arvo import Commands, Fail, Resumable, Runtime, Schedule, System, Turn
from arvo.cli import main
from arvo.core.events.subject import subject_label
from tests.shop import (
    SERVICES,
    CardCharged,
    OrderState,
    fulfil,
    make_workflow,
    order,
    order_request,
    payments,
    shipping,
    shop,
)

SUBJECT = order_request().subject


def broken(turn: Turn[OrderState]) -> Commands:
    """Fail on the first reply."""
    return Fail("no stock") if isinstance(turn.event.data, CardCharged) else fulfil(turn)


failing = System([payments, shipping, make_workflow(broken, state=OrderState)])
incomplete = System([make_workflow(fulfil, state=OrderState)])


def wait(turn: Turn[OrderState]) -> Commands:
    """Take each event, and wait for the next one."""
    return ()


waiting = System([payments, shipping, make_workflow(wait, state=OrderState)])


def runtime_on(backend: str) -> Runtime:
    """Make a runtime with settings of its own."""
    return Runtime(shop, backend, prefetch=1)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the URL of a new backend."""
    return f"sqlite:///{tmp_path / 'arvo.db'}"


def run_orders(url: str, system: System, *keys: str) -> None:
    """Run orders until nothing is left to do."""

    async def go() -> None:
        async with Runtime(system, url) as runtime:
            for key in keys:
                await runtime.send(order_request(key))
            await runtime.drain(timeout=60)

    asyncio.run(go())


def output_of(capsys: pytest.CaptureFixture[str], *tokens: str) -> str:
    """Run a command that succeeds, and return its output."""
    capsys.readouterr()
    code = main(tokens)
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return out


def error_of(capsys: pytest.CaptureFixture[str], *tokens: str) -> str:
    """Run a command that is refused, and return its one line of error."""
    capsys.readouterr()
    code = main(tokens)
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    return err.removeprefix("arvo: ").rstrip()


def test_workflows_are_listed_with_what_they_wait_for(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An operator's first look; subjects are printed whole, to be copied."""
    run_orders(url, shop, "a")
    run_orders(url, failing, "b")

    out = output_of(capsys, "workflows", "--backend", url)
    some = output_of(capsys, "workflows", "--backend", url, "--status", "done", "--limit", "1")
    quiet = output_of(capsys, "workflows", "--backend", url, "--unchanged-for", "3600")
    current = output_of(capsys, "workflows", "--backend", url, "--version", "1.0.0")
    other = output_of(capsys, "workflows", "--backend", url, "--version", "2.0.0")

    assert [line.split("  ")[1] for line in out.splitlines()[::2]] == ["failed", "done"]
    assert out.splitlines()[1::2] == [
        f"  b  …{order_request('b').subject[-12:]}",
        f"  a  …{order_request('a').subject[-12:]}",
    ]
    assert "no stock" in out
    assert some.splitlines()[1].startswith("  a  ")
    assert (current, other, quiet) == (out, "", "")
    refused = error_of(capsys, "workflows", "--backend", url, "--version", "latest")
    assert refused.endswith("expected major.minor.patch, such as '1.0.0', got 'latest'")


def test_programs_read_json(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One object a line."""
    run_orders(url, failing, "i1")

    [record] = output_of(capsys, "workflows", "--backend", url, "--json").splitlines()
    lines = output_of(capsys, "history", SUBJECT, "--backend", url, "--json").splitlines()

    assert orjson.loads(record)["failure"]["errorMessage"] == "no stock"
    assert [orjson.loads(line)["kind"] for line in lines] == ["consumed", "produced"] * 2


def test_a_workflow_is_described_and_its_history_printed(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An operator sees how a workflow came to fail."""
    run_orders(url, failing, "i1")

    description = output_of(capsys, "describe", SUBJECT, "--backend", url)
    entries = output_of(capsys, "history", SUBJECT, "--backend", url)

    assert description.splitlines()[0] == "arvo.orc.order.fulfil 1.0.0: failed"
    assert "failed     Fail: no stock" in description
    assert [line.split("  ")[2:4] for line in entries.splitlines()] == [
        ["consumed", "arvo.orc.order.fulfil"],
        ["produced", "com.payment.charge"],
        ["consumed", "evt.payment.charged"],
        ["produced", "sys.arvo.orc.order.fulfil.error"],
    ]


def test_a_workflow_is_revived_and_another_cancelled(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a shell that processes no events itself."""
    run_orders(url, failing, "i1")
    run_orders(url, incomplete, "i2")

    revived = output_of(capsys, "revive", "tests.shop:shop", SUBJECT, "--backend", url)
    output_of(
        capsys, "cancel", "tests.shop:shop", order_request("i2").subject,
        "--reason", "enough", "--backend", url,
    )  # fmt: skip
    run_orders(url, shop)
    out = output_of(capsys, "workflows", "--backend", url)

    assert revived == "arvo.orc.order.fulfil 1.0.0 continues, revision 3\n"
    assert {line.split("  ")[1] for line in out.splitlines()[::2]} == {"done", "failed"}
    # The shop's workflow fails on every event that it does not expect.
    assert "unexpected: Cancellation(reason='enough'" in out
    refusal = error_of(capsys, "revive", "tests.shop:shop", SUBJECT, "--backend", url)
    assert refusal.endswith("has not failed: record.status: expected failed, got done")


def test_a_failed_workflow_is_forked_before_its_failure(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The new one ends, and the first one stays as it failed; the shell processes nothing."""
    run_orders(url, failing, "i1")

    subject = output_of(
        capsys, "fork", "tests.shop:shop", SUBJECT, "--at", "1", "--id", "again",
        "--reason", "the shop is mended", "--backend", url,
    )  # fmt: skip
    run_orders(url, shop)

    record = orjson.loads(
        output_of(capsys, "workflows", "--id", "again", "--json", "--backend", url)
    )
    first = output_of(capsys, "describe", SUBJECT, "--backend", url)
    acts = output_of(capsys, "audit", SUBJECT, "--backend", url)
    assert (record["subject"], record["status"]) == (subject.strip(), "done")
    assert first.splitlines()[0] == "arvo.orc.order.fulfil 1.0.0: failed"
    assert "fork at 1 as again: the shop is mended" in acts
    refusal = error_of(
        capsys, "fork", "tests.shop:shop", SUBJECT, "--at", "7", "--reason", "", "--backend", url
    )
    assert refusal.endswith("no such revision: at: expected a revision from 1 to 2, got 7")


def test_dead_letters_are_listed_redriven_and_deleted(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here: a service that was not deployed yet."""
    run_orders(url, incomplete, "a", "b")

    listed = output_of(capsys, "dead-letters", "--backend", url)
    one, other = (
        orjson.loads(line)
        for line in output_of(capsys, "dead-letters", "--backend", url, "--json").splitlines()
    )
    output_of(capsys, "dead-letters", "delete", other["id"], "--backend", url)
    alone = error_of(capsys, "dead-letters", "redrive", one["id"], "--backend", url)
    output_of(
        capsys, "dead-letters", "redrive", one["id"],
        "--system", "tests.shop:shop", "--backend", url,
    )  # fmt: skip
    run_orders(url, shop)
    done = output_of(capsys, "workflows", "--backend", url, "--status", "done")

    assert listed.count("no handler is at 'com.payment.charge'") == 2
    assert "no handler answers event" in alone
    assert done.splitlines()[1] == f"  {subject_label(one['event']['subject'])}"
    assert output_of(capsys, "dead-letters", "--backend", url) == ""


def test_many_workflows_are_revived_migrated_and_cancelled(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that a filter selects, after a dry run that changes nothing."""
    run_orders(url, failing, "a", "b", "c")
    system = ("tests.cli.test_app:waiting", "--backend", url)
    selected = ("--type", "arvo.orc.order.fulfil")

    unnamed = error_of(capsys, "cancel", *system, "--reason", "none")
    dry = output_of(capsys, "revive", *system, *selected, "--dry-run")
    some = output_of(capsys, "revive", *system, "--all", "--limit", "2", "--reason", "try")
    assert main(["migrate", *system, "--all", "--to", "9.0.0"]) == 1
    refused = capsys.readouterr().out
    cancelled = output_of(capsys, "cancel", *system, *selected, "--reason", "enough")
    run_orders(url, waiting)
    left = output_of(capsys, "workflows", "--backend", url, "--status", "failed").splitlines()

    assert "expected a WORKFLOW, or filters such as --type, or --all" in unnamed
    assert dry == "done: 3 of 3, gone: 0, refused: 0\n"
    assert some == "done: 2 of 2, and more beyond the limit, gone: 0, refused: 0\n"
    assert refused.startswith("done: 0 of 2, gone: 0, refused: 2\n")
    assert cancelled == "done: 2 of 2, gone: 0, refused: 0\n"
    assert len(left) == 2


def remind(turn: Turn[OrderState]) -> Commands:
    """Set two timers."""
    return Schedule("later", after=timedelta(days=2)), Schedule("soon", after=timedelta(days=1))


def test_timers_are_listed_the_next_one_first(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By workflow type, and as JSON."""
    run_orders(url, System([make_workflow(remind, state=OrderState)]), "a")

    def lines(*words: str) -> list[str]:
        return output_of(capsys, "timers", *words, "--backend", url).splitlines()

    listed = lines("--type", "arvo.orc.order.fulfil")
    (first,) = map(orjson.loads, lines("--limit", "1", "--json"))

    assert [line.split("  ")[1:] for line in listed[::2]] == [
        ["soon", "arvo.orc.order.fulfil"],
        ["later", "arvo.orc.order.fulfil"],
    ]
    assert (first["name"], first["subject"]) == ("soon", order_request("a").subject)
    assert lines("--type", "arvo.orc.other") == lines("--type", "no type\n") == []


def test_a_deployment_may_not_leave_out_a_version_that_is_active(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A gate fails by its exit code; another version, or one that has only failed, may go."""
    run_orders(url, failing, "a")
    run_orders(url, waiting, "b", "c")
    gate = ["versions", "--backend", url, "--expect-none"]

    assert main([*gate, "arvo.orc.order.fulfil@1.0.0"]) == 1
    assert capsys.readouterr().out == "arvo.orc.order.fulfil@1.0.0  active: 2, failed: 1\n"
    assert main([*gate, "arvo.orc.order.fulfil@2.0.0"]) == 0
    capsys.readouterr()
    assert orjson.loads(output_of(capsys, "versions", "--backend", url, "--json")) == {
        "handler": "arvo.orc.order.fulfil",
        "version": "1.0.0",
        "active": 2,
        "failed": 1,
    }
    assert "expected HANDLER@VERSION, got 'order'" in error_of(capsys, *gate, "order")


def test_acts_are_listed_with_user_and_reason(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of one that was refused: it is recorded first."""
    monkeypatch.setenv("LOGNAME", "ann")
    run_orders(url, shop, "a")
    subject = order_request("a").subject
    system = ("tests.shop:shop", subject, "--backend", url)

    output_of(capsys, "cancel", *system, "--reason", "the customer called")
    error_of(capsys, "revive", *system, "--reason", "it has not failed")
    listed = output_of(capsys, "audit", subject, "--backend", url).splitlines()
    (last,) = map(
        orjson.loads,
        output_of(capsys, "audit", "--backend", url, "--json", "--limit", "1").splitlines(),
    )

    assert [line[31:] for line in listed[::2]] == [
        "ann  revive: it has not failed",
        f"ann  cancel {listed[2].split()[3].removesuffix(':')}: the customer called",
    ]
    assert (last["verb"], last["actor"], last["subject"]) == ("revive", "ann", subject)
    assert output_of(capsys, "audit", "unknown", "--backend", url) == ""


def test_dead_letters_are_counted_in_groups_and_selected(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Thousands of one fault are one line, and its words select them."""
    run_orders(url, incomplete, "a", "b")

    def lines(*words: str) -> list[str]:
        return output_of(capsys, "dead-letters", *words, "--backend", url).splitlines()

    (group,) = map(orjson.loads, lines("groups", "--json"))
    text = lines("groups", "--type", "com.payment.charge", "--since", "3600")
    listed = map(orjson.loads, lines("--cause", group["cause"], "--json"))

    assert (group["number"], group["handler"], group["type"]) == (2, None, "com.payment.charge")
    assert text[0].startswith("2  com.payment.charge  20")
    assert text[1] == f"  {group['cause']}"
    assert {each["cause"] for each in listed} == {group["cause"]}
    assert lines("--text", "another fault") == []
    assert lines("groups", "--subject", "unknown") == []
    assert lines("--handler", "com.none\n") == []


def test_many_dead_letters_are_redriven_and_deleted(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a dry run that changes nothing, and with an exit code for what is refused."""
    run_orders(url, incomplete, "a", "b", "c")
    system = ("--system", "tests.shop:shop", "--backend", url)

    unnamed = error_of(capsys, "dead-letters", "redrive", "--backend", url)
    assert main(["dead-letters", "redrive", "--all", "--backend", url]) == 1
    refused = capsys.readouterr().out
    dry = output_of(capsys, "dead-letters", "redrive", "--text", "no handler", "--dry-run", *system)
    some = output_of(capsys, "dead-letters", "redrive", "--all", "--limit", "1", *system)
    gone = output_of(capsys, "dead-letters", "delete", "--type", "com.payment.charge", "--limit",
        "1", "--backend", url)  # fmt: skip
    (left,) = map(
        orjson.loads,
        output_of(capsys, "dead-letters", "--backend", url, "--json").splitlines(),
    )
    edited = output_of(
        capsys, "dead-letters", "redrive", left["id"],
        "--data", '{"order_id": "z", "amount": 1}', *system,
    )  # fmt: skip

    assert "expected the ID of a dead letter, or filters such as --cause, or --all" in unnamed
    assert refused.startswith("done: 0 of 3, gone: 0, refused: 3\n")
    assert dry == "done: 3 of 3, gone: 0, refused: 0\n"
    assert some == gone == "done: 1 of 1, and more beyond the limit, gone: 0, refused: 0\n"
    assert edited == ""
    assert output_of(capsys, "dead-letters", "--backend", url) == ""


@pytest.mark.parametrize("form", ["one", "list", "lines"])
def test_events_are_sent_in_any_form_of_json(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    """In any layout that another program may write."""
    events = [order_request(key).to_dict() for key in ("a", "b")][: 1 if form == "one" else 2]
    written = {
        "one": orjson.dumps(events[0]),
        "list": orjson.dumps(events),
        "lines": b"\n\n".join(map(orjson.dumps, events)),
    }
    file = tmp_path / "events.json"
    file.write_bytes(written[form])

    out = output_of(capsys, "send", "tests.cli.test_app:runtime_on", str(file), "--backend", url)
    run_orders(url, shop)
    listed = output_of(capsys, "workflows", "--backend", url, "--status", "done")

    assert [line.split()[0] for line in out.splitlines()] == ["a", "b"][: len(events)]
    assert len(listed.splitlines()) == 2 * len(events)


@pytest.mark.parametrize("where", [(), ("-",)])
def test_a_payload_is_sent_as_an_event_of_its_type(
    url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    where: tuple[str, ...],
) -> None:
    """An operator types a payload, not an envelope; a hyphen says where it comes from."""
    typed = io.TextIOWrapper(io.BytesIO(b'{"order_id": "o7"}'))
    monkeypatch.setattr("sys.stdin", typed)

    out = output_of(
        capsys,
        *("send", "tests.shop:shop", *where),
        *("--type", "arvo.orc.order.fulfil", "--backend", url),
    )
    run_orders(url, shop)
    description = output_of(capsys, "describe", out.split()[2], "--backend", url)

    assert "arvo.orc.order.fulfil 1.0.0: done" in description


def test_a_payload_begins_a_run_with_an_id_once(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command takes the id in place of the subject."""
    file = tmp_path / "order.json"
    file.write_bytes(b'{"order_id": "o7"}')
    send = ("send", "tests.shop:shop", str(file), "--type", "arvo.orc.order.fulfil")

    for _ in range(2):
        output_of(capsys, *send, "--id", "order-7", "--backend", url)
        run_orders(url, shop)
    listed = output_of(capsys, "workflows", "--id", "order-7", "--backend", url)
    described = output_of(capsys, "describe", "order-7", "--backend", url)

    assert [line.split("  ")[1] for line in listed.splitlines()] == ["done", "order-7"]
    assert "workflow   order-7" in described
    assert output_of(capsys, "history", "order-7", "--backend", url).count("consumed") == 3
    for options in ((), ("--type", "com.payment.charge")):
        status = main([*send[:3], *options, "--id", "x", "--backend", url])
        assert (status, "--id: expected" in capsys.readouterr().err) == (2, True)


labelled = System(
    [
        *shop.handlers[:2],
        Resumable(
            order,
            {"1.0.0": fulfil},
            services=SERVICES,
            state=OrderState,
            labels=lambda state: {"order": state.order_id, "paid": state.receipt is not None},
        ),
    ]
)


def test_workflows_are_found_by_their_labels(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each label must be there; a description shows all of them."""
    run_orders(url, labelled, "i1")

    def listed(*options: str) -> int:
        return len(output_of(capsys, "workflows", *options, "--backend", url).splitlines())

    assert listed("--label", "order=o1") == 2
    assert listed("--label", "order=o1", "--label", "paid=true") == 2
    assert listed("--label", "order=o1", "--label", "paid=false") == 0
    assert (listed("--text", "r=o"), listed("--text", "r=p")) == (2, 0)
    described = output_of(capsys, "describe", "i1", "--backend", url)
    assert "  labels     order=o1, paid=true" in described
    assert main(["workflows", "--label", "order", "--backend", url]) == 2
    assert "--label: expected name=value, got 'order'" in capsys.readouterr().err


def test_nothing_is_sent_where_one_of_the_events_is_wrong(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half a sent file would have to be sorted out by hand."""
    file = tmp_path / "events.jsonl"
    good = order_request("a").to_dict()

    file.write_bytes(orjson.dumps([good, {**good, "id": ""}]))
    wrong = error_of(capsys, "send", "tests.shop:shop", str(file), "--backend", url)
    file.write_bytes(orjson.dumps([good, {**good, "to": "com.nobody"}]))
    lost = error_of(capsys, "send", "tests.shop:shop", str(file), "--backend", url)
    exact = orjson.dumps([good, {**good, "executionunits": 2**63}])
    file.write_bytes(exact.replace(str(2**63).encode(), str(2**64 + 1).encode()))
    wide = error_of(capsys, "send", "tests.shop:shop", str(file), "--backend", url)
    file.write_bytes(b'{"n": 1}\n{"n": 18446744073709551617}')
    wide_line = error_of(capsys, "send", "tests.shop:shop", str(file), "--backend", url)
    file.write_bytes(b"{}\n{")
    broken_ = error_of(capsys, "send", "tests.shop:shop", str(file), "--backend", url)
    run_orders(url, shop)

    assert wrong.startswith(f"event 2 of {file}: ")
    assert "expected the address of a handler" in lost
    assert "[1].executionunits: expected an integer from " in wide
    assert wide_line.startswith("line 2: n: expected an integer from ")
    assert broken_.startswith("line 2: event: expected JSON")
    assert output_of(capsys, "workflows", "--backend", url) == ""


@pytest.mark.parametrize(
    ("tokens", "error"),
    [
        (["bogus"], '"bogus"'),
        (["bogus"], ": `arvo --help` lists what it takes"),
        (["describe", "a", "b", "--backend", "memory:"], "arvo describe does not take 'b': `arvo"),
        (["dead-letters", "groups", "x", "--backend", "memory:"], "`arvo dead-letters groups --h"),
        (["describe"], ": `arvo describe --help` lists what it takes"),
        (["run", "tests.shop:shop"], "--backend"),
        (["run", "tests.shop", "--backend", "memory:"], "expected package.module:attribute"),
        (["run", "nosuch:shop", "--backend", "memory:"], "in the folder that holds nosuch (this"),
        (["run", "tests.nowhere:shop", "--backend", "memory:"], "No module named"),
        (["run", "tests.shop:nothing", "--backend", "memory:"], "has no attribute 'nothing'"),
        (["run", "tests.shop:nothing", "--backend", "memory:"], "tests.shop defines shop"),
        (["run", "tests.shop", "--backend", "memory:"], ": tests.shop defines shop"),
        (["run", "tests.shop:", "--backend", "memory:"], ": tests.shop defines shop"),
        (["run", "tests.shop:shop.a", "--backend", "memory:"], ": tests.shop defines shop"),
        (
            ["run", "tests.shop:NOW", "--backend", "memory:"],
            "datetime: tests.shop defines shop",
        ),
        (["run", "tests.cli.test_app:no", "--backend", "memory:"], "runtime_on"),
        (["run", "tests.server_process:nothing", "--backend", "memory:"], "defines no system"),
        (["run", "tests.shop:NOW", "--backend", "memory:"], "expected a System, or a function"),
        (["run", "tests.shop:order_request", "--backend", "memory:"], "got Event"),
        (["run", "tests.shop:shop", "--backend", "bogus:"], "this URL names no known backend"),
        (["run", "tests.shop:shop", "--backend", "memory:", "--workers", "2"], "one process"),
        (["run", "tests.shop:shop", "--backend", "memory:", "--workers", "0"], "1 to 256"),
        (
            ["run", "tests.shop:shop", "--backend", "memory:", "--hang-timeout", "1"],
            "--hang-timeout: expected 5",
        ),
        (["run", "tests.shop:shop", "--backend", "sqlite:////no/such/a.db"], "does not exist"),
        (["describe", "x", "--backend", "sqlite:///no-such-file.db"], "there is no file"),
        (["workflows", "--backend", "memory:", "--status", "odd"], "odd"),
    ],
)
def test_a_usage_error_is_one_line(
    capsys: pytest.CaptureFixture[str], tokens: list[str], error: str
) -> None:
    """No traceback: the operator can mend it."""
    assert error in error_of(capsys, *tokens)


def test_the_backend_may_be_named_once_for_a_shell(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator need not repeat the URL in each command."""
    run_orders(url, shop, "a")
    monkeypatch.setenv("ARVO_BACKEND", url)

    assert "done" in output_of(capsys, "workflows")
