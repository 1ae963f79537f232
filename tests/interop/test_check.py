"""The checker against bot servers of others: what it finds was repeated by hand, with the lines that it prints."""

from __future__ import annotations

from collections.abc import AsyncIterable

import anyio
import fastapi_poe
import pytest

from poeproto_check import CheckOptions, CheckReport, ServerAddress, Verdict, check, select_rules

from ..support.bots import KEY
from ..support.fastapi_poe_peers import server_of


class TheirBot(fastapi_poe.PoeBot):
    """A bot of fastapi_poe that repeats the message."""

    async def get_response(self, request: fastapi_poe.QueryRequest) -> AsyncIterable[fastapi_poe.PartialResponse]:
        yield fastapi_poe.PartialResponse(text=request.query[-1].content)


# Its own warnings would become errors within its server.
@pytest.mark.filterwarnings("ignore")
def test_fastapi_poe_breaks_no_must() -> None:
    with server_of(TheirBot()) as url:

        async def run() -> CheckReport:
            return await check(ServerAddress.of(url), CheckOptions(rules=select_rules(), access_key=KEY))

        report = anyio.run(run)
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
    assert found[Verdict.INFO] == {"framing.cache-control", "input.sample", "http.body-limit"}
