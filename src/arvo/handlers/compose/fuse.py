"""Fuse: makes one handler of two whose contracts meet."""

from collections.abc import Iterator
from typing import Any, TypeVar

from arvo.core.contracts.contract import Contract
from arvo.core.violations.issue import Issue, short
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.handlers.compose.fused_version import TO_THE_ASKER, acceptor, kept, meeting
from arvo.handlers.compose.run_part import composed
from arvo.handlers.event_handler import EventHandler, HandlerDomains

A = TypeVar("A")


def fuse(
    first: EventHandler[A],
    second: EventHandler[Any],
    *more: EventHandler[Any],
    uri: str,
    type: str | None = None,  # noqa: A002 - the wire's name
    description: str | None = None,
) -> EventHandler[A]:
    """Make one handler of two whose contracts meet: *second* takes what *first* emits.

    They meet where an event that *first* emits carries the payload that *second* accepts (the same
    class, or an equal JSON Schema). Each such event is sent no more: it is handed to *second*, as
    if whoever asked *first* had taken its answer and asked *second* with it. So *second* sees its
    own type, the asker as `source`, the asker's subject, domain and `redirectto`, the time of the
    consumed event, and the id, access control, extensions and units that the answer would have had.

    The new contract, *uri*, takes what *first* accepts, in each of its versions, as *type* (by
    default that of *first*, whose place it then takes). It emits what *first* emits but for what is
    handed on, and what *second* emits, in its highest version that meets that version of *first*.

    Law: what the asker sees is what it would have seen of both handlers in a system, with the new
    handler as the sender: payloads, addresses, domains, access control, units, logs and effects in
    the same order. Only ids, `parentid` and `dataschema` differ; and it is one step: where one of
    the two fails or violates, that is all there is, as a failure of the new handler.

    `fuse(a, b, c)` is `fuse(fuse(a, b), c)`. Handlers that do not meet, and contracts that cannot
    be one, are refused with `Violated`, which names both sides.
    """
    fused = _fused(first, second, uri, type, description)
    for each in more:
        fused = _fused(fused, each, uri, type, description)
    return fused


def _fused(
    first: EventHandler[A],
    second: EventHandler[Any],
    uri: str,
    type_: str | None,
    description: str | None,
) -> EventHandler[A]:
    issues = [*_not_handlers(first, second)] or [*_misfits(first, second)]
    if issues:
        sides = f"{_uri(first)} and {_uri(second)}"
        raise Violated(ConfigViolation(f"{sides} cannot be fused", tuple(issues)))
    meetings = {number: meeting(first, second, number) for number in first.contract.versions}
    contract: Contract[A] = Contract(
        uri=uri,
        type=type_ or first.contract.type,
        domain=first.contract.domain,
        description=description,
        versions={number: each.version() for number, each in meetings.items()},
    )
    return EventHandler(
        contract,
        {
            number: composed("fuse", (each.function, each.following), each.program)
            for number, each in meetings.items()
        },
        executionunits=first.executionunits,
        domains=HandlerDomains(emits=second.domains.emits, system_error=first.domains.system_error),
    )


def _uri(handler: object) -> str:
    return handler.contract.uri if isinstance(handler, EventHandler) else short(handler)


def _not_handlers(*handlers: object) -> Iterator[Issue]:
    for position, handler in enumerate(handlers):
        if not isinstance(handler, EventHandler):
            yield Issue(
                f"fuse[{position}]", "an EventHandler (of functions: sequence)", _uri(handler)
            )


def _misfits(first: EventHandler[Any], second: EventHandler[Any]) -> Iterator[Issue]:
    if first.domains.emits not in TO_THE_ASKER:
        expected = "an answer to whoever asked (the default), or it is not there to be handed on"
        yield Issue(f"{_uri(first)} domains.emits", expected, short(first.domains.emits))
    for contract in first.contract.versions.values():
        accepting = acceptor(contract, second)
        if accepting is None:
            accepted = ", ".join(each.accepted.name for each in second.contract.versions.values())
            expected = f"a payload that {_uri(second)} accepts ({accepted}); map_output makes one"
            emitted = ", ".join(each.name for each in contract.emitted.values()) or "nothing"
            yield Issue(f"{contract.dataschema} emits", expected, emitted)
            continue
        for name, payload in accepting.emitted.items():
            other = kept(contract, accepting).get(name, payload)
            if other != payload:
                expected = f"{payload.name}, as {accepting.dataschema} has it"
                yield Issue(f"{contract.dataschema} {name}", expected, other.name)
