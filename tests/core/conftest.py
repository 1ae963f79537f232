from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

# The time of an example depends more on the machine, and on coverage's tracing, than on the code.
settings.register_profile("core", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("core")
# For tests/mutants, which asks whether a test fails, and not for the smallest example.
settings.register_profile("mutants", settings.get_profile("core"), phases=[Phase.explicit, Phase.generate])
