"""Telemetry: spans and metrics of a runtime, for OpenTelemetry."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from arvo.extras import needs_extra
from arvo.telemetry.observe import observe
from arvo.telemetry.spans.join import Join, JoinRule

if TYPE_CHECKING:
    from arvo.telemetry.spans.sampler import WorkflowSampler as WorkflowSampler

# Without those that need the SDK, which an application may lack: then a star import would fail.
__all__ = ["Join", "JoinRule", "observe"]


def __getattr__(name: str) -> Any:
    if name != "WorkflowSampler":
        raise AttributeError(f"module 'arvo.telemetry' has no attribute {name!r}")
    with needs_extra("arvo.telemetry.WorkflowSampler"):
        return import_module("arvo.telemetry.spans.sampler").WorkflowSampler
