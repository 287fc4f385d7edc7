"""Profiles: how long the laws are searched; `make test-deep` searches longer."""

import os

from hypothesis import HealthCheck, settings

# Whole systems take time to draw, and a shared machine is slow at times: neither is a fault.
_PATIENT = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("quick", max_examples=100, deadline=None, suppress_health_check=_PATIENT)
settings.register_profile("deep", max_examples=2000, deadline=None, suppress_health_check=_PATIENT)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
