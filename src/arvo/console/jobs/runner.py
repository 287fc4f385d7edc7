"""Runner: carries out jobs, a bounded number of them at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from secrets import token_urlsafe
from typing import Final, TypeAlias, final

from attrs import define, field

from arvo.console.jobs.act import Run
from arvo.console.jobs.job import Job, Stopped
from arvo.core.record import Record
from arvo.core.violations.violation import Violated
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.delivery.log import fields, get_logger
from arvo.interpreters.delivery.tasks import supervise
from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.ports.messages import DeadLetter
from arvo.interpreters.runtime.client import Client

logger: Final = get_logger("console")
# Raises `Violated` for a workflow or dead letter that a user may not act on.
Check: TypeAlias = Callable[[Record | DeadLetter], Awaitable[None]]

# Each acts on many at a time already, beside the pages.
RUNNING_MAX: Final = 4
# Jobs whose pages are shown, the newest ones.
REMEMBERED_MAX: Final = 100
# How long the end of the process waits for the acts in progress.
CLOSE_SECONDS: Final = 5.0
_ID_BYTES: Final = 12


def make_job_id() -> str:
    """Make the id of a job, which its address has."""
    return token_urlsafe(_ID_BYTES)


@final
@define(eq=False)
class Jobs:
    """The jobs of one console. They live in its process, and end with it."""

    client: Client
    close_seconds: float = CLOSE_SECONDS
    _jobs: dict[str, Job] = field(factory=dict, init=False)

    @property
    def newest(self) -> tuple[Job, ...]:
        """All jobs that are remembered, the newest first."""
        return tuple(reversed(self._jobs.values()))

    def find(self, id_: str) -> Job | None:
        """Return the job with this id, or None."""
        return self._jobs.get(id_)

    @property
    def is_full(self) -> bool:
        """Whether no more job may begin now."""
        return sum(it.is_running for it in self._jobs.values()) >= RUNNING_MAX

    def start(self, job: Job, check: Check) -> None:
        """Begin a job. Ask `is_full` before."""
        self._jobs[job.id] = job
        for ended in [it for it in self._jobs.values() if not it.is_running]:
            if len(self._jobs) > REMEMBERED_MAX:
                del self._jobs[ended.id]
        extra = fields(
            job=job.id,
            verb=job.act.verb,
            user=job.actor,
            reason=job.reason,
            dry_run=job.is_dry_run,
        )
        logger.info("a batch of the console begins", extra=extra)
        name = f"arvo-console-job-{job.id}"
        job.task = supervise(self._run(job, check), name=name, on_failure=lambda _: None)

    async def _run(self, job: Job, check: Check) -> None:
        async def check_next(item: Record | DeadLetter) -> None:
            job.begin(item)
            await check(item)

        run = Run(
            is_dry_run=job.is_dry_run,
            actor=job.actor,
            reason=job.reason,
            check=check_next,
            on_progress=job.on_progress,
        )
        outcome, problem = job.outcome, ""
        try:
            job.result = await job.act.perform(self.client, run)
            outcome = "done"
        except Stopped:
            outcome = "stopped"
        except asyncio.CancelledError:
            outcome = "stopped"
            raise
        except (Violated, Unavailable, Corrupt) as error:
            outcome, problem = "failed", str(error)
        except Exception:
            outcome, problem = "failed", "an internal error, see the log of the server"
            raise
        finally:
            job.outcome, job.problem, job.ended = outcome, problem, utc_now()
            self._log_end(job)

    def _log_end(self, job: Job) -> None:
        result = job.result
        extra = fields(
            job=job.id,
            verb=job.act.verb,
            user=job.actor,
            outcome=job.outcome,
            matched=result.matched,
            done=result.done,
            refused=result.refused,
        )
        logger.info("a batch of the console has ended", extra=extra)

    async def close(self) -> None:
        """Stop all jobs: acts in progress are completed, for *close_seconds* at most."""
        tasks = []
        for job in self._jobs.values():
            if job.is_running and job.task is not None:
                job.stop()
                tasks.append(job.task)
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=self.close_seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
