"""Dead letters: their groups are those of a recomputation, on each backend and for each filter."""

import asyncio
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from arvo import (
    Backend,
    BatchResult,
    Client,
    DeadLetter,
    DeadLetterGroup,
    InMemoryMachineMemory,
    MemoryBackend,
    SqliteBackend,
    System,
    Violated,
    paired,
)
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ContractViolation
from arvo.engine.step.route import ToDomain, ToHandler
from arvo.interpreters.memory.broker import MemoryBroker
from arvo.interpreters.ports.messages import CAUSE_CHARACTERS_MAX
from arvo.testing.conformance.kit.samples import event

# Recent, so that no retention removes them while the law looks.
START = datetime.now(UTC).replace(microsecond=0)

reasons = st.one_of(
    st.sampled_from(["down", "no answer after 5 s", "no answer after 30 s"]), st.text(max_size=300)
)
violations = st.builds(
    lambda path, got: ContractViolation("unfit", (Issue(path, "a number", got),)),
    st.sampled_from(["data.a", "data.lines[3].b"]),
    st.text(max_size=5),
)
destinations = st.sampled_from(
    [None, ToHandler("com.kit.service", None), ToHandler("arvo.orc.kit", "k"), ToDomain("paper")]
)


@st.composite
def stored(draw: st.DrawFn) -> list[DeadLetter]:
    number = draw(st.integers(0, 12))
    entries = []
    for place in range(number):
        at = START + timedelta(seconds=draw(st.integers(0, 3)))
        failed = event(
            f"e{place}",
            draw(st.sampled_from(["one", "two"])),
            type=draw(st.sampled_from(["com.kit.a", "com.kit.b"])),
        )
        entries.append(
            DeadLetter(
                id=f"dead-{place:02}",
                event=failed,
                reason=draw(reasons),
                attempts=1,
                at=at.isoformat(timespec="milliseconds"),
                to=draw(destinations),
                violation=draw(st.none() | violations),
            )
        )
    return entries


@st.composite
def selections(draw: st.DrawFn, entries: Sequence[DeadLetter]) -> dict[str, Any]:
    """Draw filters, nearly always with values that some of the entries have."""
    one = draw(st.sampled_from(entries)) if entries else None
    values: dict[str, Any] = {"cause": "none", "handler": "", "type": "com.kit.a", "text": "o"}
    if one is not None:
        values = {
            "cause": one.cause,
            "handler": one.handler or "",
            "type": one.event.type,
            "text": one.cause[1:4],
            "subject": one.event.subject,
            "since": datetime.fromisoformat(one.at),
        }
    names = draw(st.sets(st.sampled_from(sorted(values))))
    return {name: values[name] for name in names}


def is_selected(entry: DeadLetter, filters: dict[str, Any]) -> bool:
    own = {
        "cause": entry.cause,
        "handler": entry.handler or "",
        "type": entry.event.type,
        "subject": entry.event.subject,
    }
    return (
        all(own[name] == filters[name] for name in own if name in filters)
        and filters.get("text", "") in entry.cause
        and filters.get("since", START) <= datetime.fromisoformat(entry.at)
    )


def regroup(entries: Sequence[DeadLetter]) -> list[DeadLetterGroup]:
    times = defaultdict(list)
    for entry in entries:
        key = entry.cause, entry.handler or "", entry.event.type
        times[key].append(datetime.fromisoformat(entry.at))
    return [
        DeadLetterGroup(
            cause=cause,
            handler=handler or None,
            type=type_,
            number=len(at),
            first=min(at),
            last=max(at),
        )
        for (cause, handler, type_), at in sorted(
            times.items(), key=lambda item: (-len(item[1]), item[0])
        )
    ]


@given(data=st.data(), entries=stored())
def test_groups_are_those_of_the_dead_letters_that_the_same_filter_lists(
    data: st.DataObject, entries: list[DeadLetter]
) -> None:
    """An operator acts on all of a group: it must hold what it shows, and nothing else."""
    filters = data.draw(selections(entries))
    limit = data.draw(st.integers(1, 5))
    expected = [entry for entry in entries if is_selected(entry, filters)]
    expected.sort(key=lambda entry: (datetime.fromisoformat(entry.at), entry.id))

    async def check(backend: Backend) -> None:
        for entry in entries:
            await backend.dead_letter(None, entry)
        assert list(await backend.dead_letters(**filters)) == expected
        assert list(await backend.dead_letters(**filters, limit=limit)) == expected[:limit]
        groups = await backend.dead_letter_groups(**filters)
        assert list(groups) == regroup(expected)
        assert await backend.dead_letter_groups(**filters, limit=limit) == groups[:limit]
        await backend.close()

    async def go() -> None:
        with tempfile.TemporaryDirectory() as folder:
            await check(MemoryBackend())
            await check(SqliteBackend(str(Path(folder) / "a.db"), full_sync=False))
            await check(paired(InMemoryMachineMemory(), MemoryBroker()))

    asyncio.run(go())


@given(
    data=st.data(),
    entries=stored(),
    act=st.sampled_from(["redrive", "delete"]),
    limit=st.integers(0, 12),
)
def test_an_act_on_many_is_that_act_on_one_after_the_other(
    data: st.DataObject, entries: list[DeadLetter], act: str, limit: int
) -> None:
    """The same are left, the same are refused, and the same is sent; a dry run changes nothing."""
    filters = data.draw(selections(entries))

    async def fill() -> Client:
        backend = MemoryBackend()
        for entry in entries:
            await backend.dead_letter(None, entry)
        return Client(System([]), backend)

    async def outcome(client: Client) -> tuple[set[str], int]:
        left = {entry.id for entry in await client.dead_letters()}
        return left, (await client.depth()).ready

    async def one_by_one() -> tuple[set[str], int, set[str]]:
        client, refused = await fill(), set()
        for entry in await client.dead_letters(**filters, limit=limit):
            try:
                await getattr(client, f"{act}_dead_letter")(entry.id)
            except Violated:
                refused.add(entry.id)
        return *await outcome(client), refused

    async def many() -> None:
        client, reports = await fill(), list[BatchResult]()
        before = await outcome(client)
        run = getattr(client, f"{act}_dead_letters")
        dry = await run(dry_run=True, limit=limit, **filters)
        assert await outcome(client) == before
        result = await run(limit=limit, on_progress=reports.append, **filters)
        left, sent, refused = await one_by_one()
        assert result == dry
        assert await outcome(client) == (left, sent)
        assert {id_ for id_, _ in result.refusals} == refused
        assert (result.done, result.refused) == (len(entries) - len(left), len(refused))
        assert result.matched == result.done + result.refused == len(reports)
        assert result.more == any(
            is_selected(entry, filters) for entry in entries if entry.id in left - refused
        )
        assert reports[-1:] in ([], [result])

    asyncio.run(many())


@given(reason=st.text(), number=st.integers(0), other=st.integers(0))
def test_a_cause_is_printable_and_has_no_numbers(reason: str, number: int, other: int) -> None:
    """Dead letters that differ in a number alone are of one group."""

    def cause(text: str) -> str:
        return DeadLetter(id="d", event=event("e"), reason=text, attempts=1, at="").cause

    found = cause(f"{reason} {number}")

    assert found == cause(f"{reason} {other}") or len(f"{reason} {number}") > CAUSE_CHARACTERS_MAX
    assert found.isprintable()
    assert len(found) <= CAUSE_CHARACTERS_MAX
