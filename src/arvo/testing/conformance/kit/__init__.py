"""Kit: what the conformance classes are made of."""

from arvo.testing.conformance.kit.kit import (
    CALLS_REPORTED_MAX,
    BackendKit,
    BrokerKit,
    CallRecorder,
    Kit,
    conformance_test,
)

__all__ = [
    "CALLS_REPORTED_MAX",
    "BackendKit",
    "BrokerKit",
    "CallRecorder",
    "Kit",
    "conformance_test",
]
