"""The checker against bot servers of others, and curl with the lines that it prints."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterable

import anyio
import fastapi_poe
import pytest
from junitparser import Error, Failure, JUnitXml, Skipped

from poeproto_check import FORMATS, CheckOptions, CheckReport, ServerAddress, Verdict, check, select_rules

from ..support.bots import KEY
from ..support.broken_bots import RefusalsBot
from ..support.fastapi_poe_peers import server_of
from ..support.raw_bots import SoundBot, serving_raw


class TheirBot(fastapi_poe.PoeBot):
    """A bot of fastapi_poe that repeats the message."""

    async def get_response(self, request: fastapi_poe.QueryRequest) -> AsyncIterable[fastapi_poe.PartialResponse]:
        yield fastapi_poe.PartialResponse(text=request.query[-1].content)


def run_check(url: str, options: CheckOptions) -> CheckReport:
    async def run() -> CheckReport:
        return await check(ServerAddress.of(url), options)

    return anyio.run(run)


# Its own warnings would become errors within its server.
@pytest.mark.filterwarnings("ignore")
def test_fastapi_poe_breaks_no_must() -> None:
    with server_of(TheirBot()) as url:
        report = run_check(url, CheckOptions(rules=select_rules(), access_key=KEY))
    found = {verdict: {each.rule.id for each in report.results if each.verdict is verdict} for verdict in Verdict}
    assert {each.rule.id: [problem.message for problem in each.problems] for each in report.findings} == {}
    assert found[Verdict.FAIL] == found[Verdict.UNTESTABLE] == found[Verdict.HARNESS_ERROR] == set()
    # An exception in its models becomes status 500, whatever the cause.
    assert found[Verdict.WARN] == {
        "auth.scheme-case",
        "settings.null-fields",
        "input.unknown-values",
        "input.json",
        "input.utf-8",
        "input.object",
        "input.type",
        "input.required-fields",
        "input.field-types",
        "input.nesting",
        "input.numbers",
    }
    assert found[Verdict.INFO] == {"input.sample", "http.body-limit"}


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_a_line_for_a_shell_repeats_the_request() -> None:
    with serving_raw(RefusalsBot(lambda body: body != b'{"version":"1.2","type":"settings"}')) as url:
        report = run_check(url, CheckOptions(rules=select_rules(rules=["input"]), access_key=KEY))
        problems = [each for result in json.loads(FORMATS["json"](report))["results"] for each in result["problems"]]
        lines = {each["reproduce"] for each in problems if "reproduce" in each}
        assert len(lines) > 15
        for line in lines:
            environment = {**os.environ, "POE_ACCESS_KEY": KEY}
            command = ["bash", "-c", line]
            output = subprocess.run(command, env=environment, capture_output=True, timeout=30, check=True)
            assert b" 500 " in output.stdout.split(b"\r\n")[0], line


@pytest.mark.parametrize("strict", [False, True])
def test_junit_for_a_reader_of_others_agrees_with_json(strict: bool) -> None:
    rules = select_rules(skip=["http.body-limit"])
    options = CheckOptions(rules=rules, access_key=KEY, strict=strict, baseline=frozenset({"http.get", "input.json"}))
    refusing = RefusalsBot(lambda body: body in (b"", b"null"))
    for bot, broken in ((refusing, {"input.object"} if strict else set[str]()), (SoundBot(), set[str]())):
        with serving_raw(bot) as url:
            report = run_check(url, options)
        payload = json.loads(FORMATS["json"](report))
        junit = JUnitXml.fromstring(FORMATS["junit"](report))
        cases = {case.name: case for suite in junit for case in suite if suite.name != "baseline"}
        assert junit.tests == len(payload["results"]) + len(payload["stale"])
        assert junit.failures == len(broken) + len(payload["stale"])
        assert (junit.errors, junit.skipped) == (0, payload["counts"]["not-applicable"])
        kinds = {name: {type(each) for each in case.result} for name, case in cases.items()}
        assert kinds == {
            result["rule"]: {Failure}
            if result["is_finding"]
            else {Skipped}
            if result["verdict"] == "not-applicable"
            else set()
            for result in payload["results"]
        }
        assert {name for name, kind in kinds.items() if kind == {Failure}} == broken
        assert not any(kind == {Error} for kind in kinds.values())
