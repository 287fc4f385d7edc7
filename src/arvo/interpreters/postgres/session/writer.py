"""Writer: batches that arrive while others are written share the next transaction."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, cast, final

from attrs import define, field, frozen

from arvo.interpreters.codecs.offloaded import NotUploaded
from arvo.interpreters.delivery.tasks import supervise
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.postgres.connection.errors import (
    DRIVER_ERRORS,
    is_retryable,
    is_rolled_back,
    translate_error,
)
from arvo.interpreters.postgres.statements.group_commit import WriteConflict
from arvo.interpreters.postgres.statements.group_locks import KEYS_MAX
from arvo.interpreters.postgres.statements.write_batch import WriteBatch, Written

# Batches in one transaction: more save nothing, and delay the first of them.
GROUP_MAX: Final = 100
# Bytes in one transaction, unless it has a single batch: a message of the Postgres protocol is
# limited to a gigabyte, and a large one delays the others.
GROUP_BYTES_MAX: Final = 16 * 1024 * 1024
# Transactions at once: the server syncs one to its disk while the next is prepared.
CONCURRENCY: Final = 2
# How often a group is tried that competes with another transaction.
TRIES_MAX: Final = 10


@final
@frozen(eq=False)
class _PendingWrite:
    batch: WriteBatch
    on_done: Callable[[Written], None]
    future: "asyncio.Future[Written]"


@final
@define(eq=False)
class Writer:
    """Writes batches by *write_group*, which writes several in one transaction.

    *on_uncertain* is called when it is unknown whether a transaction was committed. A batch that is
    handed in after another one has returned is written after it.
    """

    write_group: Callable[[Sequence[WriteBatch]], Awaitable[list[Written]]]
    on_uncertain: Callable[[], None]
    _pending: deque[_PendingWrite] = field(factory=deque, init=False)
    _tasks: set["asyncio.Task[None]"] = field(factory=set, init=False)
    _is_closed: bool = field(default=False, init=False)

    async def write(self, batch: WriteBatch, on_done: Callable[[Written], None]) -> Written:
        """Write a batch, and return when it is committed.

        *on_done* is called with the result, also where the caller was cancelled: other tasks depend
        on the changes of a cancelled one.

        Raises `Unavailable` or `Corrupt`.
        """
        return await self.submit(batch, on_done)

    def submit(
        self, batch: WriteBatch, on_done: Callable[[Written], None]
    ) -> "asyncio.Future[Written]":
        """Begin to `write` a batch: those that are submitted together share a transaction."""
        if self._is_closed:
            raise Unavailable("the connection to Postgres is closed here: it is opened again")
        future: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        self._pending.append(_PendingWrite(batch, on_done, future))
        if len(self._tasks) < CONCURRENCY:
            task = supervise(
                self._write_pending(), name="arvo postgres writer", on_failure=self._fail_pending
            )
            self._tasks.add(task)
        return future

    async def stop(self) -> None:
        """Write the pending batches, and accept no more."""
        self._is_closed = True
        while self._tasks:
            await asyncio.wait(self._tasks)
        self.refuse(Unavailable("the connection to Postgres was closed before this was written"))

    def refuse(self, error: Exception) -> None:
        """Raise *error* in the callers of pending writes, and accept no more."""
        self._is_closed = True
        self._fail_pending(error)

    def _fail_pending(self, error: Exception) -> None:
        while self._pending:
            _fail(self._pending.popleft(), error)

    async def _write_pending(self) -> None:
        group: list[_PendingWrite] = []
        try:
            # Other tasks that are ready may hand in batches first.
            await asyncio.sleep(0)
            while self._pending:
                group = self._next_group()
                await self._write(group)
        except Exception as error:
            # A bug: it goes to the callers of this group, and by `supervise` to all that wait.
            for pending in group:
                _fail(pending, error)
            raise
        except BaseException:
            for pending in group:
                _fail(pending, Unavailable("the write was cancelled"))
            raise
        finally:
            # Not in a callback of the task, which runs later: a batch that is handed in meanwhile
            # would count on this task, which looks for no more.
            self._tasks.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    def _next_group(self) -> list[_PendingWrite]:
        """Take the writes for the next transaction; leave those that conflict with one of them."""
        group: list[_PendingWrite] = []
        later: list[_PendingWrite] = []
        keys: set[object] = set()
        size = locks = 0
        while self._pending and len(group) < GROUP_MAX and len(later) < GROUP_MAX:
            pending = self._pending.popleft()
            size += pending.batch.size
            batch = pending.batch
            locks += len(batch.passing_keys) + len(batch.changes.begun or ()) + len(batch.slots)
            if group and (size > GROUP_BYTES_MAX or locks > KEYS_MAX):
                self._pending.appendleft(pending)
                break
            if keys.isdisjoint(pending.batch.exclusive_keys):
                group.append(pending)
            else:
                later.append(pending)
            # Also the keys of one that is left: a later one must not overtake it.
            keys.update(pending.batch.exclusive_keys)
        self._pending.extendleft(reversed(later))
        return group

    async def _write(self, group: list[_PendingWrite]) -> None:
        tries = 0
        while True:
            try:
                results = await self.write_group([pending.batch for pending in group])
            except WriteConflict as error:
                failure: Exception = error
            except NotUploaded as error:
                # Not uploaded here: the others need not wait for it.
                failure = error
            except DRIVER_ERRORS as error:
                if not is_rolled_back(error):
                    # If it is committed, this process does not know all of its deliveries.
                    self.on_uncertain()
                    for pending in group:
                        _fail(pending, translate_error(error))
                    return
                failure = error
            else:
                for pending, written in zip(group, results, strict=True):
                    _resolve(pending, written)
                return
            tries += 1
            if (isinstance(failure, WriteConflict) or is_retryable(failure)) and tries < TRIES_MAX:
                await asyncio.sleep(0.001 * tries)
                continue
            if len(group) > 1:
                # One of them cannot be written; the others can, each in its own transaction.
                for pending in group:
                    await self._write([pending])
                return
            is_ours = isinstance(failure, NotUploaded)
            _fail(group[0], failure if is_ours else translate_error(failure))
            return


def _resolve(pending: _PendingWrite, written: Written) -> None:
    pending.on_done(written)
    if not pending.future.done():
        pending.future.set_result(written)


def _fail(pending: _PendingWrite, error: Exception) -> None:
    if not pending.future.done():
        pending.future.set_exception(error)
        # Marks it as retrieved: a caller that was cancelled never does, and asyncio would log it.
        pending.future.exception()
