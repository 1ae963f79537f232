"""The checker on our application under each host, and on bots that share no code with us: no MUST is broken."""

from __future__ import annotations

import anyio
import pytest

from benchmarks.soak.checked_hosts import HOSTS, missing, serving_checked
from poeproto.testing import TEST_ACCESS_KEY
from poeproto_check import CheckOptions, CheckReport, ServerAddress, Verdict, check, select_rules

# Rules that a sensible author, or the server of the standard library, does not satisfy.
WARNED = {"http.server": {"auth.scheme-case", "http.chunked-body"}}
_OPTIONS = CheckOptions(rules=select_rules(), access_key=TEST_ACCESS_KEY)


@pytest.mark.slow
@pytest.mark.parametrize("host", HOSTS)
def test_a_host_has_no_findings(host: str) -> None:
    if (why := missing(host)) is not None:
        pytest.skip(why)
    with serving_checked(host) as url:
        report: CheckReport = anyio.run(check, ServerAddress.of(url), _OPTIONS)
    problems = {each.rule.id: (each.verdict, [problem.message for problem in each.problems]) for each in report.results}
    broken = {rule: each for rule, each in problems.items() if each[0] in (Verdict.WARN, Verdict.UNTESTABLE)}
    assert report.exit_code == 0, {each.rule.id: problems[each.rule.id] for each in report.findings}
    assert broken.keys() == WARNED.get(host, set()), broken
