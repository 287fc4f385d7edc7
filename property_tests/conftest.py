"""Profiles: the number of examples for each law; `make test-deep` runs more."""

import os

from hypothesis import HealthCheck, settings

# Whole systems take long to draw, and a shared machine is slow at times. Neither is a fault.
_SLOW_CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(
    "quick", max_examples=100, deadline=None, suppress_health_check=_SLOW_CHECKS
)
settings.register_profile(
    "deep", max_examples=2000, deadline=None, suppress_health_check=_SLOW_CHECKS
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
