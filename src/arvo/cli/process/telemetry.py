"""Telemetry: whether the workers of `arvo run` export spans and metrics, and how they do."""

import os
from collections.abc import Callable, Mapping
from typing import Final

from arvo.cli.terminal.errors import UsageError
from arvo.extras import extra_of, install_command
from arvo.interpreters.runtime.runtime import Runtime

# Tells a worker to export, and its number.
WORKER_VARIABLE: Final = "ARVO_OTEL_WORKER"
# The variables of OpenTelemetry that say where a collector is.
ENDPOINTS: Final = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
)


def is_exporting(asked: bool | None, variables: Mapping[str, str]) -> bool:
    """Return whether to export: if *asked*, and by default where a variable names a collector.

    Raises `UsageError` if the SDK is missing.
    """
    if asked is None:
        asked = any(variables.get(name) for name in ENDPOINTS)
    if not asked or variables.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    try:
        import arvo.telemetry.providers  # noqa: F401 - the extra
    except ModuleNotFoundError as error:
        extra = extra_of(error)
        if extra is None:
            raise
        text = f"--otel needs the extra {extra!r}: {install_command(extra)}"
        raise UsageError(text) from error
    return True


def install(name: str) -> Callable[[], None]:
    """Set the global providers in a worker that exports, before the system *name* is loaded.

    Returns a function that exports what is not exported yet; it blocks for some seconds at most.
    """
    number = os.environ.get(WORKER_VARIABLE)
    if not number:
        return lambda: None
    from arvo.telemetry.providers import install_providers

    return install_providers(name, int(number)).flush


def observe_worker(runtime: Runtime) -> None:
    """Observe the runtime of a worker that exports, unless its own code does."""
    number = os.environ.get(WORKER_VARIABLE)
    if number and not runtime.is_observed:
        from arvo.telemetry import observe

        # One process is enough to ask the backend for its depth.
        observe(runtime, gauges=number == "1")
