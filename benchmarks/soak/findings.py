"""The findings of a soak run, each with its bounds."""

from __future__ import annotations

import json
import platform
from datetime import UTC, datetime
from pathlib import Path

import attrs


@attrs.frozen
class Finding:
    """One finding: a value, and the bounds that it should keep.

    Attributes:
        scenario: the scenario, and its host or client.
        what: what was measured or counted.
        value: the value.
        unit: the unit of the value: "s", "KiB", "streams" …
        at_most: the upper bound, in the same unit; None for no bound.
        at_least: the lower bound.
    """

    scenario: str
    what: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the value is within its bounds."""
        return (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )

    def __str__(self) -> str:
        bounds = [
            f"{words} {bound:g}"
            for words, bound in (("at least", self.at_least), ("at most", self.at_most))
            if bound is not None
        ]
        if self.at_most is not None and self.at_most == self.at_least:
            bounds = [f"exactly {self.at_most:g}"]
        wanted = f" ({' and '.join(bounds)})" if bounds else ""
        return f"{'  ' if self.holds else '! '}{self.scenario}: {self.what}: {self.value:.4g} {self.unit}{wanted}"


class Findings:
    """The findings of one run; each is printed when it is added."""

    def __init__(self) -> None:
        self.all: list[Finding] = []

    def add(self, finding: Finding) -> None:
        self.all.append(finding)
        print(finding, flush=True)

    def exactly(self, scenario: str, what: str, value: float, unit: str, wanted: float) -> None:
        """Add a count that must be exactly `wanted`."""
        self.add(Finding(scenario, what, value, unit, at_most=wanted, at_least=wanted))

    def write(self, path: Path) -> None:
        """Write the findings as JSON."""
        about = {
            "date": datetime.now(UTC).date().isoformat(),
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        }
        findings = [{**attrs.asdict(finding), "holds": finding.holds} for finding in self.all]
        path.write_text(json.dumps({**about, "findings": findings}, indent=2) + "\n")
