"""Progress: the results of a turn's effects, obtained once and stored with the delivery."""

from hashlib import blake2b
from typing import Any, Final, TypeAlias, final

import orjson
from attrs import define, field

from arvo.core.events.event import Event
from arvo.core.violations.violation import Violated
from arvo.handlers.effect import Perform, Performed
from arvo.handlers.flow.journal import describe, performed_by, read_call, write_call
from arvo.interpreters.delivery.log import fields, get_logger
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import PROGRESS_BYTES_MAX, Delivery
from arvo.interpreters.ports.results import Committed, Fenced

logger: Final = get_logger("worker")

# One recorded result: which effect it is of, and its answer as in a flow's journal. Without the
# answer the effect is performed again.
Entry: TypeAlias = "tuple[str, dict[str, Any] | None]"


@final
@define(eq=False)
class TurnProgress:
    """The results of one turn's effects, in the order in which the effects ended.

    A result comes from an earlier attempt in this process, else from the checkpoint of the
    delivery. An effect whose result is not there is performed, and its result is stored. Results
    from the first that does not fit on are dropped: the code or the record has changed.

    *cancellation*: the event whose turn replaces that of the delivery. Neither turn uses the
    results of the other.

    *is_flow*: a flow sees every result as the JSON of its journal, and every exception as its name
    and message, so all of them can be stored. For other handlers a result is stored if JSON gives
    back an equal value, and exceptions are not.
    """

    backend: Backend
    delivery: Delivery
    is_flow: bool
    cancellation: Event[Any] | None = None
    _stored: list[Entry] | None = field(default=None, init=False)

    async def next(self, asked: Perform[Any], position: int) -> Performed | Perform[Any]:
        """Return the result number *position* if it is recorded, else the effects to perform."""
        performed = self._performed
        if position < len(performed):
            done = performed[position]
            if any(effect.matches(done.effect) for effect in asked.effects):
                return done
            del performed[position:]
            del (await self._load())[position:]
        stored = await self._load()
        if position >= len(stored):
            return asked
        key, answer = stored[position]
        effect = next((effect for effect in asked.effects if _key(effect) == key), None)
        if effect is None:
            del stored[position:]
            return asked
        done_before = None if answer is None else _decode(effect, answer)
        if done_before is None:
            # Only this one: the results behind it belong to steps after its result.
            return effect
        performed.append(done_before)
        return done_before

    async def record(self, done: Performed) -> Committed | Fenced:
        """Store the result of an effect that was performed just now."""
        performed, stored = self._performed, await self._load()
        position = len(performed)
        performed.append(done)
        # Results before it may be missing, where the backend was unavailable.
        entries = stored[:position]
        entries += [_encode(each, is_flow=self.is_flow) for each in performed[len(entries) :]]
        self._stored = [*entries, *stored[position + 1 :]]
        if entries[-1][1] is None:
            return Committed()
        data = orjson.dumps(self._content(self._stored))
        if len(data) > PROGRESS_BYTES_MAX:
            return Committed()
        try:
            return await self._write(data)
        except Unavailable as error:
            # The turn goes on, and may end without another effect; its commit stores more.
            extra = fields(effect=done.effect.name, reason=error)
            logger.info("the result of an effect is not stored yet", extra=extra)
            self.delivery.progress.unstored = data
            return Committed()

    async def store(self) -> Committed | Fenced:
        """Store the result that could not be stored, if there is one; raises `Unavailable`.

        Before the next effect: after a crash, only those in hand may be performed again.
        """
        data = self.delivery.progress.unstored
        return await self._write(data) if data else Committed()

    async def clear(self) -> None:
        """Delete the results on which the turn was decided, if any: it shall be decided anew."""
        if not self._performed:
            return
        self._performed.clear()
        self._stored = []
        self.delivery.progress.unstored = b""
        if self.delivery.progress.data:
            await self._write(b"")

    async def clear_failed(self) -> None:
        """Delete the results from the first exception on; those before it are used again."""
        failed = next((n for n, done in enumerate(self._performed) if done.error), None)
        if failed is None:
            return
        del self._performed[failed:]
        entries = await self._load()
        if len(entries) > failed:
            del entries[failed:]
            await self._write(orjson.dumps(self._content(entries)) if entries else b"")

    @property
    def _performed(self) -> list[Performed]:
        return self.delivery.progress.performed(self.cancellation or self.delivery.message.event)

    def _content(self, entries: list[Entry]) -> dict[str, object]:
        content: dict[str, object] = {"effects": entries}
        if self.cancellation is not None:
            content["cancellation"] = self.cancellation.id
        return content

    async def _write(self, data: bytes) -> Committed | Fenced:
        result = await self.backend.checkpoint(self.delivery, data)
        self.delivery.progress.unstored = b""
        return result

    async def _load(self) -> list[Entry]:
        if self._stored is None:
            cancels = None if self.cancellation is None else self.cancellation.id
            self._stored = _decode_entries(await self.delivery.progress.load(), cancels)
        return self._stored


def _key(effect: Perform[Any]) -> str:
    """Return a text that is equal for an equal effect in every process."""
    try:
        arguments = repr(effect.args)
    except Exception:  # noqa: BLE001 - a repr may raise anything; the description remains
        arguments = ""
    digest = blake2b(arguments.encode(errors="surrogatepass"), digest_size=8).hexdigest()
    return f"{describe(effect)} ({digest})"


def _encode(done: Performed, *, is_flow: bool) -> Entry:
    """Return the entry of a result, without its answer where that must not be stored."""
    key = _key(done.effect)
    if done.error is not None and not is_flow:
        # A handler tells exceptions apart by their classes, which JSON does not hold.
        return key, None
    try:
        answer: dict[str, Any] = orjson.loads(
            orjson.dumps(write_call(done.effect, done.value, done.error))
        )
        if is_flow:
            return key, answer
        value = read_call(done.effect, answer)
        is_same = type(value) is type(done.value) and bool(value == done.value)
    except Exception:  # noqa: BLE001 - a value of a user's class may raise anything when it is read
        return key, None
    return key, answer if is_same else None


def _decode(effect: Perform[Any], answer: dict[str, Any]) -> Performed | None:
    try:
        return performed_by(effect, answer)
    except Violated:
        return None  # the function has another return type now


def _decode_entries(data: bytes, cancellation: str | None) -> list[Entry]:
    """Read a checkpoint; one of another turn or format is worth nothing, and its effects are
    repeated.
    """
    if not data:
        return []
    try:
        content = orjson.loads(data)
        if content.get("cancellation") != cancellation:
            return []
        return [(key, answer) for key, answer in content["effects"]]
    except (ValueError, TypeError, KeyError, AttributeError):
        return []
