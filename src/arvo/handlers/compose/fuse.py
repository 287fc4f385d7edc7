"""Fuse: makes one handler of two where the second accepts an event that the first emits."""

from collections.abc import Iterator
from typing import Any, TypeVar

from arvo.core.contracts.contract import Contract
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.handlers.compose.fused_version import (
    CALLER_DOMAINS,
    accepting_version,
    fuse_version,
    passthrough_events,
)
from arvo.handlers.compose.run_part import make_composed
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
    """Make one handler of two, where *second* accepts an event that *first* emits.

    The handlers fit where an event of *first* carries the payload that *second* accepts (the same
    class, or an equal JSON Schema). The fused handler does not send such an event. It hands it to
    *second*, as if the caller had received the answer and sent it to *second* as a request. So
    *second* sees its own type, the caller as `source`, the caller's subject, domain and
    `redirectto`, the time of the consumed event, and the id, access control, extensions and
    execution units that the answer would have had.

    The new contract, *uri*, has the versions of *first* and accepts their payloads as *type* (by
    default the type of *first*, which it then replaces). It emits the events of *first* that are
    not handed on, and those of *second*, in the highest version that fits that version of *first*.

    Law: the caller sees the events that it would see of both handlers in a system, with the new
    handler as the sender: payloads, addresses, domains, access control, units, logs and effects in
    the same order. Only ids, `parentid` and `dataschema` differ. It is one step: where one of the
    two fails or violates, the new handler fails or violates, and sends nothing else.

    `fuse(a, b, c)` is `fuse(fuse(a, b), c)`. Raises `Violated`, which names both sides, for
    handlers that do not fit and for contracts that cannot be joined.
    """
    fused = _fuse(first, second, uri, type, description)
    for handler in more:
        fused = _fuse(fused, handler, uri, type, description)
    return fused


def _fuse(
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
    versions = {number: fuse_version(first, second, number) for number in first.contract.versions}
    contract: Contract[A] = Contract(
        uri=uri,
        type=type_ or first.contract.type,
        domain=first.contract.domain,
        description=description,
        versions={number: fused.version() for number, fused in versions.items()},
    )
    return EventHandler(
        contract,
        {
            number: make_composed("fuse", (fused.function, fused.next_function), fused.program)
            for number, fused in versions.items()
        },
        executionunits=first.executionunits,
        domains=HandlerDomains(emits=second.domains.emits, system_error=first.domains.system_error),
        retry=first.policy.retry,
        timeout=first.policy.timeout,
        on_error=first.policy.on_error,
        limits=first.policy.limits,
    )


def _uri(handler: object) -> str:
    return handler.contract.uri if isinstance(handler, EventHandler) else short_repr(handler)


def _not_handlers(*handlers: object) -> Iterator[Issue]:
    for position, handler in enumerate(handlers):
        if not isinstance(handler, EventHandler):
            yield Issue(
                f"fuse[{position}]", "an EventHandler (of functions: sequence)", _uri(handler)
            )


def _misfits(first: EventHandler[Any], second: EventHandler[Any]) -> Iterator[Issue]:
    if first.domains.emits not in CALLER_DOMAINS:
        expected = "an answer to the caller (the default); other answers cannot be passed on"
        yield Issue(f"{_uri(first)} domains.emits", expected, short_repr(first.domains.emits))
    for contract in first.contract.versions.values():
        next_contract = accepting_version(contract, second)
        if next_contract is None:
            accepted = ", ".join(
                version.accepted.name for version in second.contract.versions.values()
            )
            expected = f"a payload that {_uri(second)} accepts ({accepted}); map_output makes one"
            emitted = ", ".join(payload.name for payload in contract.emitted.values()) or "nothing"
            yield Issue(f"{contract.dataschema} emits", expected, emitted)
            continue
        for name, payload in next_contract.emitted.items():
            other = passthrough_events(contract, next_contract).get(name, payload)
            if other != payload:
                expected = f"{payload.name}, as {next_contract.dataschema} has it"
                yield Issue(f"{contract.dataschema} {name}", expected, other.name)
