"""Every scenario of the soak runs, once and small; its counts must be right, its times are not checked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.soak.__main__ import SCENARIOS

SECONDS = 300  # for a run that hangs
# Times, their growth, and memory depend on the other load of the machine.
MEASURED = {"s", "x", "times", "KiB"}


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_has_the_expected_findings(scenario: str, checkout: Path, tmp_path: Path) -> None:
    kept = tmp_path / "findings.json"
    command = [sys.executable, "-m", "benchmarks.soak", scenario, "--smallest", "--json", str(kept)]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.stderr == ""
    findings = json.loads(kept.read_text())["findings"]
    assert findings
    assert done.returncode == (0 if all(finding["holds"] for finding in findings) else 1)
    assert not [finding for finding in findings if finding["unit"] not in MEASURED and not finding["holds"]]
    assert f"{len(findings)} findings, " in done.stdout
