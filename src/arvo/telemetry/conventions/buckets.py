"""Buckets: the bounds of the histograms, in seconds."""

from typing import Final

# That of the semantic conventions for messaging.
OPERATION: Final = (
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
WAIT: Final = (
    0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 1800.0,
)  # fmt: skip
EFFECT: Final = (*OPERATION, 30.0, 60.0, 300.0)
_HOUR: Final = 3_600.0
WORKFLOW: Final = (
    1.0, 10.0, 60.0, 600.0, _HOUR, 6 * _HOUR, 24 * _HOUR, 7 * 24 * _HOUR, 30 * 24 * _HOUR,
)  # fmt: skip
