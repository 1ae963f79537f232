"""Fixtures that the tests of tracing share: providers that keep everything in memory."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from ...support.telemetry import Telemetry


@pytest.fixture
def telemetry() -> Generator[Telemetry]:
    """An SDK that keeps its spans and measurements in memory."""
    telemetry = Telemetry()
    yield telemetry
    telemetry.shutdown()
